//go:build conformance

// Package gosdk proves that the AWS SDK for Go v2 can create, start, poll and stop
// a workflow on the built binary, which conformance/clients/run starts.
package gosdk

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func client() *glue.Client {
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY")}, nil
	})
	return glue.New(glue.Options{
		BaseEndpoint: aws.String(os.Getenv("AWS_ENDPOINT_URL")), Region: os.Getenv("AWS_REGION"), Credentials: credentials,
	})
}

// must ends the test where there is nothing to go on with.
func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// refused asserts that err is the SDK's type of an exception.
func refused[E error](t *testing.T, err error) {
	t.Helper()
	var want E
	if !errors.As(err, &want) {
		t.Errorf("error is %v, want a %T", err, want)
	}
}

// makeWorkflow creates start → quick → then → slow.
func makeWorkflow(ctx context.Context, t *testing.T, c *glue.Client, name string) {
	t.Helper()
	for job, script := range map[string]string{"quick": os.Getenv("QUICK_SCRIPT"), "slow": os.Getenv("SLOW_SCRIPT")} {
		must[*glue.CreateJobOutput](t)(c.CreateJob(ctx, &glue.CreateJobInput{
			Name: aws.String(name + "-" + job), Role: aws.String("r"),
			Command: &types.JobCommand{Name: aws.String("pythonshell"), PythonVersion: aws.String("3.9"), ScriptLocation: &script},
		}))
	}
	must[*glue.CreateWorkflowOutput](t)(c.CreateWorkflow(ctx, &glue.CreateWorkflowInput{
		Name: &name, MaxConcurrentRuns: aws.Int32(1), DefaultRunProperties: map[string]string{"a": "1"}, Tags: map[string]string{"k": "v"},
	}))
	must[*glue.CreateTriggerOutput](t)(c.CreateTrigger(ctx, &glue.CreateTriggerInput{
		Name: aws.String(name + "-start"), WorkflowName: &name, Type: types.TriggerTypeOnDemand,
		Actions: []types.Action{{JobName: aws.String(name + "-quick")}},
	}))
	must[*glue.CreateTriggerOutput](t)(c.CreateTrigger(ctx, &glue.CreateTriggerInput{
		Name: aws.String(name + "-then"), WorkflowName: &name, Type: types.TriggerTypeConditional, StartOnCreation: true,
		Predicate: &types.Predicate{Conditions: []types.Condition{{
			LogicalOperator: types.LogicalOperatorEquals, JobName: aws.String(name + "-quick"), State: types.JobRunStateSucceeded,
		}}},
		Actions: []types.Action{{JobName: aws.String(name + "-slow")}},
	}))
}

// await polls a workflow run until done holds.
func await(ctx context.Context, t *testing.T, c *glue.Client, name, run string, done func(*types.WorkflowRun) bool) *types.WorkflowRun {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		seen := must[*glue.GetWorkflowRunOutput](t)(c.GetWorkflowRun(ctx, &glue.GetWorkflowRunInput{
			Name: &name, RunId: &run, IncludeGraph: aws.Bool(true),
		})).Run
		if done(seen) {
			return seen
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not in time; the run is %s with %+v", seen.Status, seen.Statistics)
		case <-tick.C:
		}
	}
}

// jobRuns lists what a run says of one job.
func jobRuns(run *types.WorkflowRun, job string) []types.JobRun {
	for _, n := range run.Graph.Nodes {
		if n.Type == types.NodeTypeJob && aws.ToString(n.Name) == job && n.JobDetails != nil {
			return n.JobDetails.JobRuns
		}
	}
	return nil
}

// TestLifeOfAWorkflow proves Must show 2 for this SDK.
func TestLifeOfAWorkflow(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, name := client(), "go"
	makeWorkflow(ctx, t, c, name)

	run := *must[*glue.StartWorkflowRunOutput](t)(c.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{
		Name: &name, RunProperties: map[string]string{"b": "2"},
	})).RunId
	_, err := c.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: &name})
	refused[*types.ConcurrentRunsExceededException](t, err)

	await(ctx, t, c, name, run, func(r *types.WorkflowRun) bool {
		slow := jobRuns(r, "go-slow")
		return len(slow) == 1 && slow[0].JobRunState == types.JobRunStateRunning
	})
	if _, err := c.StopWorkflowRun(ctx, &glue.StopWorkflowRunInput{Name: &name, RunId: &run}); err != nil {
		t.Fatal(err)
	}
	ended := await(ctx, t, c, name, run, func(r *types.WorkflowRun) bool {
		return r.Status != types.WorkflowRunStatusRunning && r.Status != types.WorkflowRunStatusStopping
	})
	if ended.Status != types.WorkflowRunStatusStopped {
		t.Errorf("status is %s", ended.Status)
	}
	want := &types.WorkflowRunStatistics{TotalActions: 2, SucceededActions: 1, StoppedActions: 1}
	if diff := cmp.Diff(want, ended.Statistics, cmpopts.IgnoreUnexported(types.WorkflowRunStatistics{})); diff != "" {
		t.Errorf("statistics (-want +got):\n%s", diff)
	}
	if n, e := len(ended.Graph.Nodes), len(ended.Graph.Edges); n != 4 || e != 3 {
		t.Errorf("graph has %d nodes and %d edges", n, e)
	}
	if ended.StartedOn == nil || ended.CompletedOn == nil || ended.CompletedOn.Before(*ended.StartedOn) || time.Since(*ended.StartedOn) > time.Minute {
		t.Errorf("times are %v to %v", ended.StartedOn, ended.CompletedOn)
	}
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "2"}, ended.WorkflowRunProperties); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
	_, err = c.StopWorkflowRun(ctx, &glue.StopWorkflowRunInput{Name: &name, RunId: &run})
	refused[*types.IllegalWorkflowStateException](t, err)
}

// TestTags proves that tags of a workflow can be changed.
func TestTags(t *testing.T) {
	ctx, c := t.Context(), client()
	must[*glue.CreateWorkflowOutput](t)(c.CreateWorkflow(ctx, &glue.CreateWorkflowInput{Name: aws.String("tags"), Tags: map[string]string{"k": "v"}}))
	arn := aws.String("arn:aws:glue:us-east-1:123456789012:workflow/tags")
	must[*glue.TagResourceOutput](t)(c.TagResource(ctx, &glue.TagResourceInput{ResourceArn: arn, TagsToAdd: map[string]string{"n": "1"}}))
	must[*glue.UntagResourceOutput](t)(c.UntagResource(ctx, &glue.UntagResourceInput{ResourceArn: arn, TagsToRemove: []string{"k"}}))
	got := must[*glue.GetTagsOutput](t)(c.GetTags(ctx, &glue.GetTagsInput{ResourceArn: arn})).Tags
	if diff := cmp.Diff(map[string]string{"n": "1"}, got); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

// TestPages proves that the SDK's paginator sees each workflow once.
func TestPages(t *testing.T) {
	ctx, c := t.Context(), client()
	want := []string{"pages-0", "pages-1", "pages-2", "pages-3", "pages-4"}
	for _, name := range want {
		must[*glue.CreateWorkflowOutput](t)(c.CreateWorkflow(ctx, &glue.CreateWorkflowInput{Name: &name}))
	}
	var got []string
	pages := glue.NewListWorkflowsPaginator(c, &glue.ListWorkflowsInput{MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		page := must[*glue.ListWorkflowsOutput](t)(pages.NextPage(ctx))
		if len(page.Workflows) > 2 {
			t.Errorf("a page holds %d workflows", len(page.Workflows))
		}
		got = append(got, page.Workflows...)
	}
	got = slices.DeleteFunc(got, func(s string) bool { return !strings.HasPrefix(s, "pages-") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("workflows (-want +got):\n%s", diff)
	}
}

// TestErrors proves that refusals arrive as the SDK's types.
func TestErrors(t *testing.T) {
	ctx, c, absent := t.Context(), client(), aws.String("absent")
	_, err := c.GetWorkflow(ctx, &glue.GetWorkflowInput{Name: absent})
	refused[*types.EntityNotFoundException](t, err)
	_, err = c.StartJobRun(ctx, &glue.StartJobRunInput{JobName: absent})
	refused[*types.EntityNotFoundException](t, err)
	_, err = c.CreateWorkflow(ctx, &glue.CreateWorkflowInput{Name: aws.String("zero"), MaxConcurrentRuns: aws.Int32(0)})
	refused[*types.InvalidInputException](t, err)
	must[*glue.CreateWorkflowOutput](t)(c.CreateWorkflow(ctx, &glue.CreateWorkflowInput{Name: aws.String("twice")}))
	_, err = c.CreateWorkflow(ctx, &glue.CreateWorkflowInput{Name: aws.String("twice")})
	refused[*types.AlreadyExistsException](t, err)
}
