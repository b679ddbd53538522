package engine

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"tenon/internal/flow"
)

var watchable = []State{StateSucceeded, StateFailed, StateTimeout, StateStopped}

// drawTriggers draws a start trigger and conditional ones over a few jobs and
// crawlers, so that joins, cycles and nodes started twice are common. Large
// graphs have several parts.
func drawTriggers(t *rapid.T) []flow.Trigger {
	most, names := 8, 6
	if rapid.IntRange(0, 9).Draw(t, "large") == 0 {
		most, names = 80, 50
	}
	action := func() flow.Action {
		if i := rapid.IntRange(0, names+1).Draw(t, "action"); i < names {
			return flow.Action{Job: fmt.Sprint("J", i)}
		}
		return flow.Action{Crawler: fmt.Sprint("C", rapid.IntRange(0, 1).Draw(t, "crawler"))}
	}
	actions := func() (out []flow.Action) {
		for range rapid.IntRange(1, 3).Draw(t, "actions") {
			out = append(out, action())
		}
		return out
	}
	triggers := make([]flow.Trigger, rapid.IntRange(1, most).Draw(t, "triggers"))
	start := rapid.IntRange(0, len(triggers)-1).Draw(t, "start")
	for i := range triggers {
		tr := flow.Trigger{Name: fmt.Sprint("T", i), Type: flow.Conditional, State: flow.Activated, Actions: actions()}
		if i == start {
			tr.Type, tr.State = flow.OnDemand, flow.Created
		} else {
			tr.Predicate = &flow.Predicate{Logical: rapid.SampledFrom([]flow.Logical{flow.And, flow.Any, flow.Any}).Draw(t, "logical")}
			for range rapid.IntRange(1, 3).Draw(t, "conditions") {
				c, state := flow.Condition{Operator: "EQUALS"}, rapid.SampledFrom(watchable).Draw(t, "state")
				if a := action(); a.Job != "" {
					c.Job, c.State = a.Job, string(state)
				} else {
					c.Crawler, c.CrawlState = a.Crawler, string(state)
				}
				tr.Predicate.Conditions = append(tr.Predicate.Conditions, c)
			}
			if rapid.IntRange(0, 9).Draw(t, "inactive") == 0 {
				tr.State = flow.Deactivated
			}
		}
		triggers[i] = tr
	}
	return triggers
}

// effectText names an effect as the model does.
func effectText(e Effect) string {
	switch e := e.(type) {
	case FireTrigger:
		return fmt.Sprint("fire ", e.Trigger)
	case StartJobRun:
		return fmt.Sprint("start ", e.Trigger, e.Action)
	case StartCrawl:
		return fmt.Sprint("start ", e.Trigger, e.Action)
	case StopJobRun:
		return "stop " + e.ID
	case StopCrawl:
		return "stop " + e.ID
	case EndRun:
		return "end " + string(e.Status)
	}
	return fmt.Sprintf("%T", e)
}

// shelf keeps a run as a store would: a head and parts, encoded.
type shelf struct {
	head  []byte
	parts map[int][]byte
	loads int
	// fail is returned for every load after the first good ones.
	fail error
	good int
}

func encode(v any) []byte {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func decode[T any](b []byte) (v T) {
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&v); err != nil {
		panic(err)
	}
	return v
}

func (s *shelf) save(r Run) {
	s.head = encode(r.Head)
	for _, p := range r.Dirty() {
		s.parts[p] = encode(r.Part(p))
	}
	r.Saved()
}

func (s *shelf) restore(kind Kind, g *flow.Graph) Run {
	return Restore(kind, g, decode[Head](s.head), func(p int) ([]NodeState, error) {
		if s.fail != nil && s.loads >= s.good {
			return nil, s.fail
		}
		s.loads++
		return decode[[]NodeState](s.parts[p]), nil
	})
}

// world is a run under test: alive, on the shelf, and in the model.
type world struct {
	kind     Kind
	g        *flow.Graph
	live     Run
	shelf    shelf
	model    model
	history  []Fact
	answered map[string]bool // effects that were answered
	made     int             // action runs
}

var plain = cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(Run{})}

func newWorld(t *rapid.T) *world {
	w := &world{kind: rapid.SampledFrom([]Kind{WorkflowRun, Chain}).Draw(t, "kind"), answered: map[string]bool{}}
	triggers := drawTriggers(t)
	w.g = flow.Build("w", triggers)
	start, _ := w.g.StartTrigger()
	w.live = New(w.kind, w.g, start)
	w.shelf.parts = map[int][]byte{}
	w.shelf.save(w.live)
	w.model = model{triggers: triggers, start: start, status: Running, begun: map[int]int{}, runs: map[string][]*modelRun{}}
	return w
}

// draw picks something that may happen now: an answer to an effect, or news.
func (w *world) draw(t *rapid.T) (f Fact, answers string) {
	plan := Advance(w.live, time.Time{})
	if n := rapid.IntRange(0, 59).Draw(t, "stop"); n == 0 && w.live.Head.Status == Running {
		return StopRequested{}, ""
	}
	active := w.active(t)
	if len(active) > 0 && (len(plan.Effects) == 0 || rapid.Bool().Draw(t, "news")) {
		ref := rapid.SampledFrom(active).Draw(t, "run")
		if rapid.IntRange(0, 4).Draw(t, "move") == 0 {
			return ActionMoved{ref, rapid.SampledFrom([]State{StateActive, StateWaiting}).Draw(t, "to")}, ""
		}
		ends := append([]State{StateCancelled, StateError, StateExpired}, watchable...)
		return ActionEnded{ref, rapid.SampledFrom(ends).Draw(t, "as")}, ""
	}
	if len(plan.Effects) == 0 {
		t.Fatalf("nothing is active and nothing is needed, yet the run is %s (spec/faults §4.2, 14)", w.live.Head.Status)
	}
	// The actions of one trigger begin in order; everything else is free.
	var open []Effect
	for _, e := range plan.Effects {
		trigger, action, ok := target(e)
		if !ok || action == w.model.begun[trigger] {
			open = append(open, e)
		}
	}
	e := rapid.SampledFrom(open).Draw(t, "effect")
	return w.answer(t, e), effectText(e)
}

func target(e Effect) (trigger, action int, ok bool) {
	switch e := e.(type) {
	case StartJobRun:
		return e.Trigger, e.Action, true
	case StartCrawl:
		return e.Trigger, e.Action, true
	}
	return 0, 0, false
}

func (w *world) answer(t *rapid.T, e Effect) Fact {
	if trigger, action, ok := target(e); ok {
		w.made++
		f := ActionStarted{Trigger: trigger, Action: action, ID: fmt.Sprint("run", w.made), State: StateActive}
		switch rapid.IntRange(0, 9).Draw(t, "admission") {
		case 0:
			f.State = StateFailed
			return ActionRefused(f)
		case 1:
			f.State = StateError
			return ActionRefused(f)
		case 2:
			f.State = StateWaiting
		}
		return f
	}
	switch e := e.(type) {
	case FireTrigger:
		return TriggerFired(e)
	case StopJobRun:
		return StopSent(e)
	case StopCrawl:
		return StopSent(e)
	}
	return RunEnded(e.(EndRun))
}

func (w *world) active(t *rapid.T) (refs []Ref) {
	for n := range w.g.Nodes {
		s, err := w.live.Node(n)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range s.Runs {
			if !x.State.Final() {
				refs = append(refs, Ref{n, x.ID})
			}
		}
	}
	return refs
}

// happen records a fact in the live run, in a restored one and in the model.
func (w *world) happen(t *rapid.T, f Fact) {
	restored := w.shelf.restore(w.kind, w.g)
	w.shelf.loads = 0
	restored, err := Record(restored, f)
	if err != nil {
		t.Fatalf("restored run: %T %+v: %v", f, f, err)
	}
	if most := w.reach(f); w.shelf.loads > most {
		t.Fatalf("%T loaded %d parts, more than %d (invariant 4)", f, w.shelf.loads, most)
	}
	if w.live, err = Record(w.live, f); err != nil {
		t.Fatalf("live run: %T %+v: %v", f, f, err)
	}
	w.history = append(w.history, f)
	w.model.record(w.g, f)
	if diff := cmp.Diff(w.live.Head, restored.Head, plain); diff != "" {
		t.Fatalf("restored head differs (-live +restored):\n%s", diff)
	}
	if diff := cmp.Diff(w.live.Dirty(), restored.Dirty()); diff != "" {
		t.Fatalf("restored run dirtied other parts:\n%s", diff)
	}
	w.live.Saved()
	w.shelf.save(restored)
}

// reach is the number of parts that a fact may load: those of the node it
// touches and of the triggers that watch it, for chains also of what these watch.
func (w *world) reach(f Fact) int {
	around := func(n int) int {
		parts := 1 + len(w.g.Watches(n))
		if w.kind == Chain {
			for _, x := range w.g.Watches(n) {
				parts += len(w.g.Triggers[x.Trigger].Predicate.Conditions)
			}
		}
		return parts
	}
	switch f := f.(type) {
	case TriggerFired:
		return 1
	case ActionStarted:
		return around(w.g.ActionNode(f.Trigger, f.Action))
	case ActionRefused:
		return around(w.g.ActionNode(f.Trigger, f.Action))
	case ActionMoved:
		return around(f.Node)
	case ActionEnded:
		return around(f.Node)
	case StopRequested:
		return w.live.Parts()
	}
	return 0
}

// check holds the invariants of doc.go and of spec/faults §4.2 that concern one run.
func (w *world) check(t *rapid.T) {
	h := w.live.Head
	if h.Active != w.model.active() {
		t.Fatalf("Active = %d, want %d (invariant 1)", h.Active, w.model.active())
	}
	if diff := cmp.Diff(w.model.statistics(w.g), h.Stats); diff != "" {
		t.Fatalf("statistics (invariant 2; spec/faults §4.2, 11):\n%s", diff)
	}
	if h.Status != w.model.status {
		t.Fatalf("status = %s, want %s", h.Status, w.model.status)
	}
	if h.Status.Terminal() && (h.Active > 0 || len(h.Ready) > 0 || len(h.Firing) > 0) {
		t.Fatalf("the run is over, but %+v (invariant 3; spec/faults §4.2, 14)", h)
	}
	fired := slices.Clone(w.model.fired)
	slices.Sort(fired)
	if len(slices.Compact(fired)) != len(w.model.fired) {
		t.Fatalf("a trigger fired twice: %v (spec/faults §4.2, 6)", w.model.fired)
	}
	var needs []string
	for _, e := range Advance(w.live, time.Time{}).Effects {
		s := effectText(e)
		if w.answered[s] {
			t.Fatalf("%s was answered and is asked for again", s)
		}
		if _, isFire := e.(FireTrigger); h.Status != Running {
			if _, _, isStart := target(e); isStart || isFire {
				t.Fatalf("%s in a run that is %s (spec/faults §4.2, 9)", s, h.Status)
			}
		}
		needs = append(needs, s)
	}
	want := w.model.needs()
	slices.Sort(needs)
	slices.Sort(want)
	if diff := cmp.Diff(want, needs, plain); diff != "" {
		t.Fatalf("what is needed (-model +engine):\n%s", diff)
	}
}

// Any order of facts on any graph keeps the invariants, agrees with the model,
// and is the same on a run that is stored and restored after every fact.
func TestRunAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.check(t)
		for steps := 0; !w.live.Head.Status.Terminal(); steps++ {
			if steps > 5000 {
				t.Fatal("the run does not end")
			}
			f, answers := w.draw(t)
			w.happen(t, f)
			if answers != "" {
				w.answered[answers] = true
			}
			w.check(t)
		}
		w.replay(t)
	})
}

// replay records the history again: equal facts in equal order give an equal run.
func (w *world) replay(t *rapid.T) {
	again := New(w.kind, w.g, w.model.start)
	for _, f := range w.history {
		var err error
		if again, err = Record(again, f); err != nil {
			t.Fatalf("replay: %T: %v", f, err)
		}
	}
	restored := w.shelf.restore(w.kind, w.g)
	for n := range w.g.Nodes {
		live, err := w.live.Node(n)
		if err != nil {
			t.Fatal(err)
		}
		second, err := again.Node(n)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := restored.Node(n)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(live, second, plain) + cmp.Diff(live, stored, plain); diff != "" {
			t.Fatalf("node %s differs:\n%s", w.g.Nodes[n].Name, diff)
		}
	}
	if diff := cmp.Diff(w.live.Head, again.Head, plain); diff != "" {
		t.Fatalf("head differs:\n%s", diff)
	}
}

// A fact that cannot be, and one whose parts cannot be loaded, change nothing.
func TestRecordFailsCleanly(t *testing.T) {
	broken := errors.New("disk is gone")
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range 40 {
			if w.live.Head.Status.Terminal() {
				break
			}
			f, _ := w.draw(t)
			before := w.shelf.head

			w.shelf.fail, w.shelf.loads, w.shelf.good = broken, 0, rapid.IntRange(0, 3).Draw(t, "good loads")
			r := w.shelf.restore(w.kind, w.g)
			after, err := Record(r, f)
			w.shelf.fail = nil
			if err != nil && !errors.Is(err, broken) {
				t.Fatalf("%T: %v", f, err)
			}
			if err == nil && w.shelf.good == 0 && w.reach(f) > 0 {
				t.Fatalf("%T needed nothing of the store", f)
			}
			if err != nil && (len(after.Dirty()) > 0 || !bytes.Equal(before, encode(after.Head))) {
				t.Fatalf("%T failed and changed the run", f)
			}

			r = w.shelf.restore(w.kind, w.g)
			for _, illegal := range w.illegal(t) {
				r, err = Record(r, illegal)
				if !errors.Is(err, ErrIllegal) || len(r.Dirty()) > 0 {
					t.Fatalf("%T %+v in %+v: %v, dirty %v", illegal, illegal, w.live.Head, err, r.Dirty())
				}
			}
			if !bytes.Equal(before, encode(r.Head)) {
				t.Fatalf("facts that were refused changed the run: %+v", r.Head)
			}
			w.happen(t, f)
		}
	})
}

// illegal lists facts that cannot be now.
func (w *world) illegal(t *rapid.T) []Fact {
	out := []Fact{nil, ActionEnded{Ref{-1, "x"}, StateFailed}, ActionEnded{Ref{len(w.g.Nodes), "x"}, StateFailed}, StopSent{Ref{0, "x"}}, RunEnded{Running}, RunEnded{Error}}
	h := w.live.Head
	for i := range w.g.Triggers {
		if !w.live.IsReady(i) {
			out = append(out, TriggerFired{i})
		}
		for a := range w.g.Triggers[i].Actions {
			if !slices.ContainsFunc(h.Firing, func(x Firing) bool { return x.Trigger == i && x.Next == a }) {
				out = append(out, ActionStarted{i, a, "new", StateActive}, ActionRefused{i, a, "new", StateFailed})
			}
		}
	}
	for _, x := range h.Firing {
		out = append(out, ActionStarted{x.Trigger, x.Next, "new", StateFailed}, ActionStarted{x.Trigger, x.Next, "new", ""}, ActionStarted{x.Trigger, x.Next, "", StateActive}, ActionRefused{x.Trigger, x.Next, "new", StateActive})
	}
	for n := range w.g.Nodes {
		s, err := w.live.Node(n)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range s.Runs {
			ref := Ref{n, x.ID}
			if x.State.Final() {
				out = append(out, ActionEnded{ref, StateSucceeded}, ActionMoved{ref, StateActive})
			} else {
				out = append(out, ActionEnded{ref, StateActive}, ActionEnded{ref, ""}, ActionMoved{ref, StateFailed}, ActionMoved{ref, ""})
			}
			if !slices.Contains(h.Stops, ref) {
				out = append(out, StopSent{ref})
			}
		}
	}
	quiet := h.Active == 0 && len(h.Ready)+len(h.Firing)+len(h.Stops) == 0
	if h.Status != Running || !quiet {
		out = append(out, RunEnded{Completed})
	}
	if h.Status != Stopping || !quiet {
		out = append(out, RunEnded{Stopped})
	}
	if h.Status != Running {
		out = append(out, StopRequested{})
	}
	return out
}

// A run that is over takes no fact of any kind.
func TestTerminalIsFinal(t *testing.T) {
	g := flow.Build("w", parseTriggers(t, "start: on-demand -> A"))
	for _, status := range []Status{Completed, Stopped, Error} {
		for _, f := range []Fact{
			TriggerFired{0}, ActionStarted{0, 0, "a", StateActive}, ActionRefused{0, 0, "a", StateFailed}, ActionMoved{Ref{1, "a"}, StateActive},
			ActionEnded{Ref{1, "a"}, StateFailed}, StopRequested{}, StopSent{Ref{1, "a"}}, RunEnded{status},
		} {
			r := New(WorkflowRun, g, 0)
			r.Head.Status = status
			if _, err := Record(r, f); !errors.Is(err, ErrIllegal) {
				t.Errorf("%T in a run that is %s: %v", f, status, err)
			}
			if p := Advance(r, time.Time{}); len(p.Effects) > 0 {
				t.Errorf("a run that is %s needs %v", status, p.Effects)
			}
		}
	}
}

// A part of the wrong length, or a missing loader, is an error and no panic.
func TestLoadRefusesBrokenParts(t *testing.T) {
	g := flow.Build("w", parseTriggers(t, "start: on-demand -> A"))
	head := New(WorkflowRun, g, 0).Head
	for name, load := range map[string]Loader{
		"none":  nil,
		"short": func(int) ([]NodeState, error) { return make([]NodeState, 1), nil },
		"long":  func(int) ([]NodeState, error) { return make([]NodeState, 3), nil },
	} {
		r := Restore(WorkflowRun, g, head, load)
		if _, err := Record(r, TriggerFired{0}); err == nil || errors.Is(err, ErrIllegal) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
