package orchestrate

import (
	"errors"
	"fmt"
	"time"

	"tenon/internal/engine"
	"tenon/internal/jobrun"
	"tenon/internal/store"
)

// origin says who starts a job run. run is nil outside workflows and chains.
type origin struct {
	scope   store.Scope
	rand    [24]byte
	trigger string
	preds   []jobrun.Predecessor
	run     *liveRun
	node    int
}

// StartJobRun starts a job run for a caller of the API (spec/jobs §2.4). check
// sees the merged sizing before anything is written. Errors: ErrNoJob,
// ErrConcurrentJob, *QuotaError, and check's own.
func (o *Orchestrator) StartJobRun(tx store.Tx, s store.Scope, job string, q jobrun.Request, check func(jobrun.Definition) error) (store.Attempt, error) {
	u := o.begin(tx)
	doc, def, err := u.job(s, job)
	if err != nil {
		return store.Attempt{}, err
	}
	if err := check(def.Definition); err != nil {
		return store.Attempt{}, err
	}
	from := origin{scope: s}
	if from.rand, err = u.IDs.Rand(); err != nil {
		return store.Attempt{}, err
	}
	a, err := u.admit(doc, def, q, from, 0, "")
	if err != nil {
		return store.Attempt{}, err
	}
	return a, u.finish()
}

// RetryJobRun starts a job run that retries an earlier one (spec/jobs §2.7,
// StartJobRun with JobRunId): the next attempt of its base, with its arguments
// overlaid by those of the call.
func (o *Orchestrator) RetryJobRun(tx store.Tx, previous store.Attempt, q jobrun.Request, check func(jobrun.Definition) error) (store.Attempt, error) {
	u := o.begin(tx)
	doc, def, err := u.job(previous.Scope, previous.Run.JobName)
	if err != nil {
		return store.Attempt{}, err
	}
	if err := check(def.Definition); err != nil {
		return store.Attempt{}, err
	}
	all, err := tx.AttemptsOf(previous.Key.Base)
	if err != nil {
		return store.Attempt{}, fmt.Errorf("read attempts: %w", err)
	}
	last := all[len(all)-1]
	if !last.State.Terminal() || last.Holds {
		return store.Attempt{}, ErrNotStoppable
	}
	args := map[string]string{}
	for k, v := range previous.Run.Arguments {
		args[k] = v
	}
	for k, v := range q.Arguments {
		args[k] = v
	}
	q.Arguments = args
	from := origin{scope: previous.Scope, rand: previous.Rand}
	a, err := u.admit(doc, def, q, from, last.Key.N+1, previous.ID())
	if err != nil {
		return store.Attempt{}, err
	}
	return a, u.finish()
}

func (u *unit) job(s store.Scope, name string) (store.Document, jobDefinition, error) {
	doc, err := u.tx.Document(s, store.Jobs, name)
	if errors.Is(err, store.ErrNotFound) {
		return doc, jobDefinition{}, ErrNoJob
	}
	if err != nil {
		return doc, jobDefinition{}, fmt.Errorf("read job: %w", err)
	}
	def, err := u.definitionOf(doc)
	return doc, def, err
}

// admit writes a new attempt as starting or queued, or refuses it: retries of a
// base keep its place in the id. n and previous are 0 and empty for a base.
func (u *unit) admit(doc store.Document, def jobDefinition, q jobrun.Request, from origin, n int, previous string) (store.Attempt, error) {
	a, err := u.newAttempt(def.Definition, q, from)
	if err != nil {
		return a, err
	}
	if n > 0 {
		base, _, err := store.ParseAttemptID(previous)
		if err != nil {
			return a, fmt.Errorf("parse previous run: %w", err)
		}
		a.Key = store.AttemptKey{Base: base.Base, N: n}
		a.Run.Attempt, a.Run.PreviousRun = n, previous
	}
	a.Job = doc.UID
	if a.Definition, err = u.tx.PutSnapshot(def.body); err != nil {
		return a, fmt.Errorf("write job definition: %w", err)
	}
	if err := u.CheckQuota(ActiveJobRuns, func(limit int) (int, error) { return u.tx.CountActiveAttempts(from.scope, limit) }); err != nil {
		return a, err
	}
	decision, holding, err := u.decide(doc.UID, def.Slots(), a.Run.Settings.Queuing)
	if err != nil {
		return a, err
	}
	switch decision {
	case jobrun.Refuse:
		return a, ErrConcurrentJob
	case jobrun.Queue:
		a.State, a.Run.StateDetail = jobrun.Waiting, jobrun.MsgQueued
		err = u.tx.SetTimer(store.Timer{Kind: store.TimerQueue, Ref: a.ID(), Due: u.now.Add(u.QueueMaxWait)})
		if holding < def.Slots() { // the job has got more slots since the others were queued
			u.freed = append(u.freed, freed{job: doc.UID, scope: from.scope, name: doc.Name, definition: a.Definition})
		}
	default:
		err = u.launch(&a)
	}
	if err != nil {
		return a, err
	}
	a.Version = u.IDs.Next()
	if err := u.tx.InsertAttempt(a); err != nil {
		return a, fmt.Errorf("write job run: %w", err)
	}
	return a, nil
}

func (u *unit) decide(job int64, slots int, queuing bool) (a jobrun.Admission, holding int, err error) {
	holding, err = u.tx.CountHolding(job, slots)
	if err != nil {
		return "", 0, fmt.Errorf("count job runs: %w", err)
	}
	waiting := 0
	if holding < slots { // else the queue changes nothing
		if waiting, err = u.tx.CountWaiting(job, slots); err != nil {
			return "", 0, fmt.Errorf("count queued job runs: %w", err)
		}
	}
	return jobrun.Decide(slots, holding, waiting, queuing), holding, nil
}

func (u *unit) newAttempt(def jobrun.Definition, q jobrun.Request, from origin) (store.Attempt, error) {
	seq := u.IDs.Next()
	a := store.Attempt{
		Key: store.AttemptKey{Base: seq}, Rand: from.rand, Seq: seq, Scope: from.scope, Node: from.node,
		Run: jobrun.Run{
			JobName: def.Name, StartedOn: u.now, ModifiedOn: u.now, Arguments: q.Arguments,
			TriggerName: from.trigger, Predecessors: from.preds, Settings: jobrun.Effective(def, q),
		},
	}
	if from.run != nil {
		a.RunSeq = from.run.row.Seq
		if from.run.row.Kind == engine.WorkflowRun {
			a.Run.Workflow, a.Run.WorkflowRun = from.run.row.WorkflowName, from.run.row.ID()
		}
	}
	return a, nil
}

// launch makes an attempt STARTING and orders its launch. The caller writes the row.
func (u *unit) launch(a *store.Attempt) error {
	a.State, a.Holds, a.Boot, a.Run.StateDetail = jobrun.Starting, true, u.Boot, ""
	owner := a.RunSeq
	if owner == 0 {
		owner = a.Key.Base
	}
	err := u.tx.AddEffect(store.Effect{
		Seq: u.IDs.Next(), Key: effectRow(store.EffectLaunch, a.ID()), Kind: store.EffectLaunch, Attempt: a.Key,
		Owner: owner, Low: a.Run.Settings.ExecutionClass == "FLEX",
	})
	if err != nil {
		return fmt.Errorf("write launch: %w", err)
	}
	return nil
}

func effectRow(k store.EffectKind, attempt string) string { return string(k) + "/" + attempt }

// startNode admits a job run for an action of a trigger. What cannot start is
// listed all the same, ended from its beginning (spec/workflows §3.2).
func (u *unit) startNode(r *liveRun, e engine.StartJobRun) (engine.Fact, error) {
	t := r.state.Graph.Triggers[e.Trigger]
	action := t.Actions[e.Action]
	from := origin{
		scope: r.row.Scope, rand: effectKey(r.row.ID(), t.UID, e.Action),
		trigger: t.Name, run: r, node: e.Node,
	}
	for _, p := range e.Because {
		from.preds = append(from.preds, jobrun.Predecessor{JobName: p.Name, RunID: p.ID})
	}
	q := jobrun.Request{Arguments: action.Arguments, SecurityConfiguration: action.SecurityConfiguration}
	if action.Timeout > 0 {
		q.Timeout = &action.Timeout
	}
	if action.Notify {
		q.NotifyDelayAfter = &action.NotifyDelayAfter
	}
	doc, def, err := u.job(r.row.Scope, action.Job)
	var a store.Attempt
	if err == nil {
		a, err = u.admit(doc, def, q, from, 0, "")
	}
	var quota *QuotaError
	switch {
	case err == nil:
		state := engine.StateActive
		if a.Waiting() {
			state = engine.StateWaiting
		}
		return engine.ActionStarted{Trigger: e.Trigger, Action: e.Action, ID: a.ID(), State: state}, nil
	case errors.Is(err, ErrNoJob):
		def.Name = action.Job
		return u.refuse(def.Definition, 0, q, from, e, jobrun.Error, jobrun.MsgMissingJob(action.Job), err)
	case errors.Is(err, ErrConcurrentJob):
		return u.refuse(def.Definition, doc.UID, q, from, e, jobrun.Failed, jobrun.MsgConcurrent, err)
	case errors.As(err, &quota):
		return u.refuse(def.Definition, doc.UID, q, from, e, jobrun.Failed, "The "+quota.Error()+".", err)
	}
	return nil, err
}

func (u *unit) refuse(def jobrun.Definition, job int64, q jobrun.Request, from origin, e engine.StartJobRun, state jobrun.State, msg string, why error) (engine.Fact, error) {
	a, err := u.newAttempt(def, q, from)
	if err != nil {
		return nil, err
	}
	a.Job, a.State, a.Version = job, state, u.IDs.Next()
	a.Run.ErrorMessage, a.Run.CompletedOn = msg, u.now
	if err := u.tx.InsertAttempt(a); err != nil {
		return nil, fmt.Errorf("write job run: %w", err)
	}
	if u.refused == nil {
		u.refused = &RefusedError{Job: a.Run.JobName, Err: why}
	}
	return engine.ActionRefused{Trigger: e.Trigger, Action: e.Action, ID: a.ID(), State: engine.State(state)}, nil
}

// AttemptStarted records that the process of an attempt runs since at. A fact
// about an attempt that is over or still queued, or that was heard before,
// changes nothing.
func (o *Orchestrator) AttemptStarted(tx store.Tx, key store.AttemptKey, at time.Time, inForce string) error {
	a, err := tx.Attempt(key)
	if err != nil {
		return fmt.Errorf("read job run: %w", err)
	}
	if a.State.Terminal() || a.Waiting() || !a.Run.RunningOn.IsZero() {
		return nil
	}
	u := o.begin(tx)
	if a.State == jobrun.Starting {
		a.State = jobrun.Running
	}
	a.Run.RunningOn, a.Run.InForce, a.Run.StateDetail = at.Truncate(time.Millisecond), inForce, ""
	if err := u.tx.DeleteEffect(effectRow(store.EffectLaunch, a.ID())); err != nil {
		return fmt.Errorf("delete launch: %w", err)
	}
	return u.update(&a)
}

// AttemptDetail sets the reason for which a starting attempt waits.
func (o *Orchestrator) AttemptDetail(tx store.Tx, key store.AttemptKey, detail string) error {
	a, err := tx.Attempt(key)
	if err != nil {
		return fmt.Errorf("read job run: %w", err)
	}
	if a.State != jobrun.Starting || a.Run.StateDetail == detail {
		return nil
	}
	a.Run.StateDetail = detail
	return o.begin(tx).update(&a)
}

func (u *unit) update(a *store.Attempt) error {
	old := a.Version
	a.Version, a.Run.ModifiedOn = u.IDs.Next(), u.now
	if err := u.tx.UpdateAttempt(*a, old); err != nil {
		return fmt.Errorf("write job run: %w", err)
	}
	return nil
}

// AttemptEnded records the end of an attempt, frees its slot or schedules its
// retry, admits the next queued run of the job and advances the run it belongs
// to: all in one transaction. An end that was heard before, or of an attempt that
// was never launched, changes nothing.
func (o *Orchestrator) AttemptEnded(tx store.Tx, key store.AttemptKey, end jobrun.End, started, at time.Time, inForce string) error {
	a, err := tx.Attempt(key)
	if err != nil {
		return fmt.Errorf("read job run: %w", err)
	}
	if a.State.Terminal() || a.Waiting() {
		return nil
	}
	u := o.begin(tx)
	if a.Run.RunningOn.IsZero() && !started.IsZero() {
		a.Run.RunningOn, a.Run.InForce = started.Truncate(time.Millisecond), inForce
	}
	state, msg := jobrun.Outcome(a.State, end, a.Run.Settings.Timeout)
	if err := u.end(&a, state, msg, at.Truncate(time.Millisecond)); err != nil {
		return err
	}
	return u.finish()
}

// end ends an attempt that is not terminal yet.
func (u *unit) end(a *store.Attempt, state jobrun.State, msg string, at time.Time) error {
	if err := jobrun.Move(a.State, state); err != nil {
		return fmt.Errorf("job run %s: %w", a.ID(), err)
	}
	waited, stopping := a.Waiting(), a.State == jobrun.Stopping
	a.State, a.Run.ErrorMessage, a.Run.CompletedOn, a.Run.StateDetail = state, msg, at, ""
	for _, k := range []store.EffectKind{store.EffectLaunch, store.EffectStop} {
		if waited {
			break
		}
		if err := u.tx.DeleteEffect(effectRow(k, a.ID())); err != nil {
			return fmt.Errorf("delete %s: %w", k, err)
		}
	}
	if waited {
		if err := u.tx.DeleteTimer(store.Timer{Kind: store.TimerQueue, Ref: a.ID()}.Key()); err != nil {
			return fmt.Errorf("delete queue timer: %w", err)
		}
	}
	// A run that somebody stops is not tried again, however it ends (spec/workflows §5.7).
	if jobrun.Retries(state, a.Key.N, a.Run.Settings.MaxRetries) && !waited && !stopping {
		return u.scheduleRetry(a)
	}
	return u.ended(a)
}

// scheduleRetry keeps the slot of a failed attempt for its retry (spec/jobs U8).
func (u *unit) scheduleRetry(a *store.Attempt) error {
	if err := u.update(a); err != nil {
		return err
	}
	if u.RetryDelay <= 0 {
		return u.retry(a)
	}
	err := u.tx.SetTimer(store.Timer{Kind: store.TimerRetry, Ref: a.ID(), Due: u.now.Add(u.RetryDelay)})
	if err != nil {
		return fmt.Errorf("set retry timer: %w", err)
	}
	return nil
}

// retry starts the attempt after a, which hands its slot over.
func (u *unit) retry(a *store.Attempt) error {
	next := *a
	next.Key.N++
	next.Seq = u.IDs.Next()
	next.Run.Attempt = next.Key.N
	next.Run.PreviousRun = a.ID()
	next.Run.StartedOn, next.Run.ModifiedOn = u.now, u.now
	next.Run.RunningOn, next.Run.CompletedOn = time.Time{}, time.Time{}
	next.Run.ErrorMessage, next.Run.InForce = "", ""
	if err := u.launch(&next); err != nil {
		return err
	}
	next.Version = u.IDs.Next()
	if err := u.tx.InsertAttempt(next); err != nil {
		return fmt.Errorf("write retry: %w", err)
	}
	a.Holds = false
	return u.update(a)
}

// ended gives back the slot of an attempt that is over for good, and tells its run.
func (u *unit) ended(a *store.Attempt) error {
	if a.Holds {
		a.Holds = false
		u.freed = append(u.freed, freed{job: a.Job, scope: a.Scope, name: a.Run.JobName, definition: a.Definition})
	}
	if err := u.update(a); err != nil {
		return err
	}
	if a.RunSeq == 0 {
		return nil
	}
	return u.tell(a.RunSeq, engine.ActionEnded{Ref: nodeRef(a), State: engine.State(a.State)})
}

// nodeRef names the attempt's job run in its workflow run: by its base, because
// the engine does not know retries.
func nodeRef(a *store.Attempt) engine.Ref {
	return engine.Ref{Node: a.Node, ID: store.AttemptID(store.AttemptKey{Base: a.Key.Base}, a.Rand)}
}

// promote admits queued runs of a job while it has free slots. The job's current
// definition says how many; if it is gone, that of the run which left.
func (u *unit) promote(f freed) error {
	var slots int
	_, def, err := u.job(f.scope, f.name)
	switch {
	case err == nil:
		slots = def.Slots()
	case errors.Is(err, ErrNoJob):
		d, err := u.Definition(u.tx, f.definition)
		if err != nil {
			return err
		}
		slots = d.Slots()
	default:
		return err
	}
	for {
		a, err := u.tx.FirstWaiting(f.job)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read queue: %w", err)
		}
		holding, err := u.tx.CountHolding(f.job, slots)
		if err != nil {
			return fmt.Errorf("count job runs: %w", err)
		}
		if holding >= slots {
			return nil
		}
		if err := u.dequeue(a); err != nil {
			return err
		}
	}
}

func (u *unit) dequeue(a store.Attempt) error {
	if err := u.tx.DeleteTimer(store.Timer{Kind: store.TimerQueue, Ref: a.ID()}.Key()); err != nil {
		return fmt.Errorf("delete queue timer: %w", err)
	}
	if err := u.launch(&a); err != nil {
		return err
	}
	if err := u.update(&a); err != nil {
		return err
	}
	if a.RunSeq == 0 {
		return nil
	}
	return u.tell(a.RunSeq, engine.ActionMoved{Ref: nodeRef(&a), State: engine.StateActive})
}
