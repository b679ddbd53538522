// Package jobrun says how one job run lives, whoever started it: its states and
// which moves are legal, whether it may start, wait or is refused, what its end
// means, whether it is tried again, and which arguments its script sees. It
// guarantees that a run ends exactly once, that an outcome nobody knows is never
// a success, and that equal input gives equal answers.
//
// It does not start anything, has no clock, and does not know workflows:
// package engine hears of a job run after its last attempt. Sentences here are
// those that a job run carries in its ErrorMessage; errors of the API are
// elsewhere.
package jobrun

import (
	"errors"
	"fmt"
)

// State is a JobRunState as on the wire (spec/jobs §2.3).
type State string

// The states of a job run.
const (
	Starting  State = "STARTING"
	Waiting   State = "WAITING"
	Running   State = "RUNNING"
	Stopping  State = "STOPPING"
	Stopped   State = "STOPPED"
	Succeeded State = "SUCCEEDED"
	Failed    State = "FAILED"
	Timeout   State = "TIMEOUT"
	Error     State = "ERROR"
	Expired   State = "EXPIRED"
)

// States lists every state.
func States() []State {
	return []State{Starting, Waiting, Running, Stopping, Stopped, Succeeded, Failed, Timeout, Error, Expired}
}

// Terminal tells whether a run in this state has ended.
func (s State) Terminal() bool {
	switch s {
	case Stopped, Succeeded, Failed, Timeout, Error, Expired:
		return true
	}
	return false
}

// ErrIllegal is returned for a move that the table does not have.
var ErrIllegal = errors.New("illegal job run transition")

// moves is the table of spec/jobs §2.3. STARTING may end directly: the process
// can be gone before its start was heard of. STOPPING may end in TIMEOUT or
// FAILED only through Outcome, which prefers STOPPED.
var moves = map[State][]State{
	Starting: {Running, Waiting, Stopping, Succeeded, Failed, Timeout, Stopped},
	Waiting:  {Starting, Stopped, Failed, Expired},
	Running:  {Succeeded, Failed, Timeout, Stopping, Stopped},
	Stopping: {Stopped, Failed},
}

// Move checks that a run may go from one state to another. Staying where it is
// is a move of no one.
func Move(from, to State) error {
	for _, s := range moves[from] {
		if s == to {
			return nil
		}
	}
	return fmt.Errorf("%s to %s: %w", from, to, ErrIllegal)
}

// Stoppable tells whether BatchStopJobRun takes a run in this state
// (spec/jobs §2.9).
func (s State) Stoppable() bool { return s == Starting || s == Waiting || s == Running }
