package runner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tenon/internal/store"
	"tenon/internal/testkit/crashpoint"
)

// alarm remembers the earliest time at which a timer is due.
type alarm struct {
	changed chan struct{}
	mu      sync.Mutex
	at      time.Time // zero = none
}

func newAlarm() *alarm { return &alarm{changed: make(chan struct{}, 1)} }

// notLaterThan moves the alarm forward if t is earlier.
func (a *alarm) notLaterThan(t time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.at.IsZero() && !t.Before(a.at) {
		return
	}
	a.at = t
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// next returns the alarm's time and clears it.
func (a *alarm) next() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.at
	a.at = time.Time{}
	return t
}

// longest bounds a wait, so that a clock that jumped is noticed.
const longest = time.Minute

// dueBatch is how many timers are read at a time.
const dueBatch = 256

// dispatchTimers does what timers were set for, at their time, until ctx ends.
func (r *Runner) dispatchTimers(ctx context.Context) {
	var due time.Time
	for {
		wait := longest
		if !due.IsZero() {
			wait = max(0, min(due.Sub(r.Now()), longest))
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-r.timers.changed:
			t.Stop()
			if at := r.timers.next(); !at.IsZero() && (due.IsZero() || at.Before(due)) {
				due = at
			}
			continue
		case <-t.C:
		}
		if due.IsZero() || r.Now().Before(due) {
			continue
		}
		var err error
		if due, err = r.doDue(ctx); err != nil && ctx.Err() == nil {
			r.Logger.Error("dispatch timers", "error", err)
			due = r.Now().Add(time.Second)
		}
	}
}

// doDue does the timers that are due and returns when the next one is. One that
// cannot be done does not keep the others from being done.
func (r *Runner) doDue(ctx context.Context) (time.Time, error) {
	for {
		var due []store.Timer
		var next time.Time
		err := r.Store.Read(ctx, func(tx store.Tx) (err error) {
			if due, err = tx.DueTimers(r.Now(), dueBatch); err == nil && len(due) == 0 {
				next, err = tx.NextTimer()
			}
			return err
		})
		if err != nil || len(due) == 0 {
			return next, err
		}
		var failed error
		for _, t := range due {
			crashpoint.Hit("runner.before-timer")
			err := r.Store.Write(ctx, func(tx store.Tx) error { return r.Orchestrator.TimerDue(tx, t) })
			if errors.Is(err, store.ErrTimeout) || errors.Is(err, store.ErrClosed) {
				return time.Time{}, err // it is the store's fault, not the timer's
			}
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("timer %s: %w", t.Key(), err))
			}
			crashpoint.Hit("runner.after-timer")
		}
		if failed != nil {
			return time.Time{}, failed
		}
	}
}
