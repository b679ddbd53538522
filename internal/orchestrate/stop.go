package orchestrate

import (
	"errors"
	"fmt"

	"tenon/internal/engine"
	"tenon/internal/jobrun"
	"tenon/internal/store"
)

// StopJobRun stops one attempt for a caller of the API (spec/jobs §2.9): a
// queued one is over at once, a running one is STOPPING, and a failed one whose
// retry is due loses the retry. Anything else is ErrNotStoppable.
func (o *Orchestrator) StopJobRun(tx store.Tx, a store.Attempt) error {
	u := o.begin(tx)
	if err := u.stop(&a); err != nil {
		return err
	}
	return u.finish()
}

func (u *unit) stop(a *store.Attempt) error {
	switch {
	case a.Waiting():
		return u.end(a, jobrun.Stopped, jobrun.MsgStopped, u.now)
	case a.State.Stoppable():
		a.State = jobrun.Stopping
		if err := u.update(a); err != nil {
			return err
		}
		err := u.tx.AddEffect(store.Effect{
			Seq: u.IDs.Next(), Key: effectRow(store.EffectStop, a.ID()), Kind: store.EffectStop, Attempt: a.Key, Owner: a.RunSeq,
		})
		if err != nil {
			return fmt.Errorf("write stop: %w", err)
		}
		return nil
	case a.State.Terminal() && a.Holds:
		if err := u.tx.DeleteTimer(store.Timer{Kind: store.TimerRetry, Ref: a.ID()}.Key()); err != nil {
			return fmt.Errorf("delete retry timer: %w", err)
		}
		return u.ended(a)
	}
	return ErrNotStoppable
}

// stopNode stops the latest attempt of a node's job run, for a run that is
// stopping. The end of an attempt that had not begun is told by stop itself.
func (u *unit) stopNode(ref engine.Ref) (engine.Fact, error) {
	key, _, err := store.ParseAttemptID(ref.ID)
	if err != nil {
		return nil, fmt.Errorf("parse %q: %w", ref.ID, err)
	}
	all, err := u.tx.AttemptsOf(key.Base)
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("job run %s has no attempts", ref.ID)
	}
	last := all[len(all)-1]
	switch err := u.stop(&last); {
	case errors.Is(err, ErrNotStoppable) && last.State == jobrun.Stopping:
		return engine.StopSent{Ref: ref}, nil // somebody stopped the job run before
	case err != nil:
		return nil, err
	case last.State == jobrun.Stopping:
		return engine.StopSent{Ref: ref}, nil
	}
	return nil, nil
}

// TimerDue does what a timer was set for. A timer whose row is gone, or whose
// attempt has moved on, is only removed.
func (o *Orchestrator) TimerDue(tx store.Tx, t store.Timer) error {
	if err := tx.DeleteTimer(t.Key()); err != nil {
		return fmt.Errorf("delete timer: %w", err)
	}
	key, _, err := store.ParseAttemptID(t.Ref)
	if err != nil {
		return fmt.Errorf("parse timer %q: %w", t.Key(), err)
	}
	a, err := tx.Attempt(key)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read job run: %w", err)
	}
	u := o.begin(tx)
	switch {
	case t.Kind == store.TimerRetry && a.State == jobrun.Failed && a.Holds:
		err = u.retry(&a)
	case t.Kind == store.TimerQueue && a.Waiting():
		err = u.end(&a, jobrun.Expired, jobrun.MsgExpired, u.now)
	}
	if err != nil {
		return err
	}
	return u.finish()
}
