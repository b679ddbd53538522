package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tenon/internal/jobrun"
	"tenon/internal/launch"
	"tenon/internal/store"
	"tenon/internal/testkit/crashpoint"
)

// explainEvery is how often runs are told that they wait for a slot; one that
// waits for a shorter time than this is not bothered.
const explainEvery = time.Second

// dispatch hands out queued orders until ctx ends.
func (r *Runner) dispatch(ctx context.Context) {
	explain := time.NewTimer(explainEvery)
	defer explain.Stop()
	ticking := true
	for {
		e, ok := r.queue.take()
		if ok {
			r.work.Go(func() { r.carryOut(ctx, e) })
			continue
		}
		select {
		case <-r.queue.changed:
			// The timer is not set anew: a busy queue would never come to explain itself.
			if !ticking {
				explain.Reset(explainEvery)
				ticking = true
			}
		case <-explain.C:
			ticking = r.explainQueue(ctx)
			if ticking {
				explain.Reset(explainEvery)
			}
		case <-ctx.Done():
			return
		}
	}
}

// explainQueue writes into attempts that wait what they wait for, and reports
// whether there are others to be told later.
func (r *Runner) explainQueue(ctx context.Context) (more bool) {
	keys, more := r.queue.unexplained()
	for batch := range slices.Chunk(keys, explainBatch) {
		err := r.Store.Write(ctx, func(tx store.Tx) error {
			for _, key := range batch {
				if err := r.Orchestrator.AttemptDetail(tx, key, jobrun.MsgLocalSlot); err != nil && !errors.Is(err, store.ErrNotFound) {
					return err
				}
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			r.Logger.Warn("explain waiting attempts", "error", err)
		}
	}
	return more
}

// explainBatch is how many attempts are explained in one transaction.
const explainBatch = 100

// carryOut does one order. An error is the store's or the supervisor's: the
// order stays, and is tried again.
func (r *Runner) carryOut(ctx context.Context, e store.Effect) {
	var err error
	if e.Kind == store.EffectStop {
		err = r.stop(ctx, e)
	} else {
		err = r.launch(ctx, e)
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	r.Logger.Error("carry out order", "kind", e.Kind, "error", err)
	pause(ctx, time.Second)
	r.queue.again(e)
}

// launch prepares an attempt and hands it over.
func (r *Runner) launch(ctx context.Context, e store.Effect) error {
	ctx, cancel := context.WithTimeout(ctx, r.PrepareTimeout)
	defer cancel()
	if !r.queue.preparing(e.Attempt, cancel) {
		return r.end(e.Attempt, jobrun.End{Cause: jobrun.ByStop}) // stopped while it was queued
	}
	a, spec, err := r.specOf(r.ctx, e)
	if errors.Is(err, store.ErrNotFound) { // the server was emptied meanwhile
		r.queue.free(e.Attempt)
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case a.State == jobrun.Stopping:
		// The order to stop it may have been taken already, and left the rest to
		// this launch.
		return r.halt(r.ctx, a)
	case a.State.Terminal():
		r.queue.free(e.Attempt)
		return nil
	case a.State != jobrun.Starting:
		r.queue.accepted(e.Attempt) // the supervisor has it already
		return nil
	}
	preparer, ok := r.Preparers[spec.Command.Name]
	if !ok {
		return r.end(e.Attempt, jobrun.End{Cause: jobrun.Refused, Reason: fmt.Sprintf(jobrun.MsgUnsupported, kindOf(spec.Command.Name))})
	}
	crashpoint.Hit("runner.before-prepare")
	p, err := preparer.Prepare(ctx, spec, func(line string) {
		if err := r.Supervisor.Notice(ctx, spec.Attempt, line); err != nil && ctx.Err() == nil {
			r.Logger.Warn("write notice", "attempt", spec.Attempt, "error", err)
		}
	})
	if err != nil {
		return r.unprepared(ctx, e, err)
	}
	p.Timeout, p.Grace, p.OutputLimit = spec.Timeout, r.Grace, r.OutputLimit
	if p.Limits == (launch.Limits{}) {
		p.Limits = r.Limits
	}
	if !r.queue.handOver(e.Attempt) {
		return r.end(e.Attempt, jobrun.End{Cause: jobrun.ByStop})
	}
	crashpoint.Hit("runner.before-start")
	err = r.Supervisor.Start(r.ctx, p)
	crashpoint.Hit("runner.after-start")
	if errors.Is(err, launch.ErrClosed) || err != nil && r.ctx.Err() != nil {
		return fmt.Errorf("start %s: %w", spec.Attempt, err)
	}
	if err != nil {
		return r.end(e.Attempt, jobrun.End{Cause: jobrun.Refused, Reason: "LAUNCH ERROR | " + err.Error()})
	}
	r.queue.accepted(e.Attempt)
	return nil
}

// unprepared ends an attempt that could not be prepared: because it was stopped,
// for a reason the user can mend, or for one that only the log explains.
func (r *Runner) unprepared(ctx context.Context, e store.Effect, err error) error {
	if r.ctx.Err() != nil {
		return err // the server ends; the next one prepares again
	}
	var mend *launch.PrepareError
	switch {
	case r.queue.stopped(e.Attempt):
		return r.end(e.Attempt, jobrun.End{Cause: jobrun.ByStop})
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return r.end(e.Attempt, jobrun.End{Cause: jobrun.Refused, Reason: fmt.Sprintf("LAUNCH ERROR | Preparing the job took longer than %s.", r.PrepareTimeout)})
	case errors.As(err, &mend):
		return r.end(e.Attempt, jobrun.End{Cause: jobrun.Refused, Reason: mend.Message})
	}
	r.Logger.Error("prepare attempt", "error", err)
	return r.end(e.Attempt, jobrun.End{Cause: jobrun.Refused, Reason: "LAUNCH ERROR | The server could not prepare the job; its log says why."})
}

func kindOf(command string) string {
	switch command {
	case jobrun.Ray:
		return "Ray"
	case jobrun.ETL, jobrun.Streaming:
		return "Spark"
	}
	return fmt.Sprintf("%q", command)
}

// specOf reads an attempt and everything its preparation needs.
func (r *Runner) specOf(ctx context.Context, e store.Effect) (store.Attempt, launch.Spec, error) {
	var a store.Attempt
	var spec launch.Spec
	err := r.Store.Read(ctx, func(tx store.Tx) error {
		var err error
		if a, err = tx.Attempt(e.Attempt); err != nil {
			return fmt.Errorf("read job run: %w", err)
		}
		def, err := r.Orchestrator.Definition(tx, a.Definition)
		if err != nil {
			return err
		}
		spec = launch.Spec{
			Attempt: a.ID(), Account: a.Scope.Account, Region: a.Scope.Region, JobName: a.Run.JobName,
			Command: launch.Command(def.Command), GlueVersion: a.Run.Settings.GlueVersion,
			Workflow: a.Run.Workflow, WorkflowRun: a.Run.WorkflowRun,
			Timeout: time.Duration(a.Run.Settings.Timeout) * time.Minute,
		}
		for _, arg := range jobrun.Merge(def, a.Run.Arguments) {
			spec.Arguments = append(spec.Arguments, launch.Argument(arg))
		}
		return nil
	})
	if err != nil {
		return a, spec, err
	}
	if spec.Environment, err = r.Environment(a); err != nil {
		return a, spec, fmt.Errorf("make environment: %w", err)
	}
	return a, spec, nil
}

// stop carries out an order to stop. Where the attempt is depends on how far its
// launch has come.
func (r *Runner) stop(ctx context.Context, e store.Effect) error {
	switch r.queue.stop(e) {
	case stoppedQueued:
		return r.end(e.Attempt, jobrun.End{Cause: jobrun.ByStop})
	case stoppedPreparing:
		return nil // its launch ends it, or asks again
	}
	var a store.Attempt
	err := r.Store.Read(ctx, func(tx store.Tx) (err error) {
		a, err = tx.Attempt(e.Attempt)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read job run: %w", err)
	}
	if a.State != jobrun.Stopping {
		return nil
	}
	return r.halt(ctx, a)
}

// halt stops an attempt that the supervisor has, or ends it if nobody has it.
func (r *Runner) halt(ctx context.Context, a store.Attempt) error {
	crashpoint.Hit("runner.stop-decided")
	err := r.Supervisor.Stop(ctx, a.ID(), r.Grace)
	crashpoint.Hit("runner.stop-ordered")
	if errors.Is(err, launch.ErrUnknownAttempt) {
		return r.end(a.Key, jobrun.End{Cause: jobrun.ByStop})
	}
	return err
}

// end ends an attempt that has no process.
func (r *Runner) end(key store.AttemptKey, end jobrun.End) error {
	var id string
	err := r.Store.Write(r.ctx, func(tx store.Tx) error {
		a, err := tx.Attempt(key)
		if err != nil {
			return err
		}
		id = a.ID()
		return r.Orchestrator.AttemptEnded(tx, key, end, time.Time{}, r.Now(), "")
	})
	if err != nil {
		return fmt.Errorf("end job run: %w", err)
	}
	r.gone(id, key)
	return nil
}
