package runner

import (
	"context"
	"fmt"
	"time"

	"tenon/internal/jobrun"
	"tenon/internal/store"
)

// recoverBatch is how many rows recovery reads at a time.
const recoverBatch = 500

// recover brings rows, queue and supervisor together: orders that were not
// carried out are queued again, attempts that the supervisor has are adopted, and
// attempts that nobody knows have ended without anyone knowing how (DESIGN P3).
// It is repeated whenever the supervisor was replaced.
func (r *Runner) recover(ctx context.Context) error {
	// Rows first, orders second, the supervisor last: an attempt that went on
	// meanwhile is then found further on, or has ended, and is never taken for lost.
	active, err := r.active(ctx)
	if err != nil {
		return err
	}
	orders, err := r.orders(ctx)
	if err != nil {
		return err
	}
	facts, err := r.Supervisor.List(ctx)
	if err != nil {
		return fmt.Errorf("list attempts: %w", err)
	}
	known := make(map[string]bool, len(facts))
	for _, f := range facts {
		known[f.Attempt] = true
	}
	launching := map[store.AttemptKey]store.Effect{}
	for _, e := range orders {
		if e.Kind == store.EffectLaunch {
			launching[e.Attempt] = e
		}
	}
	for _, a := range active {
		if err := r.recoverAttempt(a, known[a.ID()], launching); err != nil {
			return err
		}
	}
	for _, e := range orders {
		if e.Kind == store.EffectStop {
			r.queue.add(e)
		}
	}
	var next time.Time
	err = r.Store.Read(ctx, func(tx store.Tx) (err error) {
		next, err = tx.NextTimer()
		return err
	})
	if err != nil {
		return fmt.Errorf("read timers: %w", err)
	}
	if !next.IsZero() {
		r.timers.notLaterThan(next)
	}
	return nil
}

func (r *Runner) orders(ctx context.Context) ([]store.Effect, error) {
	var all []store.Effect
	err := r.Store.Read(ctx, func(tx store.Tx) error {
		all = nil
		after := int64(0)
		for {
			page, err := tx.ListEffects(after, recoverBatch)
			if err != nil {
				return err
			}
			all = append(all, page...)
			if len(page) < recoverBatch {
				return nil
			}
			after = page[len(page)-1].Seq
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	return all, nil
}

// active returns the attempts that hold a slot of their job.
func (r *Runner) active(ctx context.Context) ([]store.Attempt, error) {
	var all []store.Attempt
	err := r.Store.Read(ctx, func(tx store.Tx) error {
		all = nil
		var above store.AttemptKey
		for {
			page, err := tx.ListActiveAttempts(above, recoverBatch)
			if err != nil {
				return err
			}
			all = append(all, page...)
			if len(page) < recoverBatch {
				return nil
			}
			above = page[len(page)-1].Key
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read active job runs: %w", err)
	}
	return all, nil
}

func (r *Runner) recoverAttempt(a store.Attempt, known bool, launching map[store.AttemptKey]store.Effect) error {
	e, ordered := launching[a.Key]
	switch {
	case a.State.Terminal(): // it holds its slot for a retry, whose timer is set
		return nil
	case known:
		r.queue.adopt(a.Key)
		return nil
	case ordered && r.queue.holds(a.Key):
		return nil // this server has it in hand
	case ordered && a.Boot == r.Boot && a.State == jobrun.Starting:
		r.queue.add(e)
		return nil
	case ordered && a.Boot == r.Boot:
		return r.end(a.Key, jobrun.End{Cause: jobrun.ByStop}) // stopped before it was started
	}
	reason := "the process that supervised it is gone."
	if a.Boot != r.Boot {
		reason = "the machine was restarted before its end was seen."
	}
	return r.end(a.Key, jobrun.End{Cause: jobrun.Lost, Reason: reason})
}
