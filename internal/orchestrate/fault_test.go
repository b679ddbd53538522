package orchestrate_test

import (
	"errors"
	"time"

	"tenon/internal/store"
)

var errDisk = errors.New("disk is gone")

// faultyTx fails the call after left others, and remembers that it did.
type faultyTx struct {
	store.Tx
	left  int
	fired bool
}

// fault tells whether this call is the one that fails. After it the transaction
// works again, so that an error which is swallowed shows.
func (f *faultyTx) fault() error {
	if f.left--; f.left == -1 {
		f.fired = true
		return errDisk
	}
	return nil
}

func first[T any](f *faultyTx, call func() (T, error)) (T, error) {
	if err := f.fault(); err != nil {
		var zero T
		return zero, err
	}
	return call()
}

func then(f *faultyTx, call func() error) error {
	if err := f.fault(); err != nil {
		return err
	}
	return call()
}

func (f *faultyTx) AddEffect(e store.Effect) error {
	return then(f, func() error { return f.Tx.AddEffect(e) })
}

func (f *faultyTx) DeleteEffect(k string) error {
	return then(f, func() error { return f.Tx.DeleteEffect(k) })
}

func (f *faultyTx) SetTimer(t store.Timer) error {
	return then(f, func() error { return f.Tx.SetTimer(t) })
}

func (f *faultyTx) DeleteTimer(k string) error {
	return then(f, func() error { return f.Tx.DeleteTimer(k) })
}

func (f *faultyTx) InsertAttempt(a store.Attempt) error {
	return then(f, func() error { return f.Tx.InsertAttempt(a) })
}

func (f *faultyTx) UpdateAttempt(a store.Attempt, old int64) error {
	return then(f, func() error { return f.Tx.UpdateAttempt(a, old) })
}

func (f *faultyTx) InsertRun(r store.Run) error {
	return then(f, func() error { return f.Tx.InsertRun(r) })
}

func (f *faultyTx) UpdateRun(r store.Run, old int64) error {
	return then(f, func() error { return f.Tx.UpdateRun(r, old) })
}

func (f *faultyTx) PutPart(run int64, part int, body []byte) error {
	return then(f, func() error { return f.Tx.PutPart(run, part, body) })
}

func (f *faultyTx) PutProperties(run int64, body []byte) error {
	return then(f, func() error { return f.Tx.PutProperties(run, body) })
}

func (f *faultyTx) PutSnapshot(body []byte) (store.Hash, error) {
	return first(f, func() (store.Hash, error) { return f.Tx.PutSnapshot(body) })
}

func (f *faultyTx) Snapshot(h store.Hash) ([]byte, error) {
	return first(f, func() ([]byte, error) { return f.Tx.Snapshot(h) })
}

func (f *faultyTx) InsertFiring(trigger int64, cause string, at time.Time) (bool, error) {
	return first(f, func() (bool, error) { return f.Tx.InsertFiring(trigger, cause, at) })
}

func (f *faultyTx) Attempt(k store.AttemptKey) (store.Attempt, error) {
	return first(f, func() (store.Attempt, error) { return f.Tx.Attempt(k) })
}

func (f *faultyTx) AttemptsOf(base int64) ([]store.Attempt, error) {
	return first(f, func() ([]store.Attempt, error) { return f.Tx.AttemptsOf(base) })
}

func (f *faultyTx) FirstWaiting(job int64) (store.Attempt, error) {
	return first(f, func() (store.Attempt, error) { return f.Tx.FirstWaiting(job) })
}

func (f *faultyTx) CountHolding(job int64, limit int) (int, error) {
	return first(f, func() (int, error) { return f.Tx.CountHolding(job, limit) })
}

func (f *faultyTx) CountWaiting(job int64, limit int) (int, error) {
	return first(f, func() (int, error) { return f.Tx.CountWaiting(job, limit) })
}

func (f *faultyTx) CountActiveAttempts(s store.Scope, limit int) (int, error) {
	return first(f, func() (int, error) { return f.Tx.CountActiveAttempts(s, limit) })
}

func (f *faultyTx) CountActiveRuns(s store.Scope, workflow int64, limit int) (int, error) {
	return first(f, func() (int, error) { return f.Tx.CountActiveRuns(s, workflow, limit) })
}

func (f *faultyTx) Document(s store.Scope, k store.Kind, name string) (store.Document, error) {
	return first(f, func() (store.Document, error) { return f.Tx.Document(s, k, name) })
}

func (f *faultyTx) WorkflowTriggers(s store.Scope, name string) ([]store.Trigger, error) {
	return first(f, func() ([]store.Trigger, error) { return f.Tx.WorkflowTriggers(s, name) })
}

func (f *faultyTx) Run(seq int64) (store.Run, error) {
	return first(f, func() (store.Run, error) { return f.Tx.Run(seq) })
}

func (f *faultyTx) Part(run int64, part int) ([]byte, error) {
	return first(f, func() ([]byte, error) { return f.Tx.Part(run, part) })
}
