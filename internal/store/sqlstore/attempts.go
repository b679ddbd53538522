package sqlstore

import (
	"fmt"

	"tenon/internal/jobrun"
	"tenon/internal/store"
)

const attemptColumns = `base, n, rand, seq, version, scope, job, state, holds, run, node, boot, definition, body`

var (
	qInsertAttempt = sql(`INSERT INTO attempts (` + attemptColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`)
	qAttempt       = sql(`SELECT ` + attemptColumns + ` FROM attempts WHERE base = ? AND n = ?`)
	qAttemptsOf    = sql(`SELECT ` + attemptColumns + ` FROM attempts WHERE base = ? ORDER BY n`)
	qUpdateAttempt = sql(`UPDATE attempts SET version = ?, state = ?, holds = ?, boot = ?, definition = ?, body = ? WHERE base = ? AND n = ? AND version = ?`)
	qAttemptExists = sql(`SELECT 1 FROM attempts WHERE base = ? AND n = ?`)
	qJobAttempts   = sql(`SELECT ` + attemptColumns + ` FROM attempts WHERE job = ? AND seq < ? ORDER BY seq DESC LIMIT ?`)
	qHolding       = sql(`SELECT count(*) FROM (SELECT 1 FROM attempts WHERE job = ? AND holds = 1 LIMIT ?) AS some`)
	qWaiting       = sql(`SELECT count(*) FROM (SELECT 1 FROM attempts WHERE job = ? AND state = 'WAITING' LIMIT ?) AS some`)
	qHoldingIn     = sql(`SELECT count(*) FROM (SELECT 1 FROM attempts WHERE scope = ? AND holds = 1 LIMIT ?) AS some`)
	qWaitingIn     = sql(`SELECT count(*) FROM (SELECT 1 FROM attempts WHERE scope = ? AND state = 'WAITING' LIMIT ?) AS some`)
	qFirstWaiting  = sql(`SELECT ` + attemptColumns + ` FROM attempts WHERE job = ? AND state = 'WAITING' ORDER BY seq LIMIT 1`)
	qLiveAttempts  = sql(`SELECT ` + attemptColumns + ` FROM attempts WHERE holds = 1 AND (base, n) > (?, ?) ORDER BY base, n LIMIT ?`)
)

func (t *tx) scanAttempt(r row) (store.Attempt, error) {
	a := store.Attempt{
		Key: store.AttemptKey{Base: r.int(0), N: int(r.int(1))}, Seq: r.int(3), Version: r.int(4), Job: r.int(6),
		State: jobrun.State(r.text(7)), Holds: r.bool(8), RunSeq: r.int(9), Node: int(r.int(10)), Boot: r.text(11),
	}
	copy(a.Rand[:], r.blob(2))
	copy(a.Definition[:], r.blob(12))
	var err error
	if a.Scope, err = t.scope(r.int(5)); err != nil {
		return a, err
	}
	var b attemptBody
	if err := decode(r.blob(13), &b, &b.V); err != nil {
		return a, fmt.Errorf("attempt %s: %w", a.ID(), err)
	}
	a.Run = b.Run
	a.Run.State, a.Run.Attempt = a.State, a.Key.N
	return a, nil
}

func (t *tx) attempts(q statement, args ...any) (out []store.Attempt, err error) {
	err = t.query(q, func(r row) error {
		a, err := t.scanAttempt(r)
		out = append(out, a)
		return err
	}, args...)
	return out, err
}

func (t *tx) attempt(q statement, args ...any) (a store.Attempt, err error) {
	err = t.one(q, func(r row) error { a, err = t.scanAttempt(r); return err }, args...)
	return a, err
}

func (t *tx) InsertAttempt(a store.Attempt) error {
	body, err := encode(attemptBody{V: encodingVersion, Run: a.Run})
	if err != nil {
		return err
	}
	scope, err := t.internScope(a.Scope)
	if err != nil {
		return err
	}
	t.note(a.Key.Base, a.Seq, a.Version)
	t.committed.AddAttempt(a.Key)
	return t.insert(qInsertAttempt, a.Key.Base, int64(a.Key.N), a.Rand[:], a.Seq, a.Version, scope, a.Job, string(a.State),
		bit(a.Holds), a.RunSeq, int64(a.Node), a.Boot, a.Definition[:], body)
}

func (t *tx) Attempt(k store.AttemptKey) (store.Attempt, error) {
	return t.attempt(qAttempt, k.Base, int64(k.N))
}

func (t *tx) AttemptsOf(base int64) ([]store.Attempt, error) { return t.attempts(qAttemptsOf, base) }

func (t *tx) UpdateAttempt(a store.Attempt, old int64) error {
	body, err := encode(attemptBody{V: encodingVersion, Run: a.Run})
	if err != nil {
		return err
	}
	t.note(a.Version)
	t.committed.AddAttempt(a.Key)
	base, n := a.Key.Base, int64(a.Key.N)
	return t.replace(qUpdateAttempt, qAttemptExists, []any{base, n},
		a.Version, string(a.State), bit(a.Holds), a.Boot, a.Definition[:], body, base, n, old)
}

func (t *tx) ListJobAttempts(job, below int64, limit int) ([]store.Attempt, error) {
	return t.attempts(qJobAttempts, job, from(below), int64(limit))
}

func (t *tx) CountHolding(job int64, limit int) (int, error) {
	return t.number(qHolding, job, int64(limit))
}

func (t *tx) CountWaiting(job int64, limit int) (int, error) {
	return t.number(qWaiting, job, int64(limit))
}

func (t *tx) CountActiveAttempts(s store.Scope, limit int) (int, error) {
	holding, err := t.count(qHoldingIn, s, int64(limit))
	if err != nil || holding >= limit {
		return holding, err
	}
	waiting, err := t.count(qWaitingIn, s, int64(limit-holding))
	return holding + waiting, err
}

func (t *tx) FirstWaiting(job int64) (store.Attempt, error) { return t.attempt(qFirstWaiting, job) }

func (t *tx) ListActiveAttempts(above store.AttemptKey, limit int) ([]store.Attempt, error) {
	return t.attempts(qLiveAttempts, above.Base, int64(above.N), int64(limit))
}
