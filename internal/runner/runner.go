package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tenon/internal/jobrun"
	"tenon/internal/launch"
	"tenon/internal/orchestrate"
	"tenon/internal/store"
	"tenon/internal/testkit/crashpoint"
)

// Config holds what a Runner needs.
type Config struct {
	Store        store.Store
	Orchestrator *orchestrate.Orchestrator
	Supervisor   launch.Supervisor
	// Preparers are the kinds of job that can run, by Command.Name.
	Preparers map[string]launch.Preparer
	// Environment returns the variables that tie an attempt to this server:
	// endpoint, region, session credentials. They are secret.
	Environment func(store.Attempt) (map[string]string, error)
	// Slots is the number of attempts that may be prepared or run at once.
	Slots          int
	PrepareTimeout time.Duration
	Grace          time.Duration // between SIGTERM and SIGKILL
	Limits         launch.Limits
	OutputLimit    int64
	Boot           string
	Now            func() time.Time
	Logger         *slog.Logger
}

// Runner is the dispatcher of one server.
type Runner struct {
	Config
	queue  *queue
	timers *alarm
	facts  serial
	work   sync.WaitGroup // launches, stops and facts in progress
	ctx    context.Context
}

// New returns a Runner that hears of the store's commits from now on. Run does
// the work.
func New(c Config) *Runner {
	r := &Runner{Config: c, queue: newQueue(c.Slots), timers: newAlarm()}
	c.Store.Subscribe(r.committed)
	return r
}

// committed takes the orders of a commit. It does not block.
func (r *Runner) committed(c store.Committed) {
	for _, e := range c.Effects {
		r.queue.add(e)
	}
	if !c.Wake.IsZero() {
		r.timers.notLaterThan(c.Wake)
	}
}

// Run recovers what an earlier server left and then works until ctx ends. Jobs
// go on without it. It returns nil at the end of ctx.
func (r *Runner) Run(ctx context.Context) error {
	r.ctx = ctx
	if err := r.recover(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // it was asked to end before it had begun
		}
		return fmt.Errorf("recover: %w", err)
	}
	var loops sync.WaitGroup
	loops.Go(func() { r.watch(ctx) })
	loops.Go(func() { r.dispatch(ctx) })
	loops.Go(func() { r.dispatchTimers(ctx) })
	loops.Wait()
	r.work.Wait()
	return nil
}

// watch writes the supervisor's facts until ctx ends. When the supervisor goes
// away, what it knew is recovered from the next one.
func (r *Runner) watch(ctx context.Context) {
	for ctx.Err() == nil {
		began := r.Now()
		err := r.Supervisor.Watch(ctx, r.hear)
		if ctx.Err() != nil {
			return
		}
		r.Logger.Warn("supervisor is gone; recovering", "error", err)
		if r.Now().Sub(began) < time.Second { // one that cannot be watched must not keep a core busy
			pause(ctx, time.Second)
		}
		for {
			if err = r.recover(ctx); err == nil || ctx.Err() != nil {
				break
			}
			r.Logger.Error("recover", "error", err)
			pause(ctx, time.Second)
		}
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// hear takes facts in order and has them written, those of different attempts at
// the same time.
func (r *Runner) hear(facts []launch.Fact) {
	for _, f := range facts {
		r.work.Add(1)
		r.facts.do(f.Attempt, func() {
			defer r.work.Done()
			r.write(f)
		})
	}
}

// write records a fact, again and again until the store takes it: the
// supervisor keeps it until then.
func (r *Runner) write(f launch.Fact) {
	for r.ctx.Err() == nil {
		err := r.record(f)
		if err == nil {
			return
		}
		r.Logger.Error("record fact", "attempt", f.Attempt, "state", f.State, "error", err)
		pause(r.ctx, time.Second)
	}
}

func (r *Runner) record(f launch.Fact) error {
	key, rand, err := store.ParseAttemptID(f.Attempt)
	if err != nil {
		return r.disown(f, fmt.Errorf("parse attempt: %w", err))
	}
	unknown, over := false, false
	crashpoint.Hit("runner.before-record")
	err = r.Store.Write(r.ctx, func(tx store.Tx) error {
		a, err := tx.Attempt(key)
		if unknown = errors.Is(err, store.ErrNotFound) || err == nil && a.Rand != rand; unknown {
			return nil
		}
		if err != nil {
			return err
		}
		over = a.State.Terminal()
		switch {
		case f.State == launch.Running:
			return r.Orchestrator.AttemptStarted(tx, key, f.At, f.InForce)
		case f.Final():
			return r.Orchestrator.AttemptEnded(tx, key, end(f), time.Time{}, f.At, f.InForce)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case unknown:
		if f.Final() {
			r.queue.free(key)
		}
		return r.disown(f, store.ErrNotFound)
	case over && !f.Final():
		return r.unwanted(f)
	case f.Final():
		crashpoint.Hit("runner.before-ack")
		r.gone(f.Attempt, key)
		crashpoint.Hit("runner.after-ack")
	}
	return nil
}

// gone forgets an attempt whose end is written.
func (r *Runner) gone(attempt string, key store.AttemptKey) {
	r.queue.free(key)
	if err := r.Supervisor.Ack(r.ctx, attempt); err != nil && r.ctx.Err() == nil {
		r.Logger.Warn("acknowledge end", "attempt", attempt, "error", err) // it is told again, and ignored
	}
	for _, p := range r.Preparers {
		if err := p.Discard(r.ctx, attempt); err != nil && r.ctx.Err() == nil {
			r.Logger.Warn("discard files", "attempt", attempt, "error", err)
		}
	}
}

// unwanted ends a process whose attempt was over before it began: a server that
// died had asked for it, and its successor was told to stop it first. A process
// that is told of late has ended already, which is fine.
func (r *Runner) unwanted(f launch.Fact) error {
	err := r.Supervisor.Stop(r.ctx, f.Attempt, 0)
	if errors.Is(err, launch.ErrUnknownAttempt) {
		return nil
	}
	return err
}

// disown ends a process whose attempt the store does not know: it is nobody's.
func (r *Runner) disown(f launch.Fact, why error) error {
	r.Logger.Error("process of an unknown attempt", "attempt", f.Attempt, "state", f.State, "error", why)
	if f.Final() {
		return r.Supervisor.Ack(r.ctx, f.Attempt)
	}
	return r.Supervisor.Stop(r.ctx, f.Attempt, 0)
}

// end turns a final fact into what package jobrun judges.
func end(f launch.Fact) jobrun.End {
	e := jobrun.End{ExitCode: f.ExitCode, Signal: f.Signal, Reason: f.Reason, Tail: f.Tail}
	switch {
	case f.State == launch.Lost:
		e.Cause = jobrun.Lost
	case f.Cause == launch.CauseTimeout:
		e.Cause = jobrun.ByTimeout
	case f.Cause == launch.CauseStop:
		e.Cause = jobrun.ByStop
	case f.Cause == launch.CauseStart:
		e.Cause = jobrun.Refused
	default:
		e.Cause = jobrun.ByItself
	}
	return e
}

// Output opens what an attempt wrote; see launch.Supervisor.
func (r *Runner) Output(ctx context.Context, attempt string, follow bool) (launch.FrameReader, error) {
	return r.Supervisor.Output(ctx, attempt, follow)
}
