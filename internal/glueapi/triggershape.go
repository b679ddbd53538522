package glueapi

import (
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"tenon/internal/flow"
)

// showTrigger turns a definition into the SDK's type.
func showTrigger(t *flow.Trigger) *types.Trigger {
	out := &types.Trigger{
		Name: &t.Name, Type: types.TriggerType(t.Type), State: types.TriggerState(t.State),
		Description: t.Description, Schedule: t.Schedule, WorkflowName: optional(t.Workflow),
		Actions: make([]types.Action, len(t.Actions)),
	}
	for i := range t.Actions {
		a := &t.Actions[i]
		out.Actions[i] = types.Action{
			JobName: optional(a.Job), CrawlerName: optional(a.Crawler), Arguments: a.Arguments,
			SecurityConfiguration: optional(a.SecurityConfiguration), Timeout: minutes(a.Timeout),
		}
		if a.Notify {
			out.Actions[i].NotificationProperty = &types.NotificationProperty{NotifyDelayAfter: minutes(a.NotifyDelayAfter)}
		}
	}
	if p := t.Predicate; p != nil {
		out.Predicate = &types.Predicate{Logical: types.Logical(p.Logical), Conditions: make([]types.Condition, len(p.Conditions))}
		for i := range p.Conditions {
			c := &p.Conditions[i]
			out.Predicate.Conditions[i] = types.Condition{
				LogicalOperator: types.LogicalOperator(c.Operator), JobName: optional(c.Job), State: types.JobRunState(c.State),
				CrawlerName: optional(c.Crawler), CrawlState: types.CrawlState(c.CrawlState),
			}
		}
	}
	if b := t.Batching; b != nil {
		out.EventBatchingCondition = &types.EventBatchingCondition{BatchSize: aws.Int32(int32(b.Size)), BatchWindow: minutes(b.Window)}
	}
	return out
}

func readActions(in []types.Action) []flow.Action {
	out := make([]flow.Action, len(in))
	for i, a := range in {
		out[i] = flow.Action{
			Job: aws.ToString(a.JobName), Crawler: aws.ToString(a.CrawlerName), Arguments: maps.Clone(a.Arguments),
			SecurityConfiguration: aws.ToString(a.SecurityConfiguration), Timeout: int(aws.ToInt32(a.Timeout)),
		}
		if a.NotificationProperty != nil {
			out[i].Notify, out[i].NotifyDelayAfter = true, int(aws.ToInt32(a.NotificationProperty.NotifyDelayAfter))
		}
	}
	return out
}

func readPredicate(in *types.Predicate) *flow.Predicate {
	if in == nil {
		return nil
	}
	out := &flow.Predicate{Logical: flow.Logical(in.Logical), Conditions: make([]flow.Condition, len(in.Conditions))}
	for i, c := range in.Conditions {
		out.Conditions[i] = flow.Condition{
			Operator: string(c.LogicalOperator), Job: aws.ToString(c.JobName), State: string(c.State),
			Crawler: aws.ToString(c.CrawlerName), CrawlState: string(c.CrawlState),
		}
	}
	return out
}

func readBatching(in *types.EventBatchingCondition) *flow.Batching {
	if in == nil {
		return nil
	}
	return &flow.Batching{Size: int(aws.ToInt32(in.BatchSize)), Window: int(aws.ToInt32(in.BatchWindow))}
}

// optional leaves an empty text out of a reply.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// minutes leaves a number that was not given out of a reply; the model refuses 0.
func minutes(n int) *int32 {
	if n == 0 {
		return nil
	}
	return aws.Int32(int32(n))
}
