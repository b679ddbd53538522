package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenon/internal/flow"
)

// Why each node did not run, once everything that runs has ended as ends says:
// SUCCEEDED where it says nothing.
func TestExplainWhy(t *testing.T) {
	tests := []struct {
		name, triggers, ends string
		want                 string // NODE=reason: state, inactive or unreachable
	}{
		{"everything ran", "s: on-demand -> A\nt: all A=SUCCEEDED -> B", "", ""},
		{"a watched state did not occur", "s: on-demand -> A\nt: all A=FAILED -> B", "", "B=state"},
		{"and what follows from it", "s: on-demand -> A\nt: all A=FAILED -> B\nu: all B=SUCCEEDED -> C", "", "B=state C=state"},
		{"an inactive trigger", "s: on-demand -> A\nt: off all A=SUCCEEDED -> B", "", "B=inactive"},
		{"an inactive trigger upstream", "s: on-demand -> A\nt: off all A=SUCCEEDED -> B\nu: all B=SUCCEEDED -> C\nv: any C=FAILED -> D", "", "B=inactive C=inactive D=inactive"},
		{"watched, and started by nothing", "s: on-demand -> A\nt: all X=SUCCEEDED -> B", "", "X=unreachable B=unreachable"},
		{"a cycle that nothing enters", "s: on-demand -> A\nt: all B=SUCCEEDED -> C\nu: all C=SUCCEEDED -> B", "", "B=unreachable C=unreachable"},
		{"a cycle behind an inactive trigger", "s: on-demand -> A\nx: off all A=SUCCEEDED -> B\nt: all B=SUCCEEDED -> C\nu: all C=SUCCEEDED -> B", "", "B=inactive C=inactive"},
		{"the same, met from its other end", "s: on-demand -> A\nt: all B=SUCCEEDED -> C\nu: all C=SUCCEEDED -> B\nx: off all A=SUCCEEDED -> B", "", "B=inactive C=inactive"},
		{"a cycle behind a state that did not occur", "s: on-demand -> A\nt: all B=SUCCEEDED -> C\nu: all C=SUCCEEDED -> B\nx: all A=FAILED -> C", "", "B=state C=state"},
		{"a long cycle, entered at its end", "s: on-demand -> A\nt: all B=SUCCEEDED -> C\nu: all C=SUCCEEDED -> D\nv: all D=SUCCEEDED -> B\nx: off all A=SUCCEEDED -> D", "", "B=inactive C=inactive D=inactive"},
		{"two triggers: the mildest reason", "s: on-demand -> A\nt: off all A=SUCCEEDED -> B\nu: all A=FAILED -> B", "", "B=state"},
		{"two triggers: inactive before unreachable", "s: on-demand -> A\nt: all X=FAILED -> B\nu: off all A=SUCCEEDED -> B", "", "X=unreachable B=inactive"},
		{"AND of a state that did not occur and a node that never ran", "s: on-demand -> A\nt: off all A=SUCCEEDED -> B\nu: all A=FAILED B=SUCCEEDED -> C", "", "B=inactive C=state"},
		{"AND of a state that occurred and an inactive trigger", "s: on-demand -> A\nt: off all A=SUCCEEDED -> B\nu: all A=SUCCEEDED B=SUCCEEDED -> C", "", "B=inactive C=inactive"},
		{"AND of an inactive trigger and an unreachable node", "s: on-demand -> A\nt: off all A=SUCCEEDED -> B\nu: all B=SUCCEEDED X=SUCCEEDED -> C", "", "B=inactive X=unreachable C=inactive"},
		{"ANY of a state that did not occur and an unreachable node", "s: on-demand -> A\nu: any A=FAILED X=SUCCEEDED -> C", "", "X=unreachable C=state"},
		{"a crawler", "s: on-demand -> crawl:a\nt: all crawl:a=SUCCEEDED -> crawl:b", "crawl:a=FAILED", "b=state"},
	}
	short := map[Why]string{StateDidNotOccur: "state", TriggerInactive: "inactive", Unreachable: "unreachable"}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := play(t, tt.triggers, tt.ends)
			x, err := Explain(r)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, u := range x.Unrun {
				got = append(got, u.Name+"="+short[u.Why])
			}
			if diff := cmp.Diff(strings.Fields(tt.want), got); diff != "" && tt.want != "" || tt.want == "" && len(got) > 0 {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// play runs a workflow to its end; each action run ends as ends says of its node.
func play(t *testing.T, triggers, ends string) Run {
	t.Helper()
	s := &story{t: t, count: map[int]int{}}
	g := flow.Build("w", parseTriggers(t, triggers))
	start, ok := g.StartTrigger()
	if !ok {
		t.Fatal("no start trigger")
	}
	s.run = New(WorkflowRun, g, start)
	as := map[string]State{}
	for _, w := range strings.Fields(ends) {
		node, state, _ := strings.Cut(w, "=")
		as[node] = State(state)
	}
	for !s.run.Head.Status.Terminal() {
		s.apply(nil)
		for n := range g.Nodes {
			node, err := s.run.Node(n)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range node.Runs {
				if x.State.Final() {
					continue
				}
				state, ok := as[s.node(n)]
				if !ok {
					state = StateSucceeded
				}
				s.record(ActionEnded{Ref{n, x.ID}, state})
			}
		}
	}
	return s.run
}

// A trigger that waits is told with every condition that does not hold.
func TestExplainWaiting(t *testing.T) {
	r := play(t, "s: on-demand -> A B\nt: all A=SUCCEEDED B=SUCCEEDED X=FAILED -> C crawl:d\nu: off any A=SUCCEEDED -> E", "B=FAILED")
	x, err := Explain(r)
	if err != nil {
		t.Fatal(err)
	}
	want := []Waiting{
		{Trigger: "t", Starts: []string{"C", "d"}, Unmet: []Unmet{
			{Type: flow.JobNode, Name: "B", Wants: "SUCCEEDED", Is: StateFailed},
			{Type: flow.JobNode, Name: "X", Wants: "FAILED"},
		}},
		{Trigger: "u", Inactive: true, Starts: []string{"E"}},
	}
	if diff := cmp.Diff(want, x.Waiting); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What a stop kept from starting is no fault of the workflow.
func TestExplainStopped(t *testing.T) {
	g := flow.Build("w", parseTriggers(t, "s: on-demand -> A\nt: all A=SUCCEEDED -> B"))
	r := New(WorkflowRun, g, 0)
	for _, f := range []Fact{StopRequested{}, RunEnded{Stopped}} {
		var err error
		if r, err = Record(r, f); err != nil {
			t.Fatal(err)
		}
	}
	x, err := Explain(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range x.Unrun {
		if u.Why != StateDidNotOccur {
			t.Errorf("%s: %s", u.Name, u.Why)
		}
	}
	if len(x.Unrun) != 2 || len(x.Waiting) != 2 {
		t.Errorf("%+v", x)
	}
}

// A store that fails is an error, not an explanation.
func TestExplainLoads(t *testing.T) {
	broken := errors.New("disk is gone")
	g := flow.Build("w", parseTriggers(t, "s: on-demand -> A"))
	r := Restore(WorkflowRun, g, Head{Status: Running}, func(int) ([]NodeState, error) { return nil, broken })
	if _, err := Explain(r); !errors.Is(err, broken) {
		t.Errorf("Explain = %v", err)
	}
}
