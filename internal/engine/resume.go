package engine

import (
	"errors"
	"fmt"
	"slices"

	"tenon/internal/flow"
)

// Errors of Resume, wrapped with the node's name.
var (
	ErrNotAttempted = errors.New("node was not attempted in the run")
	ErrNotAnAction  = errors.New("node is a trigger")
)

// Resume returns a run that starts nodes of an ended run again, and everything
// downstream of them through its triggers (spec/workflows §5.8). kept lists those
// of the nodes that are started, in the order given: a node downstream of another
// runs again anyway. In a cycle the first given is kept. It loads the whole old
// run, which is not changed.
func Resume(old Run, nodes []int) (r Run, kept []int, err error) {
	states := make([]NodeState, len(old.Graph.Nodes))
	for i := range old.Graph.Nodes {
		s, err := old.Node(i)
		if err != nil {
			return r, nil, err
		}
		states[i] = *s
		states[i].Runs = slices.Clone(s.Runs)
	}
	down := make([][]bool, len(nodes))
	for i, n := range nodes {
		switch {
		case old.Graph.Nodes[n].Type == flow.TriggerNode:
			return r, nil, fmt.Errorf("%s: %w", old.Graph.Nodes[n].Name, ErrNotAnAction)
		case len(states[n].Runs) == 0:
			return r, nil, fmt.Errorf("%s: %w", old.Graph.Nodes[n].Name, ErrNotAttempted)
		}
		down[i] = downstream(old.Graph, n)
	}
	keep := keptOf(nodes, down)
	again := make([]bool, len(states))
	for _, i := range keep {
		kept = append(kept, nodes[i])
		again[nodes[i]] = true
		for n, d := range down[i] {
			again[n] = again[n] || d
		}
	}
	r = New(old.Kind, old.Graph, -1)
	for _, n := range kept {
		last := states[n].Runs[len(states[n].Runs)-1]
		r.Head.Restarts = append(r.Head.Restarts, Restart{Trigger: last.Trigger, Action: last.Action})
	}
	return r, kept, r.copyFrom(states, again)
}

// keptOf returns the indices of the nodes to start: those that no other kept or
// undecided one leads to.
func keptOf(nodes []int, down [][]bool) []int {
	dropped := make([]bool, len(nodes))
	for i, n := range nodes {
		for j, m := range nodes {
			switch {
			case i == j || dropped[j]:
			case n == m:
				dropped[i] = dropped[i] || j < i // given twice
			case down[j][n] && !(down[i][m] && i < j): // in a cycle the first given stays
				dropped[i] = true
			}
		}
	}
	var keep []int
	for i := range nodes {
		if !dropped[i] {
			keep = append(keep, i)
		}
	}
	return keep
}

// downstream marks what can be reached from node n; n itself only by a cycle.
func downstream(g *flow.Graph, n int) []bool {
	reached := make([]bool, len(g.Nodes))
	for open := []int{n}; len(open) > 0; {
		at := open[0]
		open = open[1:]
		var next []int
		if t := g.Nodes[at].Trigger; t >= 0 {
			for a := range g.Triggers[t].Actions {
				next = append(next, g.ActionNode(t, a))
			}
		} else {
			for _, w := range g.Watches(at) {
				next = append(next, g.TriggerNode(w.Trigger))
			}
		}
		for _, m := range next {
			if !reached[m] {
				reached[m] = true
				open = append(open, m)
			}
		}
	}
	return reached
}

// copyFrom gives a new run the states of an ended one where they are not to come
// about again, and counts them. Copied results count as conditions that hold, but
// no trigger becomes ready by them: only a change of an outcome asks for that, so
// at least one result of the new run is needed (spec/workflows §5.8).
func (r *Run) copyFrom(states []NodeState, again []bool) error {
	for i, node := range r.Graph.Nodes {
		if again[i] {
			continue
		}
		s, err := r.Node(i)
		if err != nil {
			return err
		}
		if node.Type != flow.TriggerNode {
			*s = states[i]
			r.Head.Stats.count(s.Shown(), +1)
			continue
		}
		s.Phase = states[i].Phase
	}
	for t, trigger := range r.Graph.Triggers {
		if trigger.Predicate == nil {
			continue
		}
		s, err := r.Node(r.Graph.TriggerNode(t))
		if err != nil {
			return err
		}
		for c, cond := range trigger.Predicate.Conditions {
			watched, err := r.Node(r.Graph.ConditionNode(t, c))
			if err != nil {
				return err
			}
			if _, _, wants := cond.Watched(); watched.Outcome() == State(wants) {
				s.Met++
			}
		}
	}
	return nil
}
