package flow

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func job(name string) Action { return Action{Job: name} }

func crawler(name string) Action { return Action{Crawler: name} }

func when(job, state string) Condition {
	return Condition{Operator: "EQUALS", Job: job, State: state}
}

func whenCrawled(crawler, state string) Condition {
	return Condition{Operator: "EQUALS", Crawler: crawler, CrawlState: state}
}

func conditional(name string, logical Logical, conditions []Condition, actions ...Action) Trigger {
	return Trigger{Name: name, Type: Conditional, State: Activated, Actions: actions, Predicate: &Predicate{Logical: logical, Conditions: conditions}}
}

func repeat(a Action, n int) (out []Action) {
	for i := range n {
		b := a
		if b.Job != "" {
			b.Job = fmt.Sprint(a.Job, i)
		} else {
			b.Crawler = fmt.Sprint(a.Crawler, i)
		}
		out = append(out, b)
	}
	return out
}

// Each row of spec/workflows §4.6 that the definition alone decides.
func TestCheck(t *testing.T) {
	text := func(s string) *string { return &s }
	ok := []Condition{when("A", "SUCCEEDED")}
	type row struct {
		name    string
		trigger Trigger
		start   bool
		want    *Violation
	}
	tests := []row{
		{name: "on demand", trigger: Trigger{Type: OnDemand, Actions: []Action{job("A")}}},
		{name: "conditional", trigger: conditional("t", "", ok, job("B")), start: true},
		{name: "scheduled", trigger: Trigger{Type: Scheduled, Schedule: text("cron(0 1 * * ? *)"), Actions: []Action{job("A")}}, start: true},
		{name: "event", trigger: Trigger{Type: Event, Workflow: "w", Actions: []Action{crawler("A")}}},
		{name: "row 5: no predicate", trigger: Trigger{Type: Conditional, Actions: []Action{job("B")}}, want: &Violation{Rule: PredicateMissing, Index: -1}},
		{name: "row 5: no conditions", trigger: conditional("t", And, nil, job("B")), want: &Violation{Rule: PredicateMissing, Index: -1}},
		{name: "row 6", trigger: conditional("t", And, []Condition{ok[0], {Job: "C", State: "FAILED"}}, job("B")), want: &Violation{Rule: OperatorMissing, Index: 1}},
		{name: "row 7: State instead of CrawlState", trigger: conditional("t", "", []Condition{{Operator: "EQUALS", Crawler: "c", State: "SUCCEEDED"}}, job("B")), want: &Violation{Rule: CrawlStateMissing}},
		{name: "row 7: unwatchable", trigger: conditional("t", "", []Condition{whenCrawled("c", "RUNNING")}, job("B")), want: &Violation{Rule: CrawlStateMissing}},
		{name: "row 8: no state", trigger: conditional("t", "", []Condition{when("A", "")}, job("B")), want: &Violation{Rule: JobStateMissing}},
		{name: "row 8: unwatchable", trigger: conditional("t", "", []Condition{when("A", "ERROR")}, job("B")), want: &Violation{Rule: JobStateMissing}},
		{name: "row 9", trigger: conditional("t", "", []Condition{ok[0], when("C", "FAILED")}, job("B")), want: &Violation{Rule: LogicalMissing, Index: -1}},
		{name: "row 9: one condition needs none", trigger: conditional("t", Any, ok, job("B"))},
		{name: "row 10", trigger: conditional("t", And, ok, job("B"), job("A")), want: &Violation{Rule: JobWatchedAndStarted, Index: 1}},
		{name: "row 10: on a scheduled trigger", trigger: Trigger{Type: Scheduled, Schedule: text("cron(0 1 * * ? *)"), Actions: []Action{job("A")}, Predicate: &Predicate{Conditions: ok}}, want: &Violation{Rule: JobWatchedAndStarted}},
		{name: "row 11", trigger: conditional("t", "", []Condition{whenCrawled("c", "FAILED")}, crawler("c")), want: &Violation{Rule: CrawlerWatchedAndStart}},
		{name: "row 11: a job of the crawler's name is another thing", trigger: conditional("t", "", []Condition{whenCrawled("c", "FAILED")}, job("c"))},
		{name: "row 12", trigger: Trigger{Type: OnDemand, Actions: repeat(crawler("c"), 3)}, want: &Violation{Rule: TooManyCrawlers, Index: -1}},
		{name: "row 12: two are fine", trigger: Trigger{Type: OnDemand, Actions: repeat(crawler("c"), 2)}},
		{name: "row 14: no actions", trigger: Trigger{Type: OnDemand}, want: &Violation{Rule: ActionsMissing, Index: -1}},
		{name: "row 14: an action of neither", trigger: Trigger{Type: OnDemand, Actions: []Action{job("A"), {}}}, want: &Violation{Rule: ActionAmbiguous, Index: 1}},
		{name: "row 14: an action of both", trigger: Trigger{Type: OnDemand, Actions: []Action{{Job: "A", Crawler: "c"}}}, want: &Violation{Rule: ActionAmbiguous}},
		{name: "row 14: a condition of neither", trigger: conditional("t", "", []Condition{{Operator: "EQUALS", State: "FAILED"}}, job("B")), want: &Violation{Rule: ConditionAmbiguous}},
		{name: "row 14: a condition of both", trigger: conditional("t", "", []Condition{{Operator: "EQUALS", Job: "A", State: "FAILED", Crawler: "c", CrawlState: "FAILED"}}, job("B")), want: &Violation{Rule: ConditionAmbiguous}},
		{name: "row 15: absent", trigger: Trigger{Type: Scheduled, Actions: []Action{job("A")}}, want: &Violation{Rule: ScheduleMissing, Index: -1}},
		{name: "row 15: empty", trigger: Trigger{Type: Scheduled, Schedule: text(""), Actions: []Action{job("A")}}, want: &Violation{Rule: ScheduleMissing, Index: -1}},
		{name: "row 18: on demand", trigger: Trigger{Type: OnDemand, Actions: []Action{job("A")}}, start: true, want: &Violation{Rule: StartOnCreationRefused, Index: -1, Name: "ON_DEMAND"}},
		{name: "row 18: event", trigger: Trigger{Type: Event, Workflow: "w", Actions: []Action{job("A")}}, start: true, want: &Violation{Rule: StartOnCreationRefused, Index: -1, Name: "EVENT"}},
		{name: "row 19", trigger: Trigger{Type: Event, Actions: []Action{job("A")}}, want: &Violation{Rule: WorkflowMissing, Index: -1}},
		{name: "row 20: batching elsewhere is ignored", trigger: Trigger{Type: OnDemand, Actions: []Action{job("A")}, Batching: &Batching{Size: 1, Window: 900}}},
		{name: "row 21: a schedule elsewhere is ignored", trigger: Trigger{Type: OnDemand, Actions: []Action{job("A")}, Schedule: text("nonsense")}},
		{name: "row 23", trigger: Trigger{Type: OnDemand, Actions: repeat(job("A"), 51)}, want: &Violation{Rule: TooManyJobs, Index: -1}},
		{name: "row 23: fifty are fine", trigger: Trigger{Type: OnDemand, Actions: repeat(job("A"), 50)}},
	}
	for _, state := range []string{"SUCCEEDED", "STOPPED", "FAILED", "TIMEOUT"} {
		tests = append(tests, row{name: "row 8: " + state, trigger: conditional("t", "", []Condition{when("A", state)}, job("B"))})
	}
	for _, state := range []string{"SUCCEEDED", "FAILED", "CANCELLED"} {
		tests = append(tests, row{name: "row 7: " + state, trigger: conditional("t", "", []Condition{whenCrawled("c", state)}, job("B"))})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Check(tt.trigger, tt.start)
			var got *Violation
			if err != nil && !errors.As(err, &got) {
				t.Fatalf("Check = %v, which is no Violation", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Check (-want +got):\n%s", diff)
			}
		})
	}
}

// describe writes nodes and edges as text.
func describe(g *Graph) (nodes, edges []string) {
	for _, n := range g.Nodes {
		nodes = append(nodes, string(n.Type)+" "+n.Name)
	}
	for _, e := range g.Edges {
		edges = append(edges, g.Nodes[e.From].Name+" -> "+g.Nodes[e.To].Name)
	}
	return nodes, edges
}

// The example of spec/workflows §2.7: T1→J1→T2→J2, J1 and J2→T3→J3.
func TestBuildDocumentedExample(t *testing.T) {
	g := Build("w", []Trigger{
		{Name: "T1", Type: OnDemand, Actions: []Action{job("J1")}},
		conditional("T2", "", []Condition{when("J1", "SUCCEEDED")}, job("J2")),
		conditional("T3", And, []Condition{when("J1", "SUCCEEDED"), when("J2", "FAILED")}, job("J3")),
	})
	nodes, edges := describe(g)
	wantNodes := []string{"TRIGGER T1", "JOB J1", "TRIGGER T2", "JOB J2", "TRIGGER T3", "JOB J3"}
	wantEdges := []string{"T1 -> J1", "J1 -> T2", "T2 -> J2", "J1 -> T3", "J2 -> T3", "T3 -> J3"}
	if diff := cmp.Diff(wantNodes, nodes) + cmp.Diff(wantEdges, edges); diff != "" {
		t.Error(diff)
	}
	if g.TotalActions() != 3 {
		t.Errorf("TotalActions = %d", g.TotalActions())
	}
	if g.TriggerNode(1) != 2 || g.ActionNode(1, 0) != 3 || g.ConditionNode(2, 1) != 3 {
		t.Errorf("indices: %d %d %d", g.TriggerNode(1), g.ActionNode(1, 0), g.ConditionNode(2, 1))
	}
	want := []Watch{{Trigger: 1, Condition: 0, State: "SUCCEEDED"}, {Trigger: 2, Condition: 0, State: "SUCCEEDED"}}
	if diff := cmp.Diff(want, g.Watches(1)); diff != "" {
		t.Error(diff)
	}
	for i, trigger := range []int{0, -1, 1, -1, 2, -1} {
		if g.Nodes[i].Trigger != trigger {
			t.Errorf("node %d is of trigger %d, want %d", i, g.Nodes[i].Trigger, trigger)
		}
	}
	if start, ok := g.StartTrigger(); start != 0 || !ok {
		t.Errorf("StartTrigger = %d, %v", start, ok)
	}
}

// Nodes and edges are sets; a cycle is a graph like any other (spec/workflows §2.7).
func TestBuildSetsAndCycles(t *testing.T) {
	tests := []struct {
		name         string
		triggers     []Trigger
		nodes, edges []string
		actions      int
	}{
		{name: "nothing"},
		{
			name: "a job, a crawler and a trigger of one name are three nodes",
			triggers: []Trigger{
				{Name: "x", Type: OnDemand, Actions: []Action{job("x"), crawler("x")}},
			},
			nodes: []string{"TRIGGER x", "JOB x", "CRAWLER x"}, edges: []string{"x -> x", "x -> x"}, actions: 2,
		},
		{
			name: "what is named twice is one node, and one edge",
			triggers: []Trigger{
				{Name: "s", Type: OnDemand, Actions: []Action{job("A"), job("A")}},
				conditional("t", Any, []Condition{when("A", "FAILED"), when("A", "STOPPED")}, job("B")),
				conditional("u", "", []Condition{whenCrawled("c", "FAILED")}, job("B")),
			},
			nodes:   []string{"TRIGGER s", "JOB A", "TRIGGER t", "JOB B", "TRIGGER u", "CRAWLER c"},
			edges:   []string{"s -> A", "A -> t", "t -> B", "c -> u", "u -> B"},
			actions: 3,
		},
		{
			name: "a cycle",
			triggers: []Trigger{
				conditional("t", "", []Condition{when("A", "SUCCEEDED")}, job("B")),
				conditional("u", "", []Condition{when("B", "SUCCEEDED")}, job("A")),
			},
			nodes: []string{"TRIGGER t", "JOB A", "JOB B", "TRIGGER u"}, edges: []string{"A -> t", "t -> B", "B -> u", "u -> A"}, actions: 2,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := Build("w", tt.triggers)
			nodes, edges := describe(g)
			if diff := cmp.Diff(tt.nodes, nodes) + cmp.Diff(tt.edges, edges); diff != "" {
				t.Error(diff)
			}
			if g.TotalActions() != tt.actions {
				t.Errorf("TotalActions = %d, want %d", g.TotalActions(), tt.actions)
			}
			if _, ok := g.StartTrigger(); ok != slices.ContainsFunc(tt.triggers, func(t Trigger) bool { return t.Type == OnDemand }) {
				t.Errorf("StartTrigger found: %v", ok)
			}
		})
	}
}

// Ids are the same in every run and after a restart (spec/workflows §2.7): these
// were computed with another tool and must never change.
func TestNodeID(t *testing.T) {
	tests := []struct {
		workflow string
		typ      NodeType
		name     string
		want     string
	}{
		{"w", JobNode, "A", "wnode_05b4f312aaf661e54c0199f5b1f3bf51375a94aac6d655a6f9d4f5298ef4ac15"},
		{"w", TriggerNode, "A", "wnode_166419a2cd93e4aacb598ad291ad0ff8fc92a0fb99781b90d72e6a5ffbc1d0b4"},
		{"", CrawlerNode, "ü", "wnode_7ce66625454643bd1d3765d3db1b8ed00aab5bdfbf2a522e21bf2dde826b33d4"},
	}
	for _, tt := range tests {
		if got := NodeID(tt.workflow, tt.typ, tt.name); got != tt.want {
			t.Errorf("NodeID(%q, %s, %q) = %s, want %s", tt.workflow, tt.typ, tt.name, got, tt.want)
		}
	}
}

// Conditions are joined by AND unless ANY is given (spec/workflows §4.4).
func TestHolds(t *testing.T) {
	three := make([]Condition, 3)
	tests := []struct {
		p    *Predicate
		want []bool // by number of conditions met
	}{
		{nil, []bool{false}},
		{&Predicate{Logical: And}, []bool{false}},
		{&Predicate{Logical: Any}, []bool{false}},
		{&Predicate{Conditions: three[:1]}, []bool{false, true}},
		{&Predicate{Conditions: three}, []bool{false, false, false, true}},
		{&Predicate{Logical: And, Conditions: three}, []bool{false, false, false, true}},
		{&Predicate{Logical: Any, Conditions: three}, []bool{false, true, true, true}},
	}
	for _, tt := range tests {
		for met, want := range tt.want {
			if got := tt.p.Holds(met); got != want {
				t.Errorf("%+v holds with %d: %v", tt.p, met, got)
			}
		}
	}
}

// The types that start a workflow, and those that can be activated
// (spec/workflows §4.2).
func TestTriggerTypes(t *testing.T) {
	tests := []struct {
		typ               TriggerType
		starts, activates bool
	}{{OnDemand, true, false}, {Scheduled, true, true}, {Conditional, false, true}, {Event, true, false}}
	for _, tt := range tests {
		if tt.typ.Starts() != tt.starts || tt.typ.Activates() != tt.activates {
			t.Errorf("%s: starts %v, activates %v", tt.typ, tt.typ.Starts(), tt.typ.Activates())
		}
	}
}
