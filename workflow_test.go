package tenon

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tenon/internal/launch/fake"
)

// Rows of spec/workflows §2.2, §2.3, §2.6, §5.5 and §5.6 that refuse.
func TestWorkflowRules(t *testing.T) {
	create := func(in glue.CreateWorkflowInput) func(context.Context, *glue.Client) error {
		return func(ctx context.Context, c *glue.Client) error { _, err := c.CreateWorkflow(ctx, &in); return err }
	}
	update := func(in glue.UpdateWorkflowInput) func(context.Context, *glue.Client) error {
		return func(ctx context.Context, c *glue.Client) error { _, err := c.UpdateWorkflow(ctx, &in); return err }
	}
	const positive = "MaxConcurrentRuns must be a positive integer"
	many := make([]string, 26)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	cases := []refusal{
		{"§2.2 exists", create(glue.CreateWorkflowInput{Name: aws.String("W")}), "AlreadyExistsException", "Workflow with name: W already exists"},
		{"§2.2 no runs", create(glue.CreateWorkflowInput{Name: aws.String("V"), MaxConcurrentRuns: aws.Int32(0)}), "InvalidInputException", positive},
		{"§2.2 fewer", create(glue.CreateWorkflowInput{Name: aws.String("V"), MaxConcurrentRuns: aws.Int32(-1)}), "InvalidInputException", positive},
		{"§1.9 description", create(glue.CreateWorkflowInput{Name: aws.String("V"), Description: aws.String(strings.Repeat("x", 120001))}), "ValidationException", ""},
		{"§2.3 missing", update(glue.UpdateWorkflowInput{Name: aws.String("V")}), "EntityNotFoundException", "Entity not found"},
		{"§2.3 no runs", update(glue.UpdateWorkflowInput{Name: aws.String("W"), MaxConcurrentRuns: aws.Int32(0)}), "InvalidInputException", positive},
		{"§2.6 missing", func(ctx context.Context, c *glue.Client) error {
			_, err := c.GetWorkflow(ctx, &glue.GetWorkflowInput{Name: aws.String("V")})
			return err
		}, "EntityNotFoundException", "Entity not found"},
		{"§2.6 too many", func(ctx context.Context, c *glue.Client) error {
			_, err := c.BatchGetWorkflows(ctx, &glue.BatchGetWorkflowsInput{Names: many})
			return err
		}, "ValidationException", ""},
		{"§5.5 runs of a missing workflow", func(ctx context.Context, c *glue.Client) error {
			_, err := c.GetWorkflowRuns(ctx, &glue.GetWorkflowRunsInput{Name: aws.String("V")})
			return err
		}, "EntityNotFoundException", "Entity not found"},
	}
	inWorlds(t, nil, func(w *world) {
		w.scene()
		cases, ctx := slices.Clone(cases), w.t.Context()
		id := must[*glue.StartWorkflowRunOutput](w.t)(w.glue.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: aws.String("W")})).RunId
		must[*glue.CreateWorkflowOutput](w.t)(w.glue.CreateWorkflow(ctx, &glue.CreateWorkflowInput{Name: aws.String("other")}))
		w.advance(time.Minute)
		// Every operation on a run: in a missing workflow, in another one, by a wrong id.
		for what, of := range map[string][2]string{
			"missing workflow": {"V", *id}, "other workflow": {"other", *id}, "nonsense": {"W", "wr_1"},
			"one digit off": {"W", (*id)[:len(*id)-1] + string('0'+('9'-(*id)[len(*id)-1]+10)%10)}, "upper case": {"W", strings.ToUpper(*id)},
		} {
			name, run := aws.String(of[0]), aws.String(of[1])
			for op, call := range map[string]func(context.Context, *glue.Client) error{
				"get": func(ctx context.Context, c *glue.Client) error {
					_, err := c.GetWorkflowRun(ctx, &glue.GetWorkflowRunInput{Name: name, RunId: run})
					return err
				},
				"stop": func(ctx context.Context, c *glue.Client) error {
					_, err := c.StopWorkflowRun(ctx, &glue.StopWorkflowRunInput{Name: name, RunId: run})
					return err
				},
				"properties": func(ctx context.Context, c *glue.Client) error {
					_, err := c.GetWorkflowRunProperties(ctx, &glue.GetWorkflowRunPropertiesInput{Name: name, RunId: run})
					return err
				},
				"put": func(ctx context.Context, c *glue.Client) error {
					_, err := c.PutWorkflowRunProperties(ctx, &glue.PutWorkflowRunPropertiesInput{Name: name, RunId: run, RunProperties: map[string]string{"a": "b"}})
					return err
				},
			} {
				cases = append(cases, refusal{"§5.5 " + op + ", " + what, call, "EntityNotFoundException", "Entity not found"})
			}
		}
		cases = append(cases, refusal{"§5.7 completed", func(ctx context.Context, c *glue.Client) error {
			_, err := c.StopWorkflowRun(ctx, &glue.StopWorkflowRunInput{Name: aws.String("W"), RunId: id})
			return err
		}, "IllegalWorkflowStateException", "Workflow run " + *id + " is in state COMPLETED and cannot be stopped"})
		w.refuses(cases)
	})
}

// UpdateWorkflow keeps what is absent and replaces what is there; triggers that
// come and go touch the workflow; runs keep what they began with (spec/workflows
// §2.3–§2.6, §5.6).
func TestWorkflowChanges(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		ctx := w.t.Context()
		name := aws.String("W")
		get := func() *types.Workflow {
			return must[*glue.GetWorkflowOutput](w.t)(w.glue.GetWorkflow(ctx, &glue.GetWorkflowInput{Name: name})).Workflow
		}
		created := time.Now()
		want := types.Workflow{
			Name: name, Description: aws.String("d"), DefaultRunProperties: map[string]string{"a": "1", "b": "1"}, MaxConcurrentRuns: aws.Int32(3),
			CreatedOn: &created, LastModifiedOn: &created,
		}
		sdk := cmpopts.IgnoreUnexported(types.Workflow{})
		check := func(what string) {
			w.t.Helper()
			got := get()
			got.LastRun = nil
			if diff := gocmp.Diff(want, *got, sdk, cmpopts.EquateApproxTime(0)); diff != "" {
				w.t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		moved := func() {
			now := time.Now()
			want.LastModifiedOn = &now
		}
		must[*glue.CreateWorkflowOutput](w.t)(w.glue.CreateWorkflow(ctx, &glue.CreateWorkflowInput{
			Name: name, Description: want.Description, DefaultRunProperties: want.DefaultRunProperties, MaxConcurrentRuns: want.MaxConcurrentRuns,
		}))
		check("created")
		w.advance(time.Minute)
		must[*glue.CreateJobOutput](w.t)(w.glue.CreateJob(ctx, shell("J")))
		must[*glue.CreateTriggerOutput](w.t)(w.glue.CreateTrigger(ctx, &glue.CreateTriggerInput{Name: aws.String("T"), WorkflowName: name, Type: types.TriggerTypeOnDemand, Actions: starts("J")}))
		moved()
		check("a trigger was added")
		w.plan("J", fake.Outcome{After: time.Hour})
		run := must[*glue.StartWorkflowRunOutput](w.t)(w.glue.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: name})).RunId
		w.advance(time.Minute)
		must[*glue.UpdateWorkflowOutput](w.t)(w.glue.UpdateWorkflow(ctx, &glue.UpdateWorkflowInput{Name: name}))
		moved()
		check("an update without members")
		must[*glue.UpdateWorkflowOutput](w.t)(w.glue.UpdateWorkflow(ctx, &glue.UpdateWorkflowInput{
			Name: name, Description: aws.String(""), DefaultRunProperties: map[string]string{"c": "2"}, MaxConcurrentRuns: aws.Int32(1),
		}))
		want.Description, want.DefaultRunProperties, want.MaxConcurrentRuns = aws.String(""), map[string]string{"c": "2"}, aws.Int32(1)
		check("an update with all members")
		must[*glue.UpdateWorkflowOutput](w.t)(w.glue.UpdateWorkflow(ctx, &glue.UpdateWorkflowInput{Name: name, DefaultRunProperties: map[string]string{}}))
		if p := get().DefaultRunProperties; len(p) != 0 {
			w.t.Errorf("properties that were cleared: %v", p)
		}
		must[*glue.PutWorkflowRunPropertiesOutput](w.t)(w.glue.PutWorkflowRunProperties(ctx, &glue.PutWorkflowRunPropertiesInput{
			Name: name, RunId: run, RunProperties: map[string]string{"b": "9", "aws:eventIds": "[x]"},
		}))
		p := must[*glue.GetWorkflowRunPropertiesOutput](w.t)(w.glue.GetWorkflowRunProperties(ctx, &glue.GetWorkflowRunPropertiesInput{Name: name, RunId: run})).RunProperties
		if !maps.Equal(p, map[string]string{"a": "1", "b": "9", "aws:eventIds": "[x]"}) {
			w.t.Errorf("the properties of the run: %v", p)
		}
		if p := get().DefaultRunProperties; len(p) != 0 {
			w.t.Errorf("a run changed the defaults: %v", p)
		}
		w.advance(time.Minute)
		must[*glue.DeleteTriggerOutput](w.t)(w.glue.DeleteTrigger(ctx, &glue.DeleteTriggerInput{Name: aws.String("T")}))
		if m := *get().LastModifiedOn; !m.Equal(time.Now()) {
			w.t.Errorf("after a trigger went: modified %s", m)
		}
		w.advance(2 * time.Hour) // properties can be put after the end too
		must[*glue.PutWorkflowRunPropertiesOutput](w.t)(w.glue.PutWorkflowRunProperties(ctx, &glue.PutWorkflowRunPropertiesInput{Name: name, RunId: run, RunProperties: map[string]string{"late": ""}}))
		last := get().LastRun
		if last == nil || *last.WorkflowRunId != *run || last.Graph != nil || last.WorkflowRunProperties["late"] != "" || len(last.WorkflowRunProperties) != 4 || last.Status != types.WorkflowRunStatusCompleted {
			w.t.Errorf("the last run: %+v", last)
		}
		must[*glue.CreateWorkflowOutput](w.t)(w.glue.CreateWorkflow(ctx, &glue.CreateWorkflowInput{Name: aws.String("A")}))
		batch := must[*glue.BatchGetWorkflowsOutput](w.t)(w.glue.BatchGetWorkflows(ctx, &glue.BatchGetWorkflowsInput{Names: []string{"x", "W", "A", "W", "x"}, IncludeGraph: aws.Bool(true)}))
		if len(batch.Workflows) != 2 || *batch.Workflows[0].Name != "W" || *batch.Workflows[1].Name != "A" || !slices.Equal(batch.MissingWorkflows, []string{"x"}) ||
			batch.Workflows[0].Graph == nil || batch.Workflows[0].LastRun.Graph == nil || len(batch.Workflows[0].LastRun.Graph.Nodes) != 2 || len(batch.Workflows[0].Graph.Nodes) != 0 {
			w.t.Errorf("BatchGetWorkflows: %+v", batch)
		}
	})
}

// The static graph is that of the current triggers, with the ids that runs have
// (spec/workflows §2.7).
func TestStaticGraph(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		ctx := w.t.Context()
		must[*glue.StartWorkflowRunOutput](w.t)(w.glue.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: aws.String("W")}))
		w.advance(time.Minute)
		out := must[*glue.GetWorkflowOutput](w.t)(w.glue.GetWorkflow(ctx, &glue.GetWorkflowInput{Name: aws.String("W"), IncludeGraph: aws.Bool(true)})).Workflow
		var nodes []string
		ids := map[string]string{}
		for i, n := range out.Graph.Nodes {
			nodes = append(nodes, string(n.Type)+" "+*n.Name)
			ids[*n.UniqueId] = *n.Name
			if n.JobDetails != nil || n.CrawlerDetails != nil || (n.TriggerDetails != nil) != (n.Type == types.NodeTypeTrigger) {
				w.t.Errorf("node %s: %+v", *n.Name, n)
			}
			if id := *out.LastRun.Graph.Nodes[i].UniqueId; id != *n.UniqueId || !strings.HasPrefix(id, "wnode_") || len(id) != 70 {
				w.t.Errorf("node %s: %s here, %s in the run", *n.Name, *n.UniqueId, id)
			}
		}
		var edges []string
		for _, e := range out.Graph.Edges {
			edges = append(edges, ids[*e.SourceId]+">"+ids[*e.DestinationId])
		}
		if want := []string{"TRIGGER go", "JOB J", "TRIGGER then", "JOB K"}; !slices.Equal(nodes, want) {
			w.t.Errorf("nodes %v, want %v", nodes, want)
		}
		if want := []string{"go>J", "J>then", "then>K"}; !slices.Equal(edges, want) {
			w.t.Errorf("edges %v, want %v", edges, want)
		}
	})
}

// Tags of every kind of resource, by its ARN (spec/workflows §1.9, §4.11).
func TestTags(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		ctx := w.t.Context()
		tags := func(arn *string) map[string]string {
			return must[*glue.GetTagsOutput](w.t)(w.glue.GetTags(ctx, &glue.GetTagsInput{ResourceArn: arn})).Tags
		}
		fifty := map[string]string{}
		for i := range 50 {
			fifty[fmt.Sprint(i)] = ""
		}
		tooMany := maps.Clone(fifty)
		tooMany["more"] = ""
		const limit = "A resource can have at most 50 tags"
		prefix := func(k string) string { return "Tag keys and values must not start with aws: " + k }
		add := func(arn *string, tags map[string]string) func(context.Context, *glue.Client) error {
			return func(ctx context.Context, c *glue.Client) error {
				_, err := c.TagResource(ctx, &glue.TagResourceInput{ResourceArn: arn, TagsToAdd: tags})
				return err
			}
		}
		for kind, name := range map[string]string{"workflow": "W", "trigger": "go", "job": "J"} {
			arn := arnOf(kind, name)
			must[*glue.TagResourceOutput](w.t)(w.glue.TagResource(ctx, &glue.TagResourceInput{ResourceArn: arn, TagsToAdd: map[string]string{"a": "1", "b": "1"}}))
			must[*glue.TagResourceOutput](w.t)(w.glue.TagResource(ctx, &glue.TagResourceInput{ResourceArn: arn, TagsToAdd: map[string]string{"b": "2", "A": ""}}))
			must[*glue.UntagResourceOutput](w.t)(w.glue.UntagResource(ctx, &glue.UntagResourceInput{ResourceArn: arn, TagsToRemove: []string{"a", "never"}}))
			if got := tags(arn); !maps.Equal(got, map[string]string{"b": "2", "A": ""}) {
				w.t.Errorf("%s: %v", kind, got)
			}
			w.refuses([]refusal{
				{kind + ", 51 with those of before", add(arn, fifty), "InvalidInputException", limit},
				{kind + ", key with aws", add(arn, map[string]string{"aws:x": ""}), "InvalidInputException", prefix("aws:x")},
				{kind + ", value with aws", add(arn, map[string]string{"x": "awsome"}), "InvalidInputException", prefix("x")},
				{kind + ", long key", add(arn, map[string]string{strings.Repeat("k", 129): ""}), "ValidationException", ""},
				{kind + ", long value", add(arn, map[string]string{"k": strings.Repeat("v", 257)}), "ValidationException", ""},
				{kind + ", missing", add(arnOf(kind, "nowhere"), fifty), "EntityNotFoundException", "Entity not found"},
			})
			must[*glue.UntagResourceOutput](w.t)(w.glue.UntagResource(ctx, &glue.UntagResourceInput{ResourceArn: arn, TagsToRemove: []string{"A", "b"}}))
			must[*glue.TagResourceOutput](w.t)(w.glue.TagResource(ctx, &glue.TagResourceInput{ResourceArn: arn, TagsToAdd: fifty}))
			if got := tags(arn); len(got) != 50 {
				w.t.Errorf("%s: %d tags", kind, len(got))
			}
		}
		w.refuses([]refusal{
			{"another account", add(aws.String("arn:aws:glue:us-east-1:210987654321:job/J"), map[string]string{"a": ""}), "EntityNotFoundException", "Entity not found"},
			{"another region", add(aws.String("arn:aws:glue:eu-west-1:123456789012:job/J"), map[string]string{"a": ""}), "EntityNotFoundException", "Entity not found"},
			{"another kind", add(arnOf("database", "J"), map[string]string{"a": ""}), "EntityNotFoundException", "Entity not found"},
			{"no ARN", add(aws.String("J"), map[string]string{"a": ""}), "ValidationException", ""},
			{"half an ARN", add(aws.String("arn:aws:glue:x"), map[string]string{"a": ""}), "InvalidInputException", "Resource ARN is not valid: arn:aws:glue:x"},
			{"create workflow", func(ctx context.Context, c *glue.Client) error {
				_, err := c.CreateWorkflow(ctx, &glue.CreateWorkflowInput{Name: aws.String("n"), Tags: map[string]string{"aws": ""}})
				return err
			}, "InvalidInputException", prefix("aws")},
			{"create trigger", func(ctx context.Context, c *glue.Client) error {
				_, err := c.CreateTrigger(ctx, &glue.CreateTriggerInput{Name: aws.String("n"), Type: types.TriggerTypeOnDemand, Actions: starts("J"), Tags: map[string]string{"aws": ""}})
				return err
			}, "InvalidInputException", prefix("aws")},
			{"create job", func(ctx context.Context, c *glue.Client) error {
				_, err := c.CreateJob(ctx, shell("n", func(in *glue.CreateJobInput) { in.Tags = tooMany }))
				return err
			}, "ValidationException", ""},
		})
	})
}
