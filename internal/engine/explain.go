package engine

import (
	"slices"

	"tenon/internal/flow"
)

// Why says why a node did not run (yet).
type Why string

// Reasons for a node that did not run. StateDidNotOccur is the only one that is
// a matter of course: a watched node ended in another state, or is not finished.
const (
	StateDidNotOccur Why = "a watched state did not occur"
	TriggerInactive  Why = "its trigger is not activated"
	Unreachable      Why = "no trigger can reach it"
)

// Unmet is a condition that does not hold.
type Unmet struct {
	Type  flow.NodeType
	Name  string
	Wants string
	Is    State // "" if the node did not run
}

// Waiting explains one trigger that has not fired.
type Waiting struct {
	Trigger  string
	Inactive bool
	Unmet    []Unmet
	Starts   []string // jobs and crawlers that it would start
}

// Unrun explains one node that did not run.
type Unrun struct {
	Type flow.NodeType
	Name string
	Why  Why
}

// Explanation says what a run waits for, or why parts of it did not run.
type Explanation struct {
	Waiting []Waiting
	Unrun   []Unrun
}

// Explain says, for a run that waits or is over, which conditions of which
// triggers are unmet and why nodes did not run. It loads the whole run.
func Explain(r Run) (Explanation, error) {
	var out Explanation
	x := explainer{r: r, why: make([]Why, len(r.Graph.Nodes)), starters: map[int][]int{}}
	for i := range r.Graph.Nodes {
		s, err := r.Node(i)
		if err != nil {
			return out, err
		}
		x.states = append(x.states, s)
	}
	for t := range r.Graph.Triggers {
		for a := range r.Graph.Triggers[t].Actions {
			n := r.Graph.ActionNode(t, a)
			x.starters[n] = append(x.starters[n], t)
		}
	}
	for t, trigger := range r.Graph.Triggers {
		if x.states[r.Graph.TriggerNode(t)].Phase == Fired {
			continue
		}
		w := Waiting{Trigger: trigger.Name, Inactive: x.states[r.Graph.TriggerNode(t)].Phase == Inert, Unmet: x.unmet(t)}
		for _, a := range trigger.Actions {
			_, name := a.Target()
			w.Starts = append(w.Starts, name)
		}
		out.Waiting = append(out.Waiting, w)
	}
	x.settle()
	for n, node := range r.Graph.Nodes {
		if x.unrun(n) {
			out.Unrun = append(out.Unrun, Unrun{Type: node.Type, Name: node.Name, Why: x.why[n]})
		}
	}
	return out, nil
}

type explainer struct {
	r        Run
	states   []*NodeState
	why      []Why
	starters map[int][]int
}

func (x *explainer) unmet(t int) []Unmet {
	p := x.r.Graph.Triggers[t].Predicate
	if p == nil {
		return nil
	}
	var out []Unmet
	for c, cond := range p.Conditions {
		typ, name, wants := cond.Watched()
		s := x.states[x.r.Graph.ConditionNode(t, c)]
		if s.Outcome() != State(wants) {
			out = append(out, Unmet{Type: typ, Name: name, Wants: wants, Is: s.Shown()})
		}
	}
	return out
}

// settle says why each node did not run: the mildest reason of the triggers that
// could have started it. Reasons of a cycle hang on each other, so all begin as
// the worst and are made milder until none changes; what nothing enters stays
// Unreachable.
func (x *explainer) settle() {
	for n := range x.why {
		x.why[n] = Unreachable
	}
	for changed := true; changed; {
		changed = false
		for n := range x.why {
			if !x.unrun(n) {
				continue
			}
			if w := mildest(x.starters[n], x.trigger); w != x.why[n] {
				x.why[n], changed = w, true
			}
		}
	}
}

func (x *explainer) unrun(n int) bool {
	return x.r.Graph.Nodes[n].Type != flow.TriggerNode && len(x.states[n].Runs) == 0
}

// trigger says why trigger t did not fire.
func (x *explainer) trigger(t int) Why {
	tr := x.r.Graph.Triggers[t]
	if x.states[x.r.Graph.TriggerNode(t)].Phase == Inert {
		return TriggerInactive
	}
	if tr.Predicate == nil || len(tr.Predicate.Conditions) == 0 {
		if tr.Type.Starts() { // a stop came before it fired
			return StateDidNotOccur
		}
		return Unreachable
	}
	var blocking []int
	for c, cond := range tr.Predicate.Conditions {
		n := x.r.Graph.ConditionNode(t, c)
		if _, _, wants := cond.Watched(); x.states[n].Outcome() != State(wants) {
			blocking = append(blocking, n)
		}
	}
	if len(blocking) == 0 { // it holds: a stop came before it fired
		return StateDidNotOccur
	}
	return mildest(blocking, func(n int) Why {
		if !x.unrun(n) {
			return StateDidNotOccur
		}
		return x.why[n]
	})
}

func mildest(of []int, why func(int) Why) Why {
	order := []Why{StateDidNotOccur, TriggerInactive, Unreachable}
	best := Unreachable
	for _, i := range of {
		if w := why(i); slices.Index(order, w) < slices.Index(order, best) {
			best = w
		}
	}
	return best
}
