package engine

import (
	"fmt"
	"slices"

	"tenon/internal/flow"
)

// model is the plainest account of a run: it keeps what happened and looks at
// all of it for every answer. The engine must agree with it.
type model struct {
	triggers []flow.Trigger
	start    int
	status   Status
	fired    []int       // triggers, in order
	begun    map[int]int // number of actions begun, by trigger
	stops    []string
	runs     map[string][]*modelRun // by node
	clock    int
}

type modelRun struct {
	id      string
	state   State
	refused bool
	end     int // when it ended; 0 while it is active
}

func nodeName(t flow.NodeType, name string) string { return string(t) + " " + name }

func (m *model) record(g *flow.Graph, f Fact) {
	m.clock++
	start := func(trigger, action int, r *modelRun) {
		if r.refused {
			r.end = m.clock
		}
		n := nodeName(m.triggers[trigger].Actions[action].Target())
		m.runs[n] = append(m.runs[n], r)
		m.begun[trigger]++
	}
	switch f := f.(type) {
	case TriggerFired:
		m.fired = append(m.fired, f.Trigger)
	case ActionStarted:
		start(f.Trigger, f.Action, &modelRun{id: f.ID, state: f.State})
	case ActionRefused:
		start(f.Trigger, f.Action, &modelRun{id: f.ID, state: f.State, refused: true})
	case ActionMoved:
		m.find(g, f.Ref).state = f.State
	case ActionEnded:
		r := m.find(g, f.Ref)
		r.state, r.end = f.State, m.clock
		m.stops = slices.DeleteFunc(m.stops, func(id string) bool { return id == f.ID })
	case StopRequested:
		m.status = Stopping
		for _, runs := range m.runs {
			for _, r := range runs {
				if r.end == 0 {
					m.stops = append(m.stops, r.id)
				}
			}
		}
	case StopSent:
		m.stops = slices.DeleteFunc(m.stops, func(id string) bool { return id == f.ID })
	case RunEnded:
		m.status = f.Status
	}
}

func (m *model) find(g *flow.Graph, ref Ref) *modelRun {
	n := g.Nodes[ref.Node]
	runs := m.runs[nodeName(n.Type, n.Name)]
	return runs[slices.IndexFunc(runs, func(r *modelRun) bool { return r.id == ref.ID })]
}

// look returns the state a node is shown in, and its outcome.
func (m *model) look(node string) (shown, outcome State) {
	var last, refused *modelRun
	for _, r := range m.runs[node] {
		switch {
		case r.end == 0:
			shown = r.state
		case r.refused:
			refused = r
		case last == nil || r.end > last.end:
			last = r
		}
	}
	if shown != "" {
		return shown, ""
	}
	if last == nil {
		last = refused
	}
	if last == nil {
		return "", ""
	}
	return last.state, last.state
}

func (m *model) active() (n int) {
	for _, runs := range m.runs {
		for _, r := range runs {
			if r.end == 0 {
				n++
			}
		}
	}
	return n
}

func (m *model) statistics(g *flow.Graph) (s Statistics) {
	for _, n := range g.Nodes {
		if n.Type != flow.TriggerNode {
			s.Total++
			shown, _ := m.look(nodeName(n.Type, n.Name))
			s.count(shown, 1)
		}
	}
	return s
}

func (m *model) ready() (ready []int) {
	for i, t := range m.triggers {
		if m.status != Running || slices.Contains(m.fired, i) {
			continue
		}
		met := 0
		if t.Predicate != nil {
			for _, c := range t.Predicate.Conditions {
				typ, name, want := c.Watched()
				if _, outcome := m.look(nodeName(typ, name)); outcome == State(want) {
					met++
				}
			}
		}
		if i == m.start || t.Type == flow.Conditional && t.State == flow.Activated && t.Predicate.Holds(met) {
			ready = append(ready, i)
		}
	}
	return ready
}

// needs is what Advance must say, as text, in no order.
func (m *model) needs() (needs []string) {
	quiet := m.active() == 0 && len(m.stops) == 0
	if m.status == Running {
		for _, i := range m.ready() {
			needs = append(needs, fmt.Sprint("fire ", i))
		}
		for _, i := range m.fired {
			for a := m.begun[i]; a < len(m.triggers[i].Actions); a++ {
				needs = append(needs, fmt.Sprint("start ", i, a))
			}
		}
		if quiet && len(needs) == 0 {
			needs = append(needs, "end COMPLETED")
		}
	}
	if m.status == Stopping {
		for _, id := range m.stops {
			needs = append(needs, "stop "+id)
		}
		if quiet {
			needs = append(needs, "end STOPPED")
		}
	}
	return needs
}
