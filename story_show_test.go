package tenon

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// This file writes what a story shows, and holds it against other answers.

func (s *story) at(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return "+" + t.Sub(s.began).String()
}

func (s *story) writeRun(r *types.WorkflowRun) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s: %s, started %s, completed %s\n", s.name("run", *r.WorkflowRunId), *r.Name, r.Status, s.at(r.StartedOn), s.at(r.CompletedOn))
	if r.ErrorMessage != nil {
		fmt.Fprintf(&b, "  message: %s\n", *r.ErrorMessage)
	}
	if r.PreviousRunId != nil {
		fmt.Fprintf(&b, "  previous run: %s\n", s.name("run", *r.PreviousRunId))
	}
	for _, k := range slices.Sorted(maps.Keys(r.WorkflowRunProperties)) {
		fmt.Fprintf(&b, "  property %s=%s\n", k, r.WorkflowRunProperties[k])
	}
	st := r.Statistics
	fmt.Fprintf(&b, "  total %d: succeeded %d, failed %d, timeout %d, stopped %d, errored %d, running %d, waiting %d\n", st.TotalActions,
		st.SucceededActions, st.FailedActions, st.TimeoutActions, st.StoppedActions, st.ErroredActions, st.RunningActions, st.WaitingActions)
	names := map[string]string{}
	for _, n := range r.Graph.Nodes {
		names[*n.UniqueId] = *n.Name
		fmt.Fprintf(&b, "  %s %s%s\n", n.Type, *n.Name, writeTrigger(n.TriggerDetails))
		if n.JobDetails != nil {
			for _, j := range n.JobDetails.JobRuns {
				s.jobRunName(*n.Name, *j.Id)
				b.WriteString("    " + s.writeJobRun(j))
			}
		}
		if n.CrawlerDetails != nil {
			for _, c := range n.CrawlerDetails.Crawls {
				fmt.Fprintf(&b, "    crawl %s, %s to %s, %s: %s\n", c.State, s.at(c.StartedOn), s.at(c.CompletedOn), aws.ToString(c.LogGroup), aws.ToString(c.ErrorMessage))
			}
		}
	}
	b.WriteString(" ")
	for _, e := range r.Graph.Edges {
		fmt.Fprintf(&b, " %s->%s", names[*e.SourceId], names[*e.DestinationId])
	}
	b.WriteString("\n")
	return b.String()
}

func writeTrigger(d *types.TriggerNodeDetails) string {
	if d == nil {
		return ""
	}
	t := d.Trigger
	out := fmt.Sprintf(": %s, %s", t.Type, t.State)
	if t.Predicate == nil {
		return out
	}
	var conditions []string
	for _, c := range t.Predicate.Conditions {
		if c.CrawlerName != nil {
			conditions = append(conditions, fmt.Sprintf("crawler %s is %s", *c.CrawlerName, c.CrawlState))
		} else {
			conditions = append(conditions, fmt.Sprintf("%s is %s", *c.JobName, c.State))
		}
	}
	return out + ", when " + strings.Join(conditions, fmt.Sprintf(" %s ", t.Predicate.Logical))
}

func (s *story) writeJobRun(j types.JobRun) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s, attempt %d", s.jobRunName(*j.JobName, *j.Id), j.JobRunState, j.Attempt)
	if j.TriggerName != nil {
		fmt.Fprintf(&b, ", by %s", *j.TriggerName)
	}
	fmt.Fprintf(&b, ", %s to %s, ran %ds", s.at(j.StartedOn), s.at(j.CompletedOn), j.ExecutionTime)
	if j.PreviousRunId != nil {
		fmt.Fprintf(&b, ", after %s", s.jobRunName(*j.JobName, *j.PreviousRunId))
	}
	for _, p := range j.PredecessorRuns {
		fmt.Fprintf(&b, ", because of %s", s.jobRunName(*p.JobName, *p.RunId))
	}
	for _, k := range slices.Sorted(maps.Keys(j.Arguments)) {
		fmt.Fprintf(&b, ", %s=%s", k, j.Arguments[k])
	}
	if j.StateDetail != nil {
		fmt.Fprintf(&b, " (%s)", *j.StateDetail)
	}
	if j.ErrorMessage != nil {
		fmt.Fprintf(&b, ": %s", *j.ErrorMessage)
	}
	return s.named(b.String()) + "\n"
}

// check holds what a story prints against the other ways of asking for it, and
// the statistics against the graph (spec/workflows §5.3), whatever the story.
func (s *story) check(r *types.WorkflowRun) {
	s.t.Helper()
	ctx := s.t.Context()
	plain := *r
	plain.Graph = nil
	sdk := cmpopts.IgnoreUnexported(
		types.WorkflowRun{}, types.WorkflowRunStatistics{}, types.JobRun{}, types.Predecessor{}, types.NotificationProperty{},
	)
	bare, err := s.glue.GetWorkflowRun(ctx, &glue.GetWorkflowRunInput{Name: r.Name, RunId: r.WorkflowRunId})
	if err != nil {
		s.t.Fatal(err)
	}
	if diff := gocmp.Diff(&plain, bare.Run, sdk); diff != "" {
		s.t.Errorf("GetWorkflowRun without the graph differs:\n%s", diff)
	}
	all, err := s.glue.GetWorkflowRuns(ctx, &glue.GetWorkflowRunsInput{Name: r.Name})
	if err != nil {
		s.t.Fatal(err)
	}
	if !slices.ContainsFunc(all.Runs, func(x types.WorkflowRun) bool { return gocmp.Equal(plain, x, sdk) }) {
		s.t.Error("GetWorkflowRuns does not list the run as GetWorkflowRun shows it")
	}
	w, err := s.glue.GetWorkflow(ctx, &glue.GetWorkflowInput{Name: r.Name})
	if err != nil {
		s.t.Fatal(err)
	}
	if diff := gocmp.Diff(&all.Runs[0], w.Workflow.LastRun, sdk); diff != "" {
		s.t.Errorf("LastRun is not the newest run:\n%s", diff)
	}
	var want types.WorkflowRunStatistics
	for _, n := range r.Graph.Nodes {
		if n.Type == types.NodeTypeTrigger {
			continue
		}
		want.TotalActions++
		if n.JobDetails == nil {
			countNode(&want, n, 0)
			continue
		}
		retries := int32(0) // a retry that is due keeps its node running
		if job, err := s.glue.GetJob(ctx, &glue.GetJobInput{JobName: n.Name}); err == nil && r.CompletedOn == nil {
			retries = job.Job.MaxRetries
		}
		countNode(&want, n, retries)
		for _, j := range n.JobDetails.JobRuns {
			one, err := s.glue.GetJobRun(ctx, &glue.GetJobRunInput{JobName: n.Name, RunId: j.Id})
			if err != nil {
				s.t.Fatal(err)
			}
			if diff := gocmp.Diff(&j, one.JobRun, sdk); diff != "" {
				s.t.Errorf("GetJobRun differs from the graph's job run:\n%s", diff)
			}
		}
	}
	if diff := gocmp.Diff(&want, r.Statistics, sdk); diff != "" {
		s.t.Errorf("the statistics are not those of the graph (-graph +statistics):\n%s", diff)
	}
}

// countNode counts a node by its latest attempt, for runs in which each node was
// started once. A failure with retries left is not the end of it.
func countNode(st *types.WorkflowRunStatistics, n types.Node, retries int32) {
	if n.CrawlerDetails != nil {
		st.ErroredActions += int32(len(n.CrawlerDetails.Crawls))
	}
	if n.JobDetails == nil {
		return
	}
	last := n.JobDetails.JobRuns[len(n.JobDetails.JobRuns)-1]
	switch last.JobRunState {
	case types.JobRunStateSucceeded:
		st.SucceededActions++
	case types.JobRunStateFailed, types.JobRunStateExpired:
		if last.JobRunState == types.JobRunStateFailed && last.Attempt < retries {
			st.RunningActions++
		} else {
			st.FailedActions++
		}
	case types.JobRunStateTimeout:
		st.TimeoutActions++
	case types.JobRunStateStopped:
		st.StoppedActions++
	case types.JobRunStateError:
		st.ErroredActions++
	case types.JobRunStateWaiting:
		st.WaitingActions++
	default:
		st.RunningActions++
	}
}
