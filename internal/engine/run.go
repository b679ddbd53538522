package engine

import (
	"errors"
	"fmt"
	"slices"

	"tenon/internal/flow"
)

// ErrIllegal is returned for a fact that the run's state cannot have.
var ErrIllegal = errors.New("illegal transition")

// Status is a workflow run's status as on the wire (spec/workflows §5.2).
type Status string

// The statuses of a run.
const (
	Running   Status = "RUNNING"
	Stopping  Status = "STOPPING"
	Stopped   Status = "STOPPED"
	Completed Status = "COMPLETED"
	Error     Status = "ERROR"
)

// Terminal tells whether a run in this status is over.
func (s Status) Terminal() bool { return s == Stopped || s == Completed || s == Error }

// Kind tells workflow runs from chains of standalone triggers.
type Kind string

// The kinds of run.
const (
	WorkflowRun Kind = "workflow"
	Chain       Kind = "chain"
)

// State is the state of an action run as the engine sees it: waiting or active
// until it ends, then its final JobRunState or CrawlState.
type State string

// The states that the engine tells apart. Every state of a live job run or
// crawl other than WAITING is StateActive here.
const (
	StateWaiting   State = "WAITING"
	StateActive    State = "RUNNING"
	StateSucceeded State = "SUCCEEDED"
	StateFailed    State = "FAILED"
	StateTimeout   State = "TIMEOUT"
	StateStopped   State = "STOPPED"
	StateCancelled State = "CANCELLED"
	StateError     State = "ERROR"
	StateExpired   State = "EXPIRED"
)

// Final tells whether an action run in this state has ended.
func (s State) Final() bool { return s != StateWaiting && s != StateActive && s != "" }

// Statistics are the eight numbers of a run (spec/workflows §5.3).
type Statistics struct {
	Total     int `json:"total,omitzero"`
	Succeeded int `json:"ok,omitzero"`
	Failed    int `json:"failed,omitzero"`
	Timeout   int `json:"timeout,omitzero"`
	Stopped   int `json:"stopped,omitzero"`
	Errored   int `json:"errored,omitzero"`
	Running   int `json:"running,omitzero"`
	Waiting   int `json:"waiting,omitzero"`
}

// count adds d to the number that counts nodes in state s.
func (t *Statistics) count(s State, d int) {
	switch s {
	case "":
	case StateSucceeded:
		t.Succeeded += d
	case StateTimeout:
		t.Timeout += d
	case StateStopped, StateCancelled:
		t.Stopped += d
	case StateError:
		t.Errored += d
	case StateActive:
		t.Running += d
	case StateWaiting:
		t.Waiting += d
	default: // FAILED, and EXPIRED (spec/workflows §10.6)
		t.Failed += d
	}
}

// Head is the small part of a run that every fact may change.
type Head struct {
	Status Status     `json:"status"`
	Stats  Statistics `json:"stats"`
	Active int        `json:"active,omitzero"`
	Ready  []Ready    `json:"ready,omitzero"`
	Firing []Firing   `json:"firing,omitzero"`
	// Restarts are actions that a resumed run repeats before anything else.
	Restarts []Restart `json:"restarts,omitzero"`
	Stops    []Ref     `json:"stops,omitzero"`
}

// Ready is a trigger whose predicate holds and that has not fired.
type Ready struct {
	Trigger int `json:"t"`
	// Because lists the action runs that satisfied the predicate; it is kept for
	// chains only, which report them (spec/workflows §4.5).
	Because []Predecessor `json:"because,omitzero"`
}

// Predecessor is an action run that satisfied a condition.
type Predecessor struct {
	Type flow.NodeType `json:"type"`
	Name string        `json:"name"`
	ID   string        `json:"id"`
}

// Firing is a trigger that has fired and whose actions from Next on are yet to
// be admitted.
type Firing struct {
	Trigger int           `json:"t"`
	Next    int           `json:"n,omitzero"`
	Because []Predecessor `json:"because,omitzero"`
}

// Restart is an action of the resumed run that is started again.
type Restart struct {
	Trigger int `json:"t"`
	Action  int `json:"x"`
}

// Ref names an action run of a node.
type Ref struct {
	Node int    `json:"n"`
	ID   string `json:"id"`
}

// Phase is where a trigger stands in a run.
type Phase string

// The phases of doc.go; ready triggers are Armed and listed in the head.
const (
	Armed Phase = "armed"
	Inert Phase = "inert"
	Fired Phase = "fired"
)

// NodeState is the state of one node: Phase and Met for a trigger, the rest for
// a job or crawler.
type NodeState struct {
	Phase Phase `json:"p,omitzero"`
	// Met counts the trigger's conditions that hold now.
	Met int `json:"m,omitzero"`

	Runs []ActionRun `json:"r,omitzero"`
	// Active counts runs that have not ended.
	Active int `json:"a,omitzero"`
	// Decided is 1 + the index of the run whose end counts; 0 while there is none.
	Decided int `json:"d,omitzero"`
}

// ActionRun is one start of a job or crawler in a run. ID is the JobRun's or
// crawl's id; retries are not listed here.
type ActionRun struct {
	ID      string `json:"id"`
	Trigger int    `json:"t,omitzero"`
	Action  int    `json:"x,omitzero"`
	State   State  `json:"s"`
	// Refused marks a start that failed before anything ran.
	Refused bool `json:"f,omitzero"`
}

// Outcome is the state in which the node is finished, or "" while it is unrun or
// active.
func (n *NodeState) Outcome() State {
	if n.Active > 0 || n.Decided == 0 {
		return ""
	}
	return n.Runs[n.Decided-1].State
}

// Shown is the state that the node is counted under: that of its latest active
// run, else its outcome, "" if it never ran.
func (n *NodeState) Shown() State {
	if n.Active > 0 {
		for _, r := range slices.Backward(n.Runs) {
			if !r.State.Final() {
				return r.State
			}
		}
	}
	return n.Outcome()
}

// PartSize is the number of nodes in a part.
const PartSize = 64

// Loader returns the stored states of part p, in order of the graph's nodes.
type Loader func(p int) ([]NodeState, error)

// Run is the state of one run. Parts of its nodes are loaded when they are
// touched. A Run is used by one goroutine at a time, and only its latest value:
// Record takes the one it is given over.
type Run struct {
	Kind  Kind
	Graph *flow.Graph
	Head  Head

	load  Loader
	parts map[int][]NodeState
	dirty map[int]bool
}

// New returns a run of graph g at its beginning, with trigger start ready to fire.
func New(kind Kind, g *flow.Graph, start int) Run {
	r := Run{Kind: kind, Graph: g, parts: map[int][]NodeState{}, dirty: map[int]bool{}}
	r.Head.Status = Running
	r.Head.Stats.Total = g.TotalActions()
	if start >= 0 {
		r.Head.Ready = []Ready{{Trigger: start}}
	}
	for p := range r.Parts() {
		states := make([]NodeState, min(PartSize, len(g.Nodes)-p*PartSize))
		for i := range states {
			if t := g.Nodes[p*PartSize+i].Trigger; t >= 0 {
				states[i].Phase = phaseAtStart(g.Triggers[t])
			}
		}
		r.parts[p], r.dirty[p] = states, true
	}
	return r
}

// phaseAtStart: a conditional trigger takes part only if it was ACTIVATED when
// the run began (spec/workflows §4.4); activation of a start trigger only gates
// the clock (§3.2).
func phaseAtStart(t flow.Trigger) Phase {
	if t.Type == flow.Conditional && t.State != flow.Activated {
		return Inert
	}
	return Armed
}

// Restore returns a stored run.
func Restore(kind Kind, g *flow.Graph, h Head, load Loader) Run {
	return Run{Kind: kind, Graph: g, Head: h, load: load, parts: map[int][]NodeState{}, dirty: map[int]bool{}}
}

// Parts returns the number of parts.
func (r Run) Parts() int { return (len(r.Graph.Nodes) + PartSize - 1) / PartSize }

// Dirty returns the parts changed since New, Restore or Saved, in order.
func (r Run) Dirty() []int {
	d := make([]int, 0, len(r.dirty))
	for p := range r.dirty {
		d = append(d, p)
	}
	slices.Sort(d)
	return d
}

// Part returns the states of a part that was loaded.
func (r Run) Part(p int) []NodeState { return r.parts[p] }

// Saved marks every part as stored.
func (r Run) Saved() { clear(r.dirty) }

// Node returns the state of a node for reading, loading its part if needed.
func (r Run) Node(i int) (*NodeState, error) {
	p := i / PartSize
	if _, ok := r.parts[p]; !ok {
		if r.load == nil {
			return nil, fmt.Errorf("load part %d: no loader", p)
		}
		states, err := r.load(p)
		if err != nil {
			return nil, fmt.Errorf("load part %d: %w", p, err)
		}
		if want := min(PartSize, len(r.Graph.Nodes)-p*PartSize); len(states) != want {
			return nil, fmt.Errorf("load part %d: %d nodes, want %d", p, len(states), want)
		}
		r.parts[p] = states
	}
	return &r.parts[p][i%PartSize], nil
}

func (r Run) touch(i int) { r.dirty[i/PartSize] = true }

// IsReady tells whether a trigger is ready to fire.
func (r Run) IsReady(trigger int) bool {
	return slices.ContainsFunc(r.Head.Ready, func(x Ready) bool { return x.Trigger == trigger })
}
