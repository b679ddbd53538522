package jobrun

import (
	"errors"
	"slices"
	"testing"
)

// Every pair of states of spec/jobs §2.3; x is a legal move.
func TestMove(t *testing.T) {
	to := []State{Starting, Waiting, Running, Stopping, Stopped, Succeeded, Failed, Timeout, Error, Expired}
	table := map[State]string{
		Starting:  ".xxxxxxx..",
		Waiting:   "x...x.x..x",
		Running:   "...xxxxx..",
		Stopping:  "....x.x...",
		Stopped:   "..........",
		Succeeded: "..........",
		Failed:    "..........",
		Timeout:   "..........",
		Error:     "..........",
		Expired:   "..........",
	}
	if !slices.Equal(to, States()) {
		t.Fatalf("States = %v", States())
	}
	for from, row := range table {
		for i, s := range to {
			err := Move(from, s)
			if legal := row[i] == 'x'; (err == nil) != legal || err != nil && !errors.Is(err, ErrIllegal) {
				t.Errorf("Move(%s, %s) = %v", from, s, err)
			}
		}
	}
	if err := Move("", Running); !errors.Is(err, ErrIllegal) {
		t.Errorf("Move from nowhere = %v", err)
	}
}

// What is terminal never moves; what can be stopped is what spec/jobs §2.9 says.
func TestTerminalAndStoppable(t *testing.T) {
	terminal := []State{Stopped, Succeeded, Failed, Timeout, Error, Expired}
	stoppable := []State{Starting, Waiting, Running}
	for _, s := range States() {
		if got := s.Terminal(); got != slices.Contains(terminal, s) {
			t.Errorf("%s terminal: %v", s, got)
		}
		if got := s.Stoppable(); got != slices.Contains(stoppable, s) {
			t.Errorf("%s stoppable: %v", s, got)
		}
		if _, moves := moves[s]; moves == s.Terminal() {
			t.Errorf("%s: terminal %v, moves %v", s, s.Terminal(), moves)
		}
	}
}

// Every outcome is a legal move from the states a process can end in, and
// nothing but exit code 0 is a success (DESIGN P3).
func TestOutcomeIsLegal(t *testing.T) {
	for _, from := range []State{Starting, Running, Stopping} {
		for _, cause := range []Cause{ByItself, "", ByTimeout, ByStop, Refused, Lost} {
			for _, exit := range []int{0, 1, 2} {
				for _, signal := range []int{0, 9} {
					end := End{Cause: cause, ExitCode: exit, Signal: signal, Reason: "reason"}
					state, msg := Outcome(from, end, 5)
					if err := Move(from, state); err != nil {
						t.Errorf("%s, %+v: %v", from, end, err)
					}
					clean := (cause == ByItself || cause == "") && exit == 0 && signal == 0 && from != Stopping
					if (state == Succeeded) != clean {
						t.Errorf("%s, %+v: %s", from, end, state)
					}
					if (msg == "") != (state == Succeeded) {
						t.Errorf("%s, %+v: %s with message %q", from, end, state, msg)
					}
				}
			}
		}
	}
}

// spec/jobs §2.3 (a run that is being stopped is STOPPED however it ends) and §2.8.
func TestOutcome(t *testing.T) {
	tests := []struct {
		name    string
		from    State
		end     End
		state   State
		message string
	}{
		{"clean", Running, End{Cause: ByItself}, Succeeded, ""},
		{"clean before its start was heard of", Starting, End{Cause: ByItself}, Succeeded, ""},
		{"output on the error stream is no failure", Running, End{Tail: []byte("ValueError: x\n")}, Succeeded, ""},
		{"exit code", Running, End{Cause: ByItself, ExitCode: 3}, Failed, "Command failed with exit code 3"},
		{"killed", Running, End{Cause: ByItself, Signal: 9}, Failed, "Command failed with exit code 137"},
		{"timeout", Running, End{Cause: ByTimeout, Signal: 15}, Timeout, "Job run exceeded its timeout of 5 minutes."},
		{"stop", Running, End{Cause: ByStop, Signal: 15}, Stopped, "Job run was stopped by user request."},
		{"clean while stopping", Stopping, End{Cause: ByItself}, Stopped, "Job run was stopped by user request."},
		{"failed while stopping", Stopping, End{Cause: ByItself, ExitCode: 1}, Stopped, "Job run was stopped by user request."},
		{"timeout while stopping", Stopping, End{Cause: ByTimeout}, Stopped, "Job run was stopped by user request."},
		{"refused while stopping", Stopping, End{Cause: Refused, Reason: "no script"}, Stopped, "Job run was stopped by user request."},
		{"lost while stopping", Stopping, End{Cause: Lost, Reason: "the launcher died."}, Failed, "The outcome of this attempt is unknown: the launcher died."},
		{"lost", Running, End{Cause: Lost, Reason: "the machine was restarted."}, Failed, "The outcome of this attempt is unknown: the machine was restarted."},
		{"refused", Starting, End{Cause: Refused, Reason: "LAUNCH ERROR | no script"}, Failed, "LAUNCH ERROR | no script"},
	}
	for _, tt := range tests {
		state, msg := Outcome(tt.from, tt.end, 5)
		if state != tt.state || msg != tt.message {
			t.Errorf("%s: %s, %q; want %s, %q", tt.name, state, msg, tt.state, tt.message)
		}
	}
}
