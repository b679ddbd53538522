package engine

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tenon/internal/flow"
)

// spread returns a graph of several parts: job J0 is in the first, J69 in the
// second, and trigger t, which watches both, in the third.
func spread(t *testing.T) *flow.Graph {
	t.Helper()
	var b strings.Builder
	b.WriteString("start: on-demand ->")
	for i := range 70 {
		fmt.Fprintf(&b, " J%d", i)
	}
	for i := range 60 {
		fmt.Fprintf(&b, "\nf%d: any J1=FAILED -> K%d", i, i)
	}
	b.WriteString("\nt: all J0=SUCCEEDED J69=SUCCEEDED -> Z")
	g := flow.Build("w", parseTriggers(t, b.String()))
	last := len(g.Triggers) - 1
	if a, b, c := g.ActionNode(0, 0)/PartSize, g.ActionNode(0, 69)/PartSize, g.TriggerNode(last)/PartSize; a != 0 || b != 1 || c != 2 {
		t.Fatalf("parts %d, %d, %d", a, b, c)
	}
	return g
}

// A fact loads the parts it touches and no others (invariant 4), and if any of
// them cannot be loaded, it changes nothing.
func TestRecordLoadsPartByPart(t *testing.T) {
	broken := errors.New("disk is gone")
	j0 := ActionEnded{Ref{1, "a0"}, StateSucceeded}
	tests := []struct {
		name  string
		kind  Kind
		fact  Fact
		after []Fact // what happened before
		loads int
	}{
		{name: "firing", kind: WorkflowRun, fact: TriggerFired{0}, loads: 1},
		{name: "start of a watched job", kind: WorkflowRun, fact: ActionStarted{0, 0, "a0", StateActive}, after: begun(0), loads: 2},
		{name: "start in a chain", kind: Chain, fact: ActionStarted{0, 0, "a0", StateActive}, after: begun(0), loads: 3},
		{name: "refused start", kind: WorkflowRun, fact: ActionRefused{0, 0, "a0", StateFailed}, after: begun(0), loads: 2},
		{name: "start of a job that nobody watches", kind: WorkflowRun, fact: ActionStarted{0, 2, "a2", StateActive}, after: begun(2), loads: 1},
		{name: "end that readies a trigger", kind: WorkflowRun, fact: j0, after: append(begun(70), ActionEnded{Ref{70, "a69"}, StateSucceeded}), loads: 2},
		{name: "end that readies a trigger of a chain", kind: Chain, fact: j0, after: append(begun(70), ActionEnded{Ref{70, "a69"}, StateSucceeded}), loads: 3},
		{name: "end that nobody watches", kind: Chain, fact: ActionEnded{Ref{3, "a2"}, StateFailed}, after: begun(70), loads: 1},
		{name: "move", kind: WorkflowRun, fact: ActionMoved{Ref{3, "a2"}, StateWaiting}, after: begun(70), loads: 1},
		{name: "stop", kind: WorkflowRun, fact: StopRequested{}, after: begun(70), loads: 4},
		{name: "sent stop", kind: WorkflowRun, fact: StopSent{Ref{1, "a0"}}, after: append(begun(70), StopRequested{}), loads: 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := spread(t)
			live := New(tt.kind, g, 0)
			for _, f := range tt.after {
				var err error
				if live, err = Record(live, f); err != nil {
					t.Fatalf("%T: %v", f, err)
				}
			}
			shelf := shelf{parts: map[int][]byte{}}
			shelf.save(live)
			for shelf.good = range tt.loads {
				shelf.fail, shelf.loads = broken, 0
				after, err := Record(shelf.restore(tt.kind, g), tt.fact)
				if !errors.Is(err, broken) {
					t.Fatalf("with %d loads: %v", shelf.good, err)
				}
				if len(after.Dirty()) > 0 || !bytes.Equal(shelf.head, encode(after.Head)) {
					t.Fatalf("with %d loads it failed and changed the run", shelf.good)
				}
			}
			shelf.fail, shelf.loads = nil, 0
			after, err := Record(shelf.restore(tt.kind, g), tt.fact)
			if err != nil || shelf.loads != tt.loads {
				t.Fatalf("%d loads, want %d: %v", shelf.loads, tt.loads, err)
			}
			if _, ok := tt.fact.(StopRequested); ok && len(after.Head.Stops) != 70 {
				t.Errorf("%d of 70 runs are to be stopped", len(after.Head.Stops))
			}
			if strings.HasPrefix(tt.name, "end that readies") && !after.IsReady(len(g.Triggers)-1) {
				t.Errorf("t is not ready: %+v", after.Head)
			}
		})
	}
}

// begun fires the start trigger and starts its first n actions.
func begun(n int) []Fact {
	out := []Fact{TriggerFired{0}}
	for i := range n {
		out = append(out, ActionStarted{0, i, fmt.Sprint("a", i), StateActive})
	}
	return out
}
