package cli

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
)

func trigger(name string, t types.Trigger) types.Node {
	t.Name = &name
	return types.Node{Type: types.NodeTypeTrigger, Name: &name, UniqueId: aws.String("t" + name), TriggerDetails: &types.TriggerNodeDetails{Trigger: &t}}
}

func exampleGraph() *types.WorkflowGraph {
	edge := func(s string) types.Edge {
		from, to, _ := strings.Cut(s, " ")
		return types.Edge{SourceId: &from, DestinationId: &to}
	}
	named := func(kind types.NodeType, id, name string) types.Node {
		return types.Node{Type: kind, Name: &name, UniqueId: &id}
	}
	return &types.WorkflowGraph{
		Nodes: []types.Node{
			trigger("joined", types.Trigger{
				Type: types.TriggerTypeConditional, State: types.TriggerStateCreated,
				Predicate: &types.Predicate{Logical: types.LogicalAnd, Conditions: []types.Condition{
					{JobName: aws.String("load"), State: types.JobRunStateSucceeded}, {CrawlerName: aws.String("scan"), CrawlState: types.CrawlStateSucceeded},
				}},
				Actions: []types.Action{{JobName: aws.String(`re"port`)}, {CrawlerName: aws.String("scan")}},
			}),
			trigger("begin", types.Trigger{
				Type: types.TriggerTypeScheduled, State: types.TriggerStateActivated, Schedule: aws.String("cron(0 12 * * ? *)"),
				Actions: []types.Action{{JobName: aws.String("load")}},
			}),
			named("JOB", "j1", "load"), named("JOB", "j2", `re"port`), named("CRAWLER", "c1", "scan"),
		},
		Edges: []types.Edge{edge("tbegin j1"), edge("j1 tjoined"), edge("c1 tjoined"), edge("tjoined j2")},
	}
}

func TestGraph(t *testing.T) {
	for _, format := range []string{"text", "dot", "json"} {
		plain, err := renderGraph("etl\x1b", exampleGraph(), nil, format)
		if err != nil {
			t.Fatal(err)
		}
		withStates, err := renderGraph("etl", exampleGraph(), map[string]string{"JOB\x00load": "RUNNING"}, format)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "graph."+format, plain+withStates)
		if _, err := renderGraph("empty", nil, nil, format); err != nil {
			t.Errorf("a workflow without graph, as %s: %v", format, err)
		}
	}
}

func TestExplainText(t *testing.T) {
	s := snapshot{Workflow: "etl", RunID: "wr_1", Status: "RUNNING", Nodes: []node{
		job("load", "SUCCEEDED"), {Kind: "JOB", Name: "slow", Actions: []action{{Attempts: []attempt{{State: "STARTING", Message: "waits for a local slot"}}}}},
	}}
	e := explanation{
		Waiting: []waitingTrigger{
			{Trigger: "joined", Unmet: []unmetCondition{{"JOB", "slow", "SUCCEEDED", "RUNNING"}, {"JOB", "other", "FAILED", ""}}, Starts: []string{"report", "mail"}},
			{Trigger: "asleep", Inactive: true, Starts: []string{"x"}},
		},
		Unrun: []unrunNode{{"JOB", "report", whyMatterOfCourse}},
	}
	got := strings.Join(explainText(s, e), "\n") + "\n--\n"
	s.Status = "COMPLETED"
	golden(t, "explain.txt", got+strings.Join(explainText(s, e), "\n")+"\n")
}
