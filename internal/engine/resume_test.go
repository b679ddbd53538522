package engine

import (
	"errors"
	"slices"
	"testing"
	"time"

	"tenon/internal/flow"
)

// ended plays a run to its end, with the outcome of each job by name; a job
// without one succeeds.
func ended(t *testing.T, triggers []flow.Trigger, outcome map[string]State) Run {
	t.Helper()
	g := flow.Build("w", triggers)
	r := New(WorkflowRun, g, 0)
	id := 0
	for r.Head.Status == Running {
		plan := Advance(r, time.Time{})
		if len(plan.Effects) == 0 {
			t.Fatal("the run is stuck")
		}
		var facts []Fact
		switch e := plan.Effects[0].(type) {
		case FireTrigger:
			facts = []Fact{TriggerFired(e)}
		case StartJobRun:
			id++
			ref := Ref{Node: e.Node, ID: string(rune('a' + id))}
			state, ok := outcome[g.Nodes[e.Node].Name]
			if !ok {
				state = StateSucceeded
			}
			facts = []Fact{ActionStarted{Trigger: e.Trigger, Action: e.Action, ID: ref.ID, State: StateActive}, ActionEnded{Ref: ref, State: state}}
		case EndRun:
			facts = []Fact{RunEnded(e)}
		}
		for _, f := range facts {
			var err error
			if r, err = Record(r, f); err != nil {
				t.Fatal(err)
			}
		}
	}
	return r
}

func on(name string, starts []string, watches ...string) flow.Trigger {
	tr := flow.Trigger{Name: name, Type: flow.OnDemand, State: flow.Created}
	if len(watches) > 0 {
		tr.Type, tr.State, tr.Predicate = flow.Conditional, flow.Activated, &flow.Predicate{Logical: flow.And}
		for _, w := range watches {
			tr.Predicate.Conditions = append(tr.Predicate.Conditions, flow.Condition{Operator: "EQUALS", Job: w, State: "SUCCEEDED"})
		}
	}
	for _, s := range starts {
		tr.Actions = append(tr.Actions, flow.Action{Job: s})
	}
	return tr
}

// TestResumeKeeps proves which of the requested nodes start (spec/workflows §5.8,
// algorithm): none that another one leads to, and in a cycle the first given.
func TestResumeKeeps(t *testing.T) {
	// go → A → t → B → u → A, and B → v → C
	cycle := []flow.Trigger{on("go", []string{"A"}), on("t", []string{"B"}, "A"), on("u", []string{"A"}, "B"), on("v", []string{"C"}, "B")}
	for _, c := range []struct{ ask, want []string }{
		{[]string{"A"}, []string{"A"}},
		{[]string{"A", "B"}, []string{"A"}},
		{[]string{"B", "A"}, []string{"B"}},
		{[]string{"C", "B"}, []string{"B"}},
		{[]string{"C", "A", "B"}, []string{"A"}},
		{[]string{"C", "C"}, []string{"C"}},
	} {
		old := ended(t, cycle, nil)
		r, kept, err := Resume(old, indices(old.Graph, c.ask))
		if err != nil {
			t.Fatal(err)
		}
		if want := indices(old.Graph, c.want); !slices.Equal(kept, want) {
			t.Errorf("%v: kept %v, want %v", c.ask, kept, want)
		}
		if len(r.Head.Restarts) != len(c.want) || r.Head.Active != 0 || r.Head.Status != Running {
			t.Errorf("%v: head %+v", c.ask, r.Head)
		}
		if old.Head.Status != Completed {
			t.Errorf("%v: the old run is %s", c.ask, old.Head.Status)
		}
	}
}

// TestResumeRefuses proves the guards of spec/workflows §5.8.
func TestResumeRefuses(t *testing.T) {
	old := ended(t, []flow.Trigger{on("go", []string{"A"}), on("t", []string{"B"}, "A")}, map[string]State{"A": StateFailed})
	for name, want := range map[string]error{"B": ErrNotAttempted, "go": ErrNotAnAction, "t": ErrNotAnAction} {
		if _, _, err := Resume(old, indices(old.Graph, []string{name})); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

// TestResumeOfAStop proves that a resumed run can be stopped before it has begun:
// nothing starts then (spec/workflows §4.4 row 8).
func TestResumeOfAStop(t *testing.T) {
	old := ended(t, []flow.Trigger{on("go", []string{"A"})}, nil)
	r, _, err := Resume(old, indices(old.Graph, []string{"A"}))
	if err != nil {
		t.Fatal(err)
	}
	if r, err = Record(r, StopRequested{}); err != nil {
		t.Fatal(err)
	}
	if p := Advance(r, time.Time{}); len(p.Effects) != 1 || p.Effects[0] != (EndRun{Status: Stopped}) {
		t.Errorf("plan %+v", p.Effects)
	}
}

func indices(g *flow.Graph, names []string) []int {
	var out []int
	for _, name := range names {
		out = append(out, slices.IndexFunc(g.Nodes, func(n flow.Node) bool { return n.Name == name }))
	}
	return out
}
