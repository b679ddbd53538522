package tenon

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/smithy-go"

	"tenon/internal/launch/fake"
)

// together makes n calls at once and counts their error codes; "" is success.
func (w *world) together(n int, call func(i int) error) map[string]int {
	w.t.Helper()
	var mu sync.Mutex
	codes := map[string]int{}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			code := ""
			if err := call(i); err != nil {
				var api smithy.APIError
				if code = err.Error(); errors.As(err, &api) {
					code = api.ErrorCode()
				}
			}
			mu.Lock()
			defer mu.Unlock()
			codes[code]++
		})
	}
	all.Wait()
	w.settle()
	return codes
}

// Limits hold however many callers come at once, and everybody is told the truth
// (spec/workflows §3.1 row 4, spec/jobs §2.4 step 3).
func TestLimitsUnderConcurrency(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		ctx := w.t.Context()
		w.plan("J", fake.Outcome{Never: true})
		must[*glue.UpdateWorkflowOutput](w.t)(w.glue.UpdateWorkflow(ctx, &glue.UpdateWorkflowInput{Name: aws.String("W"), MaxConcurrentRuns: aws.Int32(3)}))
		for job, slots := range map[string]int32{"J": 99, "K": 4} {
			must[*glue.UpdateJobOutput](w.t)(w.glue.UpdateJob(ctx, &glue.UpdateJobInput{JobName: &job, JobUpdate: &types.JobUpdate{
				Role: aws.String("r"), Command: &types.JobCommand{Name: aws.String("pythonshell")}, ExecutionProperty: &types.ExecutionProperty{MaxConcurrentRuns: slots},
			}}))
		}
		w.plan("K", fake.Outcome{Never: true})
		got := w.together(20, func(int) error { return startW(ctx, w.glue) })
		if got[""] != 3 || got["ConcurrentRunsExceededException"] != 17 || len(w.runsOf("W")) != 3 {
			w.t.Errorf("starts of a workflow with three slots: %v, %d runs", got, len(w.runsOf("W")))
		}
		got = w.together(20, func(int) error {
			_, err := w.glue.StartJobRun(ctx, &glue.StartJobRunInput{JobName: aws.String("K")})
			return err
		})
		if got[""] != 4 || got["ConcurrentRunsExceededException"] != 16 {
			w.t.Errorf("starts of a job with four slots: %v", got)
		}
	})
}

// Changes of one workflow at the same time wait for one another and never fail
// with ConcurrentModificationException (spec/workflows §2.4); of two that want one
// name, one gets it; properties that are put at once are all there (§5.6).
func TestChangesUnderConcurrency(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		ctx := w.t.Context()
		got := w.together(20, func(i int) error {
			_, err := w.glue.CreateTrigger(ctx, &glue.CreateTriggerInput{
				Name: aws.String(fmt.Sprint("t", i)), WorkflowName: aws.String("W"), Type: types.TriggerTypeConditional, Actions: starts("J"),
				Predicate: &types.Predicate{Conditions: []types.Condition{watches("K", types.JobRunStateFailed)}},
			})
			return err
		})
		graph := must[*glue.GetWorkflowOutput](w.t)(w.glue.GetWorkflow(ctx, &glue.GetWorkflowInput{Name: aws.String("W"), IncludeGraph: aws.Bool(true)})).Workflow.Graph
		if got[""] != 20 || len(graph.Nodes) != 24 {
			w.t.Errorf("triggers of one workflow: %v, %d nodes", got, len(graph.Nodes))
		}
		got = w.together(20, func(int) error {
			_, err := w.glue.CreateWorkflow(ctx, &glue.CreateWorkflowInput{Name: aws.String("same")})
			return err
		})
		if got[""] != 1 || got["AlreadyExistsException"] != 19 {
			w.t.Errorf("workflows of one name: %v", got)
		}
		got = w.together(20, func(i int) error {
			_, err := w.glue.CreateTrigger(ctx, &glue.CreateTriggerInput{
				Name: aws.String(fmt.Sprint("start", i)), WorkflowName: aws.String("same"), Type: types.TriggerTypeOnDemand, Actions: starts("K"),
			})
			return err
		})
		if got[""] != 1 || got["InvalidInputException"] != 19 {
			w.t.Errorf("start triggers of one workflow: %v", got)
		}
		run := must[*glue.StartWorkflowRunOutput](w.t)(w.glue.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: aws.String("same")})).RunId
		got = w.together(20, func(i int) error {
			_, err := w.glue.PutWorkflowRunProperties(ctx, &glue.PutWorkflowRunPropertiesInput{Name: aws.String("same"), RunId: run, RunProperties: map[string]string{fmt.Sprint(i): "x"}})
			return err
		})
		p := must[*glue.GetWorkflowRunPropertiesOutput](w.t)(w.glue.GetWorkflowRunProperties(ctx, &glue.GetWorkflowRunPropertiesInput{Name: aws.String("same"), RunId: run})).RunProperties
		if got[""] != 20 || len(p) != 20 {
			w.t.Errorf("properties put at once: %v, %d are there", got, len(p))
		}
	})
}

// One call that is sent many times at once acts once (DESIGN P5).
func TestReplayUnderConcurrency(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		must[*glue.UpdateWorkflowOutput](w.t)(w.glue.UpdateWorkflow(w.t.Context(), &glue.UpdateWorkflowInput{Name: aws.String("W"), MaxConcurrentRuns: aws.Int32(99)}))
		var mu sync.Mutex
		answers := map[string]int{}
		w.together(20, func(int) error {
			status, got := w.invoke("one", "StartWorkflowRun", `{"Name":"W"}`)
			mu.Lock()
			defer mu.Unlock()
			answers[fmt.Sprint(status, got)]++
			return nil
		})
		if len(answers) != 1 || len(w.runsOf("W")) != 1 {
			w.t.Errorf("%d runs, answers %v", len(w.runsOf("W")), answers)
		}
	})
}

// A workflow run is stopped from many sides while its jobs end: it ends once,
// and every node has one end (spec/workflows §5.7, §10.3).
func TestStopsUnderConcurrency(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		ctx := w.t.Context()
		w.plan("J", fake.Outcome{Never: true, IgnoreTerm: true})
		run := must[*glue.StartWorkflowRunOutput](w.t)(w.glue.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: aws.String("W")})).RunId
		w.settle()
		job := *must[*glue.GetJobRunsOutput](w.t)(w.glue.GetJobRuns(ctx, &glue.GetJobRunsInput{JobName: aws.String("J")})).JobRuns[0].Id
		got := w.together(20, func(i int) error {
			if i%2 == 0 {
				_, err := w.glue.StopWorkflowRun(ctx, &glue.StopWorkflowRunInput{Name: aws.String("W"), RunId: run})
				return err
			}
			_, err := w.glue.BatchStopJobRun(ctx, &glue.BatchStopJobRunInput{JobName: aws.String("J"), JobRunIds: []string{job}})
			return err
		})
		if got[""] != 11 || got["IllegalWorkflowStateException"] != 9 {
			w.t.Errorf("stops: %v", got)
		}
		w.advance(time.Minute)
		out := must[*glue.GetWorkflowRunOutput](w.t)(w.glue.GetWorkflowRun(ctx, &glue.GetWorkflowRunInput{Name: aws.String("W"), RunId: run})).Run
		if out.Status != types.WorkflowRunStatusStopped || out.Statistics.StoppedActions != 1 {
			w.t.Errorf("the run is %s: %+v", out.Status, out.Statistics)
		}
		if facts, err := w.sup.List(ctx); err != nil || len(facts) != 0 {
			w.t.Errorf("the supervisor still has %v, %v", facts, err)
		}
	})
}

// What an action says overlays its job; the script also learns the run it
// belongs to, and a retry gets the same (spec/workflows §4.1, §5.4, spec/jobs §2.7).
func TestActionOverrides(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		ctx := w.t.Context()
		must[*glue.CreateWorkflowOutput](w.t)(w.glue.CreateWorkflow(ctx, &glue.CreateWorkflowInput{Name: aws.String("W")}))
		must[*glue.CreateJobOutput](w.t)(w.glue.CreateJob(ctx, shell("J", func(in *glue.CreateJobInput) {
			in.DefaultArguments = map[string]string{"--a": "job", "--b": "job"}
			in.NonOverridableArguments = map[string]string{"--c": "fixed"}
			in.MaxRetries, in.Timeout = 1, aws.Int32(60)
		})))
		must[*glue.CreateTriggerOutput](w.t)(w.glue.CreateTrigger(ctx, &glue.CreateTriggerInput{
			Name: aws.String("go"), WorkflowName: aws.String("W"), Type: types.TriggerTypeOnDemand,
			Actions: []types.Action{{
				JobName: aws.String("J"), Arguments: map[string]string{"--b": "action", "--c": "action", "--d": "action"}, Timeout: aws.Int32(5),
				SecurityConfiguration: aws.String("sec"), NotificationProperty: &types.NotificationProperty{NotifyDelayAfter: aws.Int32(2)},
			}},
		}))
		w.plan("J", fake.Outcome{After: time.Second, ExitCode: 1}, fake.Outcome{After: time.Second})
		run := must[*glue.StartWorkflowRunOutput](w.t)(w.glue.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: aws.String("W")})).RunId
		w.advance(time.Minute)
		runs := must[*glue.GetJobRunsOutput](w.t)(w.glue.GetJobRuns(ctx, &glue.GetJobRunsInput{JobName: aws.String("J")})).JobRuns
		if len(runs) != 2 {
			w.t.Fatalf("%d attempts", len(runs))
		}
		for _, r := range runs {
			if *r.Timeout != 5 || *r.SecurityConfiguration != "sec" || *r.NotificationProperty.NotifyDelayAfter != 2 || len(r.Arguments) != 3 || *r.TriggerName != "go" {
				w.t.Errorf("attempt %d: %+v", r.Attempt, r)
			}
			p := w.process(*r.Id)
			want := []string{"/job/J", "--a", "job", "--b", "action", "--c", "fixed", "--d", "action", "--WORKFLOW_NAME", "W", "--WORKFLOW_RUN_ID", *run}
			if !slices.Equal(p.Argv, want) || p.Timeout != 5*time.Minute {
				w.t.Errorf("attempt %d: %v for %s", r.Attempt, p.Argv, p.Timeout)
			}
		}
		// Started by hand it belongs to no run.
		id := must[*glue.StartJobRunOutput](w.t)(w.glue.StartJobRun(ctx, &glue.StartJobRunInput{JobName: aws.String("J")})).JobRunId
		w.advance(time.Minute)
		if p := w.process(*id); !slices.Equal(p.Argv, []string{"/job/J", "--a", "job", "--b", "job", "--c", "fixed"}) {
			w.t.Errorf("by hand: %v", p.Argv)
		}
	})
}
