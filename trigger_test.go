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
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// triggerRule is a row of spec/workflows §4.6 that a definition breaks.
type triggerRule struct {
	row  string
	typ  types.TriggerType
	def  func(*types.TriggerUpdate)
	code string
	text string
}

func conditions(logical types.Logical, cs ...types.Condition) func(*types.TriggerUpdate) {
	return func(d *types.TriggerUpdate) { d.Predicate = &types.Predicate{Logical: logical, Conditions: cs} }
}

func triggerRules() []triggerRule {
	const (
		onDemand, scheduled, conditional = types.TriggerTypeOnDemand, types.TriggerTypeScheduled, types.TriggerTypeConditional
		invalid                          = "InvalidInputException"
		jobStates                        = "State cannot be null or empty, choose from one of the following job state: [SUCCEEDED, STOPPED, TIMEOUT, FAILED] (condition 1)"
		crawlStates                      = "State cannot be null or empty, choose from one of the following crawler state: [SUCCEEDED, FAILED, CANCELLED]"
	)
	equals := types.LogicalOperatorEquals
	ok := watches("K", types.JobRunStateSucceeded)
	crawler := func(state types.CrawlState) types.Condition {
		return types.Condition{LogicalOperator: equals, CrawlerName: aws.String("c"), CrawlState: state}
	}
	actions := func(as ...types.Action) func(*types.TriggerUpdate) {
		return func(d *types.TriggerUpdate) { d.Actions = as }
	}
	crawl := func(name string) types.Action { return types.Action{CrawlerName: &name} }
	schedule := func(text string) func(*types.TriggerUpdate) {
		return func(d *types.TriggerUpdate) { d.Schedule = &text }
	}
	many := make([]string, 51)
	for i := range many {
		many[i] = fmt.Sprintf("job-%d", i)
	}
	rules := []triggerRule{
		{"row 1, length", onDemand, func(d *types.TriggerUpdate) { d.Description = aws.String(strings.Repeat("x", 2049)) }, "ValidationException", ""},
		{"row 1, batch size", onDemand, func(d *types.TriggerUpdate) {
			d.EventBatchingCondition = &types.EventBatchingCondition{BatchSize: aws.Int32(101)}
		}, "ValidationException", ""},
		{"row 5, no predicate", conditional, func(*types.TriggerUpdate) {}, invalid, "Predicate cannot be null or empty"},
		{"row 5, no conditions", conditional, conditions(""), invalid, "Predicate cannot be null or empty"},
		{"row 6", conditional, conditions("", types.Condition{JobName: aws.String("K"), State: types.JobRunStateFailed}), invalid, "Logical operator cannot be null or empty (condition 1)"},
		{"row 7, none", conditional, conditions("", crawler("")), invalid, crawlStates + " (condition 1)"},
		{"row 7, State instead", conditional, conditions("ANY", ok, types.Condition{LogicalOperator: equals, CrawlerName: aws.String("c"), State: types.JobRunStateSucceeded}), invalid, crawlStates + " (condition 2)"},
		{"row 8, none", conditional, conditions("", types.Condition{LogicalOperator: equals, JobName: aws.String("K")}), invalid, jobStates},
		{"row 9", conditional, conditions("", ok, watches("L", types.JobRunStateFailed)), invalid, "Logical cannot be null or empty when multiple conditions are listed"},
		{"row 10", conditional, conditions("", watches("J", types.JobRunStateSucceeded)), invalid, "Job cannot be a Predicate and Action for Conditional Trigger."},
		{"row 10, SCHEDULED", scheduled, func(d *types.TriggerUpdate) {
			conditions("", watches("J", types.JobRunStateSucceeded))(d)
			schedule("cron(0 12 * * ? *)")(d)
		}, invalid, "Job cannot be a Predicate and Action for Conditional Trigger."},
		{"row 11", conditional, func(d *types.TriggerUpdate) {
			conditions("", crawler(types.CrawlStateSucceeded))(d)
			actions(crawl("c"))(d)
		}, invalid, "Crawler cannot be a Predicate and Action for Conditional Trigger."},
		{"row 12", onDemand, actions(crawl("c"), crawl("d"), crawl("e")), invalid, "Actions cannot contain more than two crawlers"},
		{"row 14, neither", onDemand, actions(types.Action{}), invalid, "Each action must specify either a job or a crawler"},
		{"row 14, both", onDemand, actions(types.Action{JobName: aws.String("J"), CrawlerName: aws.String("c")}), invalid, "Each action must specify either a job or a crawler"},
		{"row 14, none", onDemand, func(d *types.TriggerUpdate) { d.Actions = []types.Action{} }, invalid, "Actions cannot be null or empty"},
		{"row 14, condition on both", conditional, conditions("", types.Condition{
			LogicalOperator: equals, JobName: aws.String("K"), State: types.JobRunStateFailed, CrawlerName: aws.String("c"), CrawlState: types.CrawlStateFailed,
		}), invalid, "Each condition must specify either a job or a crawler (condition 1)"},
		{"row 15", scheduled, func(*types.TriggerUpdate) {}, invalid, "Schedule cannot be null or empty"},
		{"row 17", scheduled, schedule("cron(0/4 * * * ? *)"), invalid, "Schedule cannot be more frequent than every 5 minutes"},
		{"row 23", onDemand, func(d *types.TriggerUpdate) { d.Actions = starts(many...) }, "ResourceNumberLimitExceededException", "The number of jobs in one trigger has exceeded the limit. A trigger is limited to 50 jobs."},
	}
	for _, s := range []types.JobRunState{types.JobRunStateError, types.JobRunStateWaiting, types.JobRunStateExpired, types.JobRunStateRunning, types.JobRunStateStarting, types.JobRunStateStopping} {
		rules = append(rules, triggerRule{"row 8, " + string(s), conditional, conditions("", watches("K", s)), invalid, jobStates})
	}
	for _, s := range []types.CrawlState{types.CrawlStateError, types.CrawlStateRunning, types.CrawlStateCancelling} {
		rules = append(rules, triggerRule{"row 7, " + string(s), conditional, conditions("", crawler(s)), invalid, crawlStates + " (condition 1)"})
	}
	for _, s := range []string{"every day", "cron(0 12 * * * *)", "cron(0 25 * * ? *)", "rate(1 hour)", "cron(0 12 ? * 2#1 *)"} { // §4.7
		rules = append(rules, triggerRule{"row 16, " + s, scheduled, schedule(s), invalid, "Schedule expression is not valid: " + s})
	}
	return rules
}

// Every row of spec/workflows §4.6 that a definition alone can break, for
// CreateTrigger and for UpdateTrigger.
func TestTriggerRules(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		ctx := w.t.Context()
		daily := aws.String("cron(0 12 * * ? *)")
		for _, in := range []*glue.CreateTriggerInput{
			{Name: aws.String("victim-ON_DEMAND"), Type: types.TriggerTypeOnDemand},
			{Name: aws.String("victim-SCHEDULED"), Type: types.TriggerTypeScheduled, Schedule: daily},
			{Name: aws.String("victim-CONDITIONAL"), Type: types.TriggerTypeConditional, Predicate: &types.Predicate{Conditions: []types.Condition{watches("K", types.JobRunStateFailed)}}},
		} {
			in.Actions = starts("J")
			must[*glue.CreateTriggerOutput](w.t)(w.glue.CreateTrigger(ctx, in))
		}
		var cases []refusal
		for _, r := range triggerRules() {
			def := types.TriggerUpdate{Actions: starts("J")}
			r.def(&def)
			cases = append(cases, refusal{"create, " + r.row, func(ctx context.Context, c *glue.Client) error {
				_, err := c.CreateTrigger(ctx, &glue.CreateTriggerInput{
					Name: aws.String("new"), Type: r.typ, Actions: def.Actions, Predicate: def.Predicate, Schedule: def.Schedule,
					Description: def.Description, EventBatchingCondition: def.EventBatchingCondition,
				})
				return err
			}, r.code, r.text}, refusal{"update, " + r.row, func(ctx context.Context, c *glue.Client) error {
				_, err := c.UpdateTrigger(ctx, &glue.UpdateTriggerInput{Name: aws.String("victim-" + string(r.typ)), TriggerUpdate: &def})
				return err
			}, r.code, r.text})
		}
		create := func(in glue.CreateTriggerInput) func(context.Context, *glue.Client) error {
			if in.Actions == nil {
				in.Actions = starts("J")
			}
			return func(ctx context.Context, c *glue.Client) error { _, err := c.CreateTrigger(ctx, &in); return err }
		}
		missing := func(call func(context.Context, *glue.Client, *string) error) func(context.Context, *glue.Client) error {
			return func(ctx context.Context, c *glue.Client) error { return call(ctx, c, aws.String("nowhere")) }
		}
		const (
			invalid  = "InvalidInputException"
			unknown  = "EntityNotFoundException"
			notFound = "Trigger with name: nowhere not found."
		)
		w.refuses(append(cases,
			refusal{"row 1, type", create(glue.CreateTriggerInput{Name: aws.String("new"), Type: "BOGUS"}), "ValidationException", ""},
			refusal{"row 2", create(glue.CreateTriggerInput{Name: aws.String("alone"), Type: types.TriggerTypeOnDemand}), "AlreadyExistsException", "Trigger with name: alone already exists"},
			refusal{"row 3", create(glue.CreateTriggerInput{Name: aws.String("new"), Type: types.TriggerTypeOnDemand, WorkflowName: aws.String("nowhere")}), unknown, "Entity not found"},
			refusal{"row 4", create(glue.CreateTriggerInput{Name: aws.String("new"), Type: types.TriggerTypeOnDemand, WorkflowName: aws.String("W")}), invalid, "Workflow W already has a starting trigger: go"},
			refusal{"row 4, EVENT", create(glue.CreateTriggerInput{Name: aws.String("new"), Type: types.TriggerTypeEvent, WorkflowName: aws.String("W")}), invalid, "Workflow W already has a starting trigger: go"},
			refusal{"row 18", create(glue.CreateTriggerInput{Name: aws.String("new"), Type: types.TriggerTypeOnDemand, StartOnCreation: true}), invalid, "StartOnCreation is not supported for trigger type ON_DEMAND"},
			refusal{"row 19", create(glue.CreateTriggerInput{Name: aws.String("new"), Type: types.TriggerTypeEvent}), invalid, "WorkflowName is required for EVENT triggers"},
			refusal{"missing, get", missing(func(ctx context.Context, c *glue.Client, n *string) error {
				_, err := c.GetTrigger(ctx, &glue.GetTriggerInput{Name: n})
				return err
			}), unknown, notFound},
			refusal{"missing, start", missing(func(ctx context.Context, c *glue.Client, n *string) error {
				_, err := c.StartTrigger(ctx, &glue.StartTriggerInput{Name: n})
				return err
			}), unknown, notFound},
			refusal{"missing, stop", missing(func(ctx context.Context, c *glue.Client, n *string) error {
				_, err := c.StopTrigger(ctx, &glue.StopTriggerInput{Name: n})
				return err
			}), unknown, notFound},
			refusal{"missing, update", missing(func(ctx context.Context, c *glue.Client, n *string) error {
				_, err := c.UpdateTrigger(ctx, &glue.UpdateTriggerInput{Name: n, TriggerUpdate: &types.TriggerUpdate{Actions: starts("J")}})
				return err
			}), unknown, notFound},
		))
		// Rows 13, 20 and 21 refuse nothing: missing jobs, batching and schedules of other types.
		if err := create(glue.CreateTriggerInput{
			Name: aws.String("lenient"), Type: types.TriggerTypeConditional, Actions: starts("no-such-job"), Schedule: aws.String("whenever"),
			Predicate:              &types.Predicate{Conditions: []types.Condition{watches("nor-this", types.JobRunStateTimeout)}},
			EventBatchingCondition: &types.EventBatchingCondition{BatchSize: aws.Int32(1), BatchWindow: aws.Int32(900)},
		})(ctx, w.glue); err != nil {
			w.t.Errorf("rows 13, 20, 21: %v", err)
		}
		back := must[*glue.GetTriggerOutput](w.t)(w.glue.GetTrigger(ctx, &glue.GetTriggerInput{Name: aws.String("lenient")})).Trigger
		if b := back.EventBatchingCondition; b == nil || *b.BatchSize != 1 || *b.BatchWindow != 900 || aws.ToString(back.Schedule) != "whenever" {
			w.t.Errorf("rows 20, 21: not echoed: %+v", back)
		}
		// The start trigger itself may be deleted; then there is room for another (§4.9).
		must[*glue.DeleteTriggerOutput](w.t)(w.glue.DeleteTrigger(ctx, &glue.DeleteTriggerInput{Name: aws.String("go")}))
		wantError(w.t, "without start trigger", startW(ctx, w.glue), "InvalidInputException", "Workflow W does not have a starting trigger")
		if err := create(glue.CreateTriggerInput{Name: aws.String("event"), Type: types.TriggerTypeEvent, WorkflowName: aws.String("W")})(ctx, w.glue); err != nil {
			w.t.Error(err)
		}
		if err := startW(ctx, w.glue); err != nil { // §3.2: an EVENT start trigger fires without events
			w.t.Error(err)
		}
	})
}

// Every operation in every stable state, for every type (spec/workflows §4.3, §10.1).
func TestTriggerStates(t *testing.T) {
	const (
		created, activated, deactivated = types.TriggerStateCreated, types.TriggerStateActivated, types.TriggerStateDeactivated
		gone                            = types.TriggerState("gone")
	)
	notIn := func(s types.TriggerState) string {
		return "The operation is not allowed when trigger is in state: " + string(s)
	}
	const event = "Trigger Type EVENT cannot be started"
	type cell struct {
		typ   types.TriggerType
		state types.TriggerState
		// start, stop and update: the state after it, or a refusal's text.
		start, stop, update string
	}
	var cells []cell
	for _, typ := range []types.TriggerType{types.TriggerTypeScheduled, types.TriggerTypeConditional} {
		cells = append(cells,
			cell{typ, created, string(activated), notIn(created), string(created)},
			cell{typ, activated, notIn(activated), string(deactivated), string(activated)},
			cell{typ, deactivated, string(activated), notIn(deactivated), string(created)},
		)
	}
	cells = append(cells,
		cell{types.TriggerTypeOnDemand, created, string(created), notIn(created), string(created)},
		cell{types.TriggerTypeEvent, created, event, notIn(created), string(created)},
	)
	inWorlds(t, nil, func(w *world) {
		ctx := w.t.Context()
		must[*glue.CreateWorkflowOutput](w.t)(w.glue.CreateWorkflow(ctx, &glue.CreateWorkflowInput{Name: aws.String("W")}))
		must[*glue.CreateJobOutput](w.t)(w.glue.CreateJob(ctx, shell("J", func(in *glue.CreateJobInput) { in.ExecutionProperty = &types.ExecutionProperty{MaxConcurrentRuns: 99} })))
		name := aws.String("t")
		def := func(typ types.TriggerType) types.TriggerUpdate {
			d := types.TriggerUpdate{Actions: starts("J"), Description: aws.String("about"), Schedule: aws.String("cron(0 12 * * ? *)")}
			if typ == types.TriggerTypeConditional {
				d.Predicate = &types.Predicate{Conditions: []types.Condition{watches("K", types.JobRunStateFailed)}}
			}
			return d
		}
		make := func(c cell) {
			d := def(c.typ)
			in := &glue.CreateTriggerInput{Name: name, Type: c.typ, Actions: d.Actions, Predicate: d.Predicate, Schedule: d.Schedule, Description: d.Description}
			if c.typ == types.TriggerTypeEvent {
				in.WorkflowName = aws.String("W")
			}
			in.StartOnCreation = c.state != created
			must[*glue.CreateTriggerOutput](w.t)(w.glue.CreateTrigger(ctx, in))
			if c.state == deactivated {
				must[*glue.StopTriggerOutput](w.t)(w.glue.StopTrigger(ctx, &glue.StopTriggerInput{Name: name}))
			}
		}
		state := func() types.TriggerState {
			out, err := w.glue.GetTrigger(ctx, &glue.GetTriggerInput{Name: name})
			if err != nil {
				return gone
			}
			return out.Trigger.State
		}
		for _, c := range cells {
			for _, op := range []struct {
				name string
				want string
				call func() error
			}{
				{"get", string(c.state), func() error { return nil }},
				{"start", c.start, func() error {
					_, err := w.glue.StartTrigger(ctx, &glue.StartTriggerInput{Name: name})
					return err
				}},
				{"stop", c.stop, func() error { _, err := w.glue.StopTrigger(ctx, &glue.StopTriggerInput{Name: name}); return err }},
				{"update", c.update, func() error {
					d := def(c.typ)
					d.Description, d.Name = nil, aws.String("ignored") // absent is cleared; the name is reserved
					out, err := w.glue.UpdateTrigger(ctx, &glue.UpdateTriggerInput{Name: name, TriggerUpdate: &d})
					if err == nil && (out.Trigger.Description != nil || *out.Trigger.Name != "t" || out.Trigger.Type != c.typ) {
						w.t.Errorf("UpdateTrigger answered %+v", out.Trigger)
					}
					return err
				}},
				{"delete", string(gone), func() error {
					_, err := w.glue.DeleteTrigger(ctx, &glue.DeleteTriggerInput{Name: name})
					return err
				}},
			} {
				make(c)
				want, what := types.TriggerState(op.want), fmt.Sprintf("%s %s trigger in %s", op.name, c.typ, c.state)
				err := op.call()
				if strings.Contains(op.want, " ") {
					wantError(w.t, what, err, "InvalidInputException", op.want)
					want = c.state
				} else if err != nil {
					w.t.Errorf("%s: %v", what, err)
				}
				if got := state(); got != want {
					w.t.Errorf("%s: it is %s, want %s", what, got, want)
				}
				// Deleting what is gone is fine (§4.9).
				must[*glue.DeleteTriggerOutput](w.t)(w.glue.DeleteTrigger(ctx, &glue.DeleteTriggerInput{Name: name}))
				must[*glue.DeleteTriggerOutput](w.t)(w.glue.DeleteTrigger(ctx, &glue.DeleteTriggerInput{Name: name}))
			}
		}
		w.advance(time.Hour * 24) // nothing that was stored fires by the clock yet
		runs := must[*glue.GetJobRunsOutput](w.t)(w.glue.GetJobRuns(ctx, &glue.GetJobRunsInput{JobName: aws.String("J")})).JobRuns
		if len(runs) != 1 || *runs[0].TriggerName != "t" { // the ON_DEMAND one was fired once
			w.t.Errorf("%d job runs", len(runs))
		}
	})
}

// A trigger comes back as it was sent (spec/workflows §4.1).
func TestTriggerReadBack(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		ctx := w.t.Context()
		in := &glue.CreateTriggerInput{
			Name: aws.String("full ✓/1"), WorkflowName: aws.String("W"), Type: types.TriggerTypeConditional, StartOnCreation: true,
			Description: aws.String("two\nlines"), Tags: map[string]string{"team": "data"},
			Actions: []types.Action{
				{JobName: aws.String("J"), Arguments: map[string]string{"--a": "1", "--empty": ""}, Timeout: aws.Int32(5), SecurityConfiguration: aws.String("sec"), NotificationProperty: &types.NotificationProperty{NotifyDelayAfter: aws.Int32(3)}},
				{JobName: aws.String("J"), NotificationProperty: &types.NotificationProperty{}},
				{CrawlerName: aws.String("c")},
			},
			Predicate: &types.Predicate{Logical: types.LogicalAny, Conditions: []types.Condition{
				watches("K", types.JobRunStateFailed), watches("K", types.JobRunStateTimeout),
				{LogicalOperator: types.LogicalOperatorEquals, CrawlerName: aws.String("d"), CrawlState: types.CrawlStateCancelled},
			}},
			EventBatchingCondition: &types.EventBatchingCondition{BatchSize: aws.Int32(2)},
		}
		want := types.Trigger{
			Name: in.Name, WorkflowName: in.WorkflowName, Type: in.Type, State: types.TriggerStateActivated, Description: in.Description,
			Actions: in.Actions, Predicate: in.Predicate, EventBatchingCondition: in.EventBatchingCondition,
		}
		must[*glue.CreateTriggerOutput](w.t)(w.glue.CreateTrigger(ctx, in))
		sdk := cmpopts.IgnoreUnexported(types.Trigger{}, types.Action{}, types.NotificationProperty{}, types.Predicate{}, types.Condition{}, types.EventBatchingCondition{})
		got := must[*glue.GetTriggerOutput](w.t)(w.glue.GetTrigger(ctx, &glue.GetTriggerInput{Name: in.Name})).Trigger
		if diff := gocmp.Diff(want, *got, sdk); diff != "" {
			w.t.Errorf("GetTrigger (-sent +got):\n%s", diff)
		}
		batch := must[*glue.BatchGetTriggersOutput](w.t)(w.glue.BatchGetTriggers(ctx, &glue.BatchGetTriggersInput{TriggerNames: []string{"nowhere", *in.Name, "go", *in.Name, "nowhere"}}))
		if len(batch.Triggers) != 2 || *batch.Triggers[0].Name != *in.Name || *batch.Triggers[1].Name != "go" || !slices.Equal(batch.TriggersNotFound, []string{"nowhere"}) {
			w.t.Errorf("BatchGetTriggers: %+v", batch)
		}
		if diff := gocmp.Diff(want, batch.Triggers[0], sdk); diff != "" {
			w.t.Errorf("BatchGetTriggers (-sent +got):\n%s", diff)
		}
	})
}

// DependentJobName looks at actions, and answers with all triggers when none
// can start the job; a job that does not exist is not found (spec/workflows §4.10).
func TestDependentJobName(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		ctx := w.t.Context()
		must[*glue.CreateJobOutput](w.t)(w.glue.CreateJob(ctx, shell("idle")))
		for job, want := range map[string][]string{"J": {"alone", "go"}, "K": {"then"}, "idle": {"alone", "go", "then"}} {
			names := must[*glue.ListTriggersOutput](w.t)(w.glue.ListTriggers(ctx, &glue.ListTriggersInput{DependentJobName: &job})).TriggerNames
			if !slices.Equal(names, want) {
				w.t.Errorf("ListTriggers for %s: %v, want %v", job, names, want)
			}
			full := must[*glue.GetTriggersOutput](w.t)(w.glue.GetTriggers(ctx, &glue.GetTriggersInput{DependentJobName: &job})).Triggers
			if !slices.EqualFunc(full, want, func(t types.Trigger, n string) bool { return *t.Name == n }) {
				w.t.Errorf("GetTriggers for %s: %v, want %v", job, full, want)
			}
		}
		w.refuses([]refusal{
			{"§4.10 list", func(ctx context.Context, c *glue.Client) error {
				_, err := c.ListTriggers(ctx, &glue.ListTriggersInput{DependentJobName: aws.String("nowhere")})
				return err
			}, "EntityNotFoundException", "Job with name: nowhere not found."},
			{"§4.10 get", func(ctx context.Context, c *glue.Client) error {
				_, err := c.GetTriggers(ctx, &glue.GetTriggersInput{DependentJobName: aws.String("nowhere")})
				return err
			}, "EntityNotFoundException", "Job with name: nowhere not found."},
		})
	})
}
