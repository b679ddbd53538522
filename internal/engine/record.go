package engine

import (
	"fmt"
	"slices"

	"tenon/internal/flow"
)

// Fact is something that happened to a run.
type Fact interface{ fact() }

// TriggerFired says that the firing of a trigger is written down.
type TriggerFired struct{ Trigger int }

// ActionStarted says that an action's job run or crawl exists and is Waiting or
// Active.
type ActionStarted struct {
	Trigger, Action int
	ID              string
	State           State
}

// ActionRefused says that an action could not start; its listed run is State
// (FAILED or ERROR) from its beginning (spec/workflows §3.2).
type ActionRefused struct {
	Trigger, Action int
	ID              string
	State           State
}

// ActionMoved says that an action run went from Waiting to Active or back.
type ActionMoved struct {
	Ref
	State State
}

// ActionEnded says that an action run ended for good, after all its attempts.
type ActionEnded struct {
	Ref
	State State
}

// StopRequested says that somebody asked the run to stop.
type StopRequested struct{}

// StopSent says that the order to stop an action run is written down.
type StopSent struct{ Ref }

// RunEnded says that the run is over.
type RunEnded struct{ Status Status }

func (TriggerFired) fact()  {}
func (ActionStarted) fact() {}
func (ActionRefused) fact() {}
func (ActionMoved) fact()   {}
func (ActionEnded) fact()   {}
func (StopRequested) fact() {}
func (StopSent) fact()      {}
func (RunEnded) fact()      {}

// Record folds one fact into a run: it only writes down what happened. On error
// the run is unchanged; otherwise the value given must not be used any more.
func Record(r Run, f Fact) (Run, error) {
	if r.Head.Status.Terminal() {
		return r, fmt.Errorf("%T in a run that is %s: %w", f, r.Head.Status, ErrIllegal)
	}
	switch f := f.(type) {
	case TriggerFired:
		return recordFired(r, f)
	case ActionStarted:
		if f.State.Final() || f.State == "" {
			return r, fmt.Errorf("action started in state %q: %w", f.State, ErrIllegal)
		}
		return recordStart(r, f, false)
	case ActionRefused:
		if !f.State.Final() {
			return r, fmt.Errorf("action refused in state %q: %w", f.State, ErrIllegal)
		}
		return recordStart(r, ActionStarted(f), true)
	case ActionMoved:
		if f.State.Final() || f.State == "" {
			return r, fmt.Errorf("action moved to state %q: %w", f.State, ErrIllegal)
		}
		return recordState(r, f.Ref, f.State)
	case ActionEnded:
		if !f.State.Final() {
			return r, fmt.Errorf("action ended in state %q: %w", f.State, ErrIllegal)
		}
		return recordState(r, f.Ref, f.State)
	case StopRequested:
		return recordStop(r)
	case StopSent:
		i := slices.Index(r.Head.Stops, f.Ref)
		if i < 0 {
			return r, fmt.Errorf("stop of %s was not asked for: %w", f.ID, ErrIllegal)
		}
		r.Head.Stops = without(r.Head.Stops, i)
		return r, nil
	case RunEnded:
		return recordEnd(r, f)
	}
	return r, fmt.Errorf("%T is not a fact the engine knows: %w", f, ErrIllegal)
}

func recordFired(r Run, f TriggerFired) (Run, error) {
	i := slices.IndexFunc(r.Head.Ready, func(x Ready) bool { return x.Trigger == f.Trigger })
	if i < 0 || r.Head.Status != Running {
		return r, fmt.Errorf("trigger %d fired while it was not ready: %w", f.Trigger, ErrIllegal)
	}
	n := r.Graph.TriggerNode(f.Trigger)
	s, err := r.Node(n)
	if err != nil {
		return r, err
	}
	s.Phase = Fired
	r.touch(n)
	r.Head.Firing = append(r.Head.Firing, Firing{Trigger: f.Trigger, Because: r.Head.Ready[i].Because})
	r.Head.Ready = without(r.Head.Ready, i)
	return r, nil
}

// recordStart adds an action run to its node, active or refused.
func recordStart(r Run, f ActionStarted, refused bool) (Run, error) {
	i := slices.IndexFunc(r.Head.Firing, func(x Firing) bool { return x.Trigger == f.Trigger })
	restart := len(r.Head.Restarts) > 0 && r.Head.Restarts[0] == Restart{Trigger: f.Trigger, Action: f.Action}
	if !restart && (i < 0 || r.Head.Firing[i].Next != f.Action) {
		return r, fmt.Errorf("action %d of trigger %d started out of turn: %w", f.Action, f.Trigger, ErrIllegal)
	}
	n := r.Graph.ActionNode(f.Trigger, f.Action)
	if err := r.loadAround(n); err != nil {
		return r, err
	}
	s, err := r.Node(n)
	if err != nil {
		return r, err
	}
	if f.ID == "" || slices.ContainsFunc(s.Runs, func(x ActionRun) bool { return x.ID == f.ID }) {
		return r, fmt.Errorf("action run %q of node %d is not new: %w", f.ID, n, ErrIllegal)
	}
	err = r.change(n, func(s *NodeState) {
		s.Runs = append(s.Runs, ActionRun{ID: f.ID, Trigger: f.Trigger, Action: f.Action, State: f.State, Refused: refused})
		switch {
		case !refused:
			s.Active++
			r.Head.Active++
		case s.Active == 0 && (s.Decided == 0 || s.Runs[s.Decided-1].Refused):
			s.Decided = len(s.Runs)
		}
		if restart {
			r.Head.Restarts = without(r.Head.Restarts, 0)
		} else if r.Head.Firing[i].Next++; r.Head.Firing[i].Next == len(r.Graph.Triggers[f.Trigger].Actions) {
			r.Head.Firing = without(r.Head.Firing, i)
		}
	})
	return r, err
}

// recordState moves or ends an action run.
func recordState(r Run, ref Ref, to State) (Run, error) {
	if ref.Node < 0 || ref.Node >= len(r.Graph.Nodes) {
		return r, fmt.Errorf("node %d: %w", ref.Node, ErrIllegal)
	}
	if err := r.loadAround(ref.Node); err != nil {
		return r, err
	}
	s, err := r.Node(ref.Node)
	if err != nil {
		return r, err
	}
	i := slices.IndexFunc(s.Runs, func(x ActionRun) bool { return x.ID == ref.ID })
	if i < 0 || s.Runs[i].State.Final() {
		return r, fmt.Errorf("%s of node %d is not active: %w", ref.ID, ref.Node, ErrIllegal)
	}
	err = r.change(ref.Node, func(s *NodeState) {
		s.Runs[i].State = to
		if to.Final() {
			s.Active--
			r.Head.Active--
			s.Decided = i + 1
			if j := slices.Index(r.Head.Stops, ref); j >= 0 {
				r.Head.Stops = without(r.Head.Stops, j)
			}
		}
	})
	return r, err
}

// change applies f to a node and brings the statistics and the triggers that
// watch the node up to date. Everything it touches must be loaded.
func (r *Run) change(n int, f func(*NodeState)) error {
	s, err := r.Node(n)
	if err != nil {
		return err
	}
	shown, outcome := s.Shown(), s.Outcome()
	f(s)
	r.touch(n)
	r.Head.Stats.count(shown, -1)
	r.Head.Stats.count(s.Shown(), +1)
	now := s.Outcome()
	if now == outcome {
		return nil
	}
	for _, w := range r.Graph.Watches(n) {
		d := 0
		if State(w.State) == outcome {
			d--
		}
		if State(w.State) == now {
			d++
		}
		if d != 0 {
			if err := r.meet(w.Trigger, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// meet adds d to the conditions of a trigger that hold, and lists or unlists the
// trigger as ready. During a stop nothing becomes ready (spec/workflows §4.4).
func (r *Run) meet(trigger, d int) error {
	n := r.Graph.TriggerNode(trigger)
	s, err := r.Node(n)
	if err != nil {
		return err
	}
	s.Met += d
	r.touch(n)
	if s.Phase != Armed || r.Head.Status != Running {
		return nil
	}
	i := slices.IndexFunc(r.Head.Ready, func(x Ready) bool { return x.Trigger == trigger })
	holds := r.Graph.Triggers[trigger].Predicate.Holds(s.Met)
	switch {
	case holds && i < 0:
		because, err := r.because(trigger)
		if err != nil {
			return err
		}
		r.Head.Ready = append(r.Head.Ready, Ready{Trigger: trigger, Because: because})
	case !holds && i >= 0:
		r.Head.Ready = without(r.Head.Ready, i)
	}
	return nil
}

// because lists the runs that satisfied a trigger's predicate, for chains.
func (r *Run) because(trigger int) ([]Predecessor, error) {
	if r.Kind != Chain {
		return nil, nil
	}
	var out []Predecessor
	for c, cond := range r.Graph.Triggers[trigger].Predicate.Conditions {
		n := r.Graph.ConditionNode(trigger, c)
		s, err := r.Node(n)
		if err != nil {
			return nil, err
		}
		typ, name, state := cond.Watched()
		if s.Outcome() == State(state) {
			out = append(out, Predecessor{Type: typ, Name: name, ID: s.Runs[s.Decided-1].ID})
		}
	}
	return out, nil
}

// loadAround loads whatever a change of node n can touch, so that a failing
// load leaves the run unchanged.
func (r Run) loadAround(n int) error {
	if _, err := r.Node(n); err != nil {
		return err
	}
	for _, w := range r.Graph.Watches(n) {
		if _, err := r.Node(r.Graph.TriggerNode(w.Trigger)); err != nil {
			return err
		}
		if r.Kind != Chain {
			continue
		}
		for c := range r.Graph.Triggers[w.Trigger].Predicate.Conditions {
			if _, err := r.Node(r.Graph.ConditionNode(w.Trigger, c)); err != nil {
				return err
			}
		}
	}
	return nil
}

// recordStop lists every active run for stopping. Triggers that are ready or
// firing will never fire: what has not started never will (spec/workflows §5.7).
func recordStop(r Run) (Run, error) {
	if r.Head.Status != Running {
		return r, fmt.Errorf("stop of a run that is %s: %w", r.Head.Status, ErrIllegal)
	}
	var stops []Ref
	for n, node := range r.Graph.Nodes {
		if node.Type == flow.TriggerNode {
			continue
		}
		s, err := r.Node(n)
		if err != nil {
			return r, err
		}
		for _, x := range s.Runs {
			if !x.State.Final() {
				stops = append(stops, Ref{Node: n, ID: x.ID})
			}
		}
	}
	r.Head.Status = Stopping
	r.Head.Stops, r.Head.Ready, r.Head.Firing, r.Head.Restarts = stops, nil, nil, nil
	return r, nil
}

func recordEnd(r Run, f RunEnded) (Run, error) {
	want := Completed
	if r.Head.Status == Stopping {
		want = Stopped
	}
	if f.Status != want || !r.Head.quiet() {
		return r, fmt.Errorf("run that is %s ended as %s: %w", r.Head.Status, f.Status, ErrIllegal)
	}
	r.Head.Status = f.Status
	return r, nil
}

// quiet tells whether nothing is active and nothing can fire.
func (h Head) quiet() bool {
	return h.Active == 0 && len(h.Ready) == 0 && len(h.Firing) == 0 && len(h.Restarts) == 0 && len(h.Stops) == 0
}

// without removes element i; removing the first, the usual case, costs nothing.
func without[T any](s []T, i int) []T {
	if len(s) == 1 {
		return nil
	}
	if i == 0 {
		return s[1:]
	}
	return slices.Delete(s, i, i+1)
}
