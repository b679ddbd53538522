package instant

import (
	"context"
	"slices"
	"testing"

	"tenon/internal/launch"
)

// watch collects facts until so many final ones came.
func watch(t *testing.T, s *Supervisor, finals int) []launch.Fact {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all []launch.Fact
	_ = s.Watch(ctx, func(facts []launch.Fact) {
		for _, f := range facts {
			if all = append(all, f); f.Final() {
				finals--
			}
		}
		if finals <= 0 {
			cancel()
		}
	})
	return all
}

func TestAttemptRunsOnce(t *testing.T) {
	s, p := NewSupervisor(), NewPreparer(t.TempDir(), "/bin/sh", "-c", "exit 7")
	process, err := p.Prepare(t.Context(), launch.Spec{Attempt: "jr_1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // a repeated start is not a second process
		if err := s.Start(t.Context(), process); err != nil {
			t.Fatal(err)
		}
	}
	facts := watch(t, s, 1)
	s.Wait()
	states := []launch.State{}
	for _, f := range facts {
		states = append(states, f.State)
	}
	if want := []launch.State{launch.Running, launch.Ended}; !slices.Equal(states, want) {
		t.Fatalf("got %v, want %v", states, want)
	}
	if last := facts[1]; last.ExitCode != 7 || last.Cause != launch.CauseExit {
		t.Errorf("got %+v", last)
	}
	spans := s.Spans()
	if len(spans) != 1 || spans[0].End.Before(spans[0].Begin) || spans[0].Begin.IsZero() {
		t.Errorf("got %v", spans)
	}
	if times := p.Times(); len(times) != 1 || times[0].After(spans[0].Begin) {
		t.Errorf("prepared at %v, begun at %v", times, spans[0].Begin)
	}
	if len(s.Spans()) != 0 || len(p.Times()) != 0 {
		t.Error("what was taken came again")
	}
}

func TestUnknownAndMissing(t *testing.T) {
	s := NewSupervisor()
	if err := s.Stop(t.Context(), "jr_1", 0); err != launch.ErrUnknownAttempt {
		t.Errorf("stop of an unknown attempt: %v", err)
	}
	if err := s.Start(t.Context(), launch.Process{Attempt: "jr_1", Argv: []string{"/nowhere/at/all"}}); err != nil {
		t.Fatal(err)
	}
	facts := watch(t, s, 1)
	if len(facts) != 1 || facts[0].Cause != launch.CauseStart || facts[0].Reason == "" {
		t.Errorf("got %+v", facts)
	}
	if err := s.Ack(t.Context(), "jr_1"); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("got %v, %v after the acknowledgement", list, err)
	}
}

func TestStop(t *testing.T) {
	s := NewSupervisor()
	if err := s.Start(t.Context(), launch.Process{Attempt: "jr_1", Argv: []string{"/bin/sleep", "600"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context(), "jr_1", 0); err != nil {
		t.Fatal(err)
	}
	facts := watch(t, s, 1)
	s.Wait()
	if last := facts[len(facts)-1]; last.State != launch.Ended || last.ExitCode != -1 {
		t.Errorf("got %+v", last)
	}
}
