package runner

import (
	"testing"

	"tenon/internal/store"
)

// A stop that comes while the supervisor is being asked must not overtake the
// launch: the supervisor would not know the attempt, the run would end STOPPED,
// and the process would start after that (faults A1, P3).
func TestStopDuringHandOver(t *testing.T) {
	launch := store.Effect{Kind: store.EffectLaunch, Attempt: store.AttemptKey{Base: 1}}
	halt := store.Effect{Kind: store.EffectStop, Attempt: launch.Attempt}
	handing := func(t *testing.T) *queue {
		q := newQueue(1)
		q.add(launch)
		if e, ok := q.take(); !ok || e != launch {
			t.Fatalf("took %v, %t", e, ok)
		}
		if !q.preparing(launch.Attempt, func() {}) || !q.handOver(launch.Attempt) {
			t.Fatal("the launch was not taken up")
		}
		if got := q.stop(halt); got != stoppedPreparing {
			t.Fatalf("stop says %v: the supervisor would be asked for an attempt that it does not know", got)
		}
		if e, ok := q.take(); ok {
			t.Fatalf("took %v before the supervisor answered", e)
		}
		return q
	}
	t.Run("accepted", func(t *testing.T) {
		q := handing(t)
		q.accepted(launch.Attempt)
		if e, ok := q.take(); !ok || e != halt {
			t.Errorf("took %v, %t, not the stop", e, ok)
		}
		if got := q.stop(halt); got != stoppedNothing {
			t.Errorf("stop says %v, not that the supervisor has it", got)
		}
	})
	t.Run("supervisor gone", func(t *testing.T) {
		q := handing(t)
		q.again(launch)
		if e, ok := q.take(); !ok || e != launch {
			t.Fatalf("took %v, %t, not the launch", e, ok)
		}
		if q.preparing(launch.Attempt, func() {}) {
			t.Error("a stopped launch is prepared again")
		}
	})
	t.Run("ended meanwhile", func(t *testing.T) {
		q := handing(t)
		q.free(launch.Attempt)
		q.accepted(launch.Attempt)
		if e, ok := q.take(); ok {
			t.Errorf("took %v for an attempt that is over", e)
		}
	})
}
