package tenon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/smithy-go"

	"tenon/internal/wire/awsjson"
)

// dump writes down everything that the API shows, for "and nothing changed".
func (w *world) dump() string {
	w.t.Helper()
	ctx := w.t.Context()
	var b strings.Builder
	add := func(out any, err error) {
		if err != nil {
			w.t.Fatalf("dump: %v", err)
		}
		body, err := awsjson.Marshal(out)
		if err != nil {
			w.t.Fatalf("dump: %v", err)
		}
		fmt.Fprintf(&b, "%s\n", body)
	}
	triggers, err := w.glue.GetTriggers(ctx, &glue.GetTriggersInput{})
	add(triggers, err)
	jobs, err := w.glue.GetJobs(ctx, &glue.GetJobsInput{})
	add(jobs, err)
	workflows, err := w.glue.ListWorkflows(ctx, &glue.ListWorkflowsInput{})
	add(workflows, err)
	tags := func(kind, name string) {
		out, err := w.glue.GetTags(ctx, &glue.GetTagsInput{ResourceArn: arnOf(kind, name)})
		add(out, err)
	}
	for _, t := range triggers.Triggers {
		tags("trigger", *t.Name)
	}
	for _, j := range jobs.Jobs {
		tags("job", *j.Name)
		runs, err := w.glue.GetJobRuns(ctx, &glue.GetJobRunsInput{JobName: j.Name})
		add(runs, err)
	}
	for _, name := range workflows.Workflows {
		tags("workflow", name)
		out, err := w.glue.GetWorkflow(ctx, &glue.GetWorkflowInput{Name: &name, IncludeGraph: aws.Bool(true)})
		add(out, err)
		runs, err := w.glue.GetWorkflowRuns(ctx, &glue.GetWorkflowRunsInput{Name: &name, IncludeGraph: aws.Bool(true)})
		add(runs, err)
	}
	return b.String()
}

func arnOf(kind, name string) *string {
	return aws.String("arn:aws:glue:" + DefaultRegion + ":" + DefaultAccount + ":" + kind + "/" + name)
}

// refusal is a call that must be refused with these words and change nothing.
type refusal struct {
	row  string // of the specification
	call func(context.Context, *glue.Client) error
	code string
	text string
}

func (w *world) refuses(cases []refusal) {
	w.t.Helper()
	before := w.dump()
	for _, c := range cases {
		wantError(w.t, c.row, c.call(w.t.Context(), w.glue), c.code, c.text)
		w.settle()
		if after := w.dump(); after != before {
			w.t.Errorf("%s: a refused call changed something:\n%s\nbecame\n%s", c.row, before, after)
			before = after
		}
	}
}

// wantError checks an error's code, and its text unless that is "".
func wantError(t *testing.T, what string, err error, code, text string) {
	t.Helper()
	var api smithy.APIError
	switch {
	case err == nil:
		t.Errorf("%s: was done; want %s: %s", what, code, text)
	case !errors.As(err, &api):
		t.Errorf("%s: %v; want %s: %s", what, err, code, text)
	case api.ErrorCode() != code || text != "" && api.ErrorMessage() != text:
		t.Errorf("%s:\ngot  %s: %s\nwant %s: %s", what, api.ErrorCode(), api.ErrorMessage(), code, text)
	}
}

// must stops the test at an error.
func must[Out any](t *testing.T) func(Out, error) Out {
	return func(out Out, err error) Out {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// shell is the least of a Python-shell job.
func shell(name string, change ...func(*glue.CreateJobInput)) *glue.CreateJobInput {
	in := &glue.CreateJobInput{
		Name: &name, Role: aws.String("role"),
		Command: &types.JobCommand{Name: aws.String("pythonshell"), ScriptLocation: aws.String("s3://scripts/" + name + ".py")},
	}
	for _, c := range change {
		c(in)
	}
	return in
}

func starts(jobs ...string) []types.Action {
	var out []types.Action
	for _, j := range jobs {
		out = append(out, types.Action{JobName: aws.String(j)})
	}
	return out
}

func watches(job string, state types.JobRunState) types.Condition {
	return types.Condition{LogicalOperator: types.LogicalOperatorEquals, JobName: &job, State: state}
}

// scene makes a workflow W with a start trigger "go" for job J, a conditional
// trigger "then" for job K, and a standalone trigger "alone" for J.
func (w *world) scene() {
	w.t.Helper()
	ctx := w.t.Context()
	must[*glue.CreateWorkflowOutput](w.t)(w.glue.CreateWorkflow(ctx, &glue.CreateWorkflowInput{Name: aws.String("W"), MaxConcurrentRuns: aws.Int32(1)}))
	for _, j := range []string{"J", "K"} {
		must[*glue.CreateJobOutput](w.t)(w.glue.CreateJob(ctx, shell(j)))
	}
	for _, in := range []*glue.CreateTriggerInput{
		{Name: aws.String("go"), WorkflowName: aws.String("W"), Type: types.TriggerTypeOnDemand, Actions: starts("J")},
		{
			Name: aws.String("then"), WorkflowName: aws.String("W"), Type: types.TriggerTypeConditional, Actions: starts("K"), StartOnCreation: true,
			Predicate: &types.Predicate{Conditions: []types.Condition{watches("J", types.JobRunStateSucceeded)}},
		},
		{Name: aws.String("alone"), Type: types.TriggerTypeOnDemand, Actions: starts("J")},
	} {
		must[*glue.CreateTriggerOutput](w.t)(w.glue.CreateTrigger(ctx, in))
	}
}
