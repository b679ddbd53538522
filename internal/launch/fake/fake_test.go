package fake_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"tenon/internal/launch"
	"tenon/internal/launch/fake"
	"tenon/internal/launch/launchtest"
)

// clock is a time that moves when it is told to.
type clock struct{ now time.Time }

func newHarness(t *testing.T) launchtest.Harness {
	c := &clock{now: time.Unix(1000, 0)}
	steps := map[string][]launchtest.Step{}
	s := fake.New(func() time.Time { return c.now }, func(p launch.Process) fake.Outcome { return outcome(steps[p.Attempt]) })
	return launchtest.Harness{
		Supervisor: s,
		Process: func(attempt string, list ...launchtest.Step) launch.Process {
			steps[attempt] = list
			return launch.Process{Attempt: attempt, Argv: []string{"/bin/fake"}, Dir: "/"}
		},
		Tick: func() {
			if at, ok := s.Next(); ok && at.After(c.now) {
				c.now = at
			}
			s.Tick()
		},
		Starts: s.Started,
	}
}

func outcome(steps []launchtest.Step) fake.Outcome {
	var o fake.Outcome
	for _, s := range steps {
		switch s.Kind {
		case launchtest.Out:
			o.Output = append(o.Output, fake.Output{At: o.After, Stream: launch.Stdout, Data: s.Text})
		case launchtest.Err:
			o.Output = append(o.Output, fake.Output{At: o.After, Stream: launch.Stderr, Data: s.Text})
		case launchtest.Sleep:
			o.After += s.For
		case launchtest.Exit:
			o.ExitCode = s.N
		case launchtest.Signal:
			o.Signal = s.N
		case launchtest.IgnoreTerm:
			o.IgnoreTerm = true
		case launchtest.Missing:
			o.StartReason = "there is no such program"
		}
	}
	return o
}

func TestConformance(t *testing.T) { launchtest.Run(t, newHarness) }

// TestFaults proves that the faults a simulation asks for do happen.
func TestFaults(t *testing.T) {
	now := time.Unix(1000, 0)
	s := fake.New(func() time.Time { return now }, func(launch.Process) fake.Outcome {
		return fake.Outcome{After: time.Second, FactDelay: time.Minute}
	})
	ctx := context.Background()
	refused := errors.New("refused")
	s.Refuse(func(p launch.Process) error {
		if p.Attempt == "no" {
			return refused
		}
		return nil
	})
	if err := s.Start(ctx, launch.Process{Attempt: "no"}); !errors.Is(err, refused) {
		t.Errorf("Start gives %v", err)
	}
	for _, id := range []string{"late", "lost", "dies"} {
		if err := s.Start(ctx, launch.Process{Attempt: id}); err != nil {
			t.Fatal(err)
		}
	}
	s.Tick()
	s.Lose("lost", "on purpose")
	now = now.Add(time.Second)
	s.Tick()
	if at, ok := s.Next(); !ok || !at.Equal(time.Unix(1060, 0)) {
		t.Errorf("held-back facts are due at %v, %v", at, ok)
	}
	s.Repeat(2)
	var got []launch.Fact
	ended := make(chan error, 1)
	first := make(chan struct{})
	go func() {
		calls := 0
		ended <- s.Watch(ctx, func(f []launch.Fact) {
			got = append(got, f...)
			if calls++; calls == 1 {
				close(first)
			}
		})
	}()
	<-first
	now = now.Add(time.Minute)
	s.Tick()
	s.Die("all gone")
	if err := <-ended; !errors.Is(err, launch.ErrClosed) {
		t.Errorf("Watch ended with %v", err)
	}
	count := map[string]int{}
	for _, f := range got {
		count[f.Attempt+" "+string(f.State)]++
	}
	// Once from the beginning of Watch, three times by Repeat.
	if count["late running"] != 4 || count["late ended"] != 4 || count["lost lost"] < 1 {
		t.Errorf("facts came so often: %v", count)
	}
}
