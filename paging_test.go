package tenon

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
)

// listing is one operation that answers in pages.
type listing struct {
	name     string
	most     int32 // of MaxResults
	default_ int   // page without MaxResults
	list     func(context.Context, *glue.Client, *int32, *string) ([]string, *string, error)
	// filtered is the same operation with another filter, for which its tokens are no good.
	filtered func(context.Context, *glue.Client, *string) error
	remove   func(context.Context, *glue.Client, string) error
	newest   bool // items come newest first
}

func names[T any](items []T, name func(T) *string) []string {
	var out []string
	for _, i := range items {
		out = append(out, *name(i))
	}
	return out
}

func listings() []listing {
	deleteJob := func(ctx context.Context, c *glue.Client, n string) error {
		_, err := c.DeleteJob(ctx, &glue.DeleteJobInput{JobName: &n})
		return err
	}
	deleteTrigger := func(ctx context.Context, c *glue.Client, n string) error {
		_, err := c.DeleteTrigger(ctx, &glue.DeleteTriggerInput{Name: &n})
		return err
	}
	return []listing{
		{
			name: "ListJobs", most: 1000, default_: 100, remove: deleteJob,
			list: func(ctx context.Context, c *glue.Client, n *int32, t *string) ([]string, *string, error) {
				out, err := c.ListJobs(ctx, &glue.ListJobsInput{MaxResults: n, NextToken: t})
				if err != nil {
					return nil, nil, err
				}
				return out.JobNames, out.NextToken, nil
			},
			filtered: func(ctx context.Context, c *glue.Client, t *string) error {
				_, err := c.ListJobs(ctx, &glue.ListJobsInput{NextToken: t, Tags: map[string]string{"a": "b"}})
				return err
			},
		},
		{
			name: "GetJobs", most: 1000, default_: 100, remove: deleteJob,
			list: func(ctx context.Context, c *glue.Client, n *int32, t *string) ([]string, *string, error) {
				out, err := c.GetJobs(ctx, &glue.GetJobsInput{MaxResults: n, NextToken: t})
				if err != nil {
					return nil, nil, err
				}
				return names(out.Jobs, func(j types.Job) *string { return j.Name }), out.NextToken, nil
			},
			filtered: func(ctx context.Context, c *glue.Client, t *string) error { // the token of a sister
				_, err := c.ListJobs(ctx, &glue.ListJobsInput{NextToken: t})
				return err
			},
		},
		{
			name: "ListTriggers", most: 200, default_: 100, remove: deleteTrigger,
			list: func(ctx context.Context, c *glue.Client, n *int32, t *string) ([]string, *string, error) {
				out, err := c.ListTriggers(ctx, &glue.ListTriggersInput{MaxResults: n, NextToken: t})
				if err != nil {
					return nil, nil, err
				}
				return out.TriggerNames, out.NextToken, nil
			},
			filtered: func(ctx context.Context, c *glue.Client, t *string) error {
				_, err := c.ListTriggers(ctx, &glue.ListTriggersInput{NextToken: t, DependentJobName: aws.String("item-000")})
				return err
			},
		},
		{
			name: "GetTriggers", most: 200, default_: 100, remove: deleteTrigger,
			list: func(ctx context.Context, c *glue.Client, n *int32, t *string) ([]string, *string, error) {
				out, err := c.GetTriggers(ctx, &glue.GetTriggersInput{MaxResults: n, NextToken: t})
				if err != nil {
					return nil, nil, err
				}
				return names(out.Triggers, func(t types.Trigger) *string { return t.Name }), out.NextToken, nil
			},
			filtered: func(ctx context.Context, c *glue.Client, t *string) error {
				_, err := c.GetTriggers(ctx, &glue.GetTriggersInput{NextToken: t, DependentJobName: aws.String("item-000")})
				return err
			},
		},
		{
			name: "ListWorkflows", most: 25, default_: 25,
			list: func(ctx context.Context, c *glue.Client, n *int32, t *string) ([]string, *string, error) {
				out, err := c.ListWorkflows(ctx, &glue.ListWorkflowsInput{MaxResults: n, NextToken: t})
				if err != nil {
					return nil, nil, err
				}
				return out.Workflows, out.NextToken, nil
			},
			filtered: func(ctx context.Context, c *glue.Client, t *string) error {
				_, err := c.ListTriggers(ctx, &glue.ListTriggersInput{NextToken: t})
				return err
			},
			remove: func(ctx context.Context, c *glue.Client, n string) error {
				_, err := c.DeleteWorkflow(ctx, &glue.DeleteWorkflowInput{Name: &n})
				return err
			},
		},
		{
			name: "GetWorkflowRuns", most: 1000, default_: 100, newest: true,
			list: func(ctx context.Context, c *glue.Client, n *int32, t *string) ([]string, *string, error) {
				out, err := c.GetWorkflowRuns(ctx, &glue.GetWorkflowRunsInput{Name: aws.String("item-000"), MaxResults: n, NextToken: t})
				if err != nil {
					return nil, nil, err
				}
				return names(out.Runs, func(r types.WorkflowRun) *string { return r.WorkflowRunId }), out.NextToken, nil
			},
			filtered: func(ctx context.Context, c *glue.Client, t *string) error {
				_, err := c.GetWorkflowRuns(ctx, &glue.GetWorkflowRunsInput{Name: aws.String("item-001"), NextToken: t})
				return err
			},
		},
		{
			name: "GetJobRuns", most: 200, default_: 100, newest: true,
			list: func(ctx context.Context, c *glue.Client, n *int32, t *string) ([]string, *string, error) {
				out, err := c.GetJobRuns(ctx, &glue.GetJobRunsInput{JobName: aws.String("item-000"), MaxResults: n, NextToken: t})
				if err != nil {
					return nil, nil, err
				}
				return names(out.JobRuns, func(r types.JobRun) *string { return r.Id }), out.NextToken, nil
			},
			filtered: func(ctx context.Context, c *glue.Client, t *string) error {
				_, err := c.GetJobRuns(ctx, &glue.GetJobRunsInput{JobName: aws.String("item-001"), NextToken: t})
				return err
			},
		},
	}
}

// Pages follow one another without gaps or repetitions, also when items go away
// between them and when the server is started anew; a token is good for its own
// listing alone (spec/workflows §1.7, spec/jobs §1.6).
func TestPaging(t *testing.T) {
	const many = 130
	inWorlds(t, nil, func(w *world) {
		ctx := w.t.Context()
		var all, runs, jobRuns []string
		for i := range many {
			n := fmt.Sprintf("item-%03d", i)
			all = append(all, n)
			must[*glue.CreateWorkflowOutput](w.t)(w.glue.CreateWorkflow(ctx, &glue.CreateWorkflowInput{Name: &n}))
			must[*glue.CreateTriggerOutput](w.t)(w.glue.CreateTrigger(ctx, &glue.CreateTriggerInput{Name: &n, WorkflowName: &n, Type: types.TriggerTypeOnDemand, Actions: starts(n)}))
			must[*glue.CreateJobOutput](w.t)(w.glue.CreateJob(ctx, shell(n, func(in *glue.CreateJobInput) {
				in.ExecutionProperty = &types.ExecutionProperty{MaxConcurrentRuns: 999}
			})))
			id := must[*glue.StartJobRunOutput](w.t)(w.glue.StartJobRun(ctx, &glue.StartJobRunInput{JobName: aws.String("item-000")})).JobRunId
			jobRuns = append(jobRuns, *id)
		}
		for range many { // the job of these is gone, so that the job runs above stay what they are
			if len(runs) == 0 {
				must[*glue.UpdateTriggerOutput](w.t)(w.glue.UpdateTrigger(ctx, &glue.UpdateTriggerInput{Name: aws.String("item-000"), TriggerUpdate: &types.TriggerUpdate{Actions: starts("gone")}}))
			}
			runs = append(runs, *must[*glue.StartWorkflowRunOutput](w.t)(w.glue.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: aws.String("item-000")})).RunId)
		}
		w.advance(time.Minute)
		slices.Reverse(runs)
		slices.Reverse(jobRuns)
		for _, l := range listings() {
			want := all
			switch l.name {
			case "GetWorkflowRuns":
				want = runs
			case "GetJobRuns":
				want = jobRuns
			}
			w.pages(l, want)
		}
	})
}

func (w *world) pages(l listing, want []string) {
	w.t.Helper()
	ctx := w.t.Context()
	for _, size := range []*int32{nil, aws.Int32(1), aws.Int32(l.most), aws.Int32(min(l.most, 65))} {
		var got []string
		var token *string
		for first := true; first || token != nil; first = false {
			page, next, err := l.list(ctx, w.glue, size, token)
			if err != nil {
				w.t.Fatalf("%s: %v", l.name, err)
			}
			full := l.default_
			if size != nil {
				full = int(*size)
			}
			if len(page) > full || next != nil && len(page) < full || len(page) == 0 || next != nil && *next == "" {
				w.t.Fatalf("%s: a page of %d, token %v", l.name, len(page), next)
			}
			got, token = append(got, page...), next
		}
		if !slices.Equal(got, want) {
			w.t.Errorf("%s by %v: %v, want %v", l.name, aws.ToInt32(size), got, want)
		}
	}
	for _, size := range []int32{0, -1, l.most + 1} {
		_, _, err := l.list(ctx, w.glue, &size, nil)
		wantError(w.t, fmt.Sprintf("%s by %d", l.name, size), err, "ValidationException", "")
	}
	_, token, err := l.list(ctx, w.glue, aws.Int32(10), nil)
	if err != nil || token == nil {
		w.t.Fatalf("%s: %v", l.name, err)
	}
	const bad = "Invalid next token"
	for what, t := range map[string]string{"forged": "AAAA", "altered": "A" + *token, "cut": (*token)[:len(*token)-1], "no base64": "#", "long": strings.Repeat("A", 100_000)} {
		_, _, err := l.list(ctx, w.glue, nil, &t)
		wantError(w.t, l.name+" with a token that is "+what, err, "InvalidInputException", bad)
	}
	wantError(w.t, l.name+" with another's token", l.filtered(ctx, w.glue, token), "InvalidInputException", bad)
	if w.kind == onDisk {
		w.restart()
	}
	if l.remove != nil { // the last item of the page, the first of the next, and one of before
		for _, n := range []string{want[9], want[10], want[3]} {
			if err := l.remove(ctx, w.glue, n); err != nil {
				w.t.Fatal(err)
			}
		}
		want = slices.Concat(want[:10], want[11:])
	}
	page, _, err := l.list(ctx, w.glue, aws.Int32(5), token)
	if err != nil || !slices.Equal(page, want[10:15]) {
		w.t.Errorf("%s after deletions: %v, %v; want %v", l.name, page, err, want[10:15])
	}
	if l.remove != nil {
		w.restore(l.name)
	}
}

// restore makes again what a listing's case removed.
func (w *world) restore(listing string) {
	ctx := w.t.Context()
	for _, n := range []string{"item-009", "item-010", "item-003"} {
		switch {
		case strings.HasSuffix(listing, "Jobs"):
			must[*glue.CreateJobOutput](w.t)(w.glue.CreateJob(ctx, shell(n)))
		case strings.HasSuffix(listing, "Triggers"):
			must[*glue.CreateTriggerOutput](w.t)(w.glue.CreateTrigger(ctx, &glue.CreateTriggerInput{Name: &n, WorkflowName: &n, Type: types.TriggerTypeOnDemand, Actions: starts(n)}))
		}
	}
}

// Lists by tags hold what carries all the pairs (spec/jobs §1.6, spec/workflows §4.10).
func TestListByTags(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		ctx := w.t.Context()
		for i := range 600 { // more than is read at a time
			n, tags := fmt.Sprintf("item-%03d", i), map[string]string{"all": "yes"}
			if i%200 == 7 {
				tags["some"] = "x"
			}
			if i == 407 {
				tags["some"] = "y"
			}
			must[*glue.CreateJobOutput](w.t)(w.glue.CreateJob(ctx, shell(n, func(in *glue.CreateJobInput) { in.Tags = tags })))
			if i >= 200 {
				continue
			}
			must[*glue.CreateTriggerOutput](w.t)(w.glue.CreateTrigger(ctx, &glue.CreateTriggerInput{Name: &n, Type: types.TriggerTypeOnDemand, Actions: starts(n), Tags: tags}))
		}
		for _, c := range []struct {
			tags           map[string]string
			jobs, triggers []string
		}{
			{map[string]string{"some": "x"}, []string{"item-007", "item-207"}, []string{"item-007"}},
			{map[string]string{"some": "y", "all": "yes"}, []string{"item-407"}, nil},
			{map[string]string{"some": "x", "all": "no"}, nil, nil},
			{map[string]string{"Some": "x"}, nil, nil},
		} {
			jobs := must[*glue.ListJobsOutput](w.t)(w.glue.ListJobs(ctx, &glue.ListJobsInput{Tags: c.tags, MaxResults: aws.Int32(2)}))
			triggers := must[*glue.ListTriggersOutput](w.t)(w.glue.ListTriggers(ctx, &glue.ListTriggersInput{Tags: c.tags}))
			if !slices.Equal(jobs.JobNames, c.jobs) || !slices.Equal(triggers.TriggerNames, c.triggers) || jobs.NextToken != nil {
				w.t.Errorf("%v: %v (more: %v), %v; want %v, %v", c.tags, jobs.JobNames, jobs.NextToken != nil, triggers.TriggerNames, c.jobs, c.triggers)
			}
		}
	})
}
