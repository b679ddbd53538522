package memstore

import (
	"math"
	"slices"

	"tenon/internal/engine"
	"tenon/internal/store"
)

// below is where a list that goes down begins; 0 is the newest.
func below(n int64) int64 {
	if n <= 0 {
		return math.MaxInt64
	}
	return n
}

func scoped(s store.Scope, a, b int64) key { return key{s: s.Account, t: s.Region, a: a, b: b} }

// putRun writes a run and its places in the indexes.
func (t *tx) putRun(r store.Run) {
	r.Started, r.Completed = moment(r.Started), moment(r.Completed)
	t.runs.put(t, key{a: r.Seq}, clone(r))
	t.committed.AddRun(r.Seq)
	active := !r.Head.Status.Terminal()
	member(t, t.activeRuns, key{a: r.Seq}, active)
	if r.Kind == engine.WorkflowRun {
		member(t, t.runsOf, key{a: r.Workflow, b: r.Seq}, true)
		member(t, t.activeIn, scoped(r.Scope, r.Workflow, r.Seq), active)
	}
}

// member puts a key into an index or takes it out.
func member(t *tx, x *index, k key, is bool) {
	if _, was := x.get(k); was == is {
		return
	}
	if is {
		x.put(t, k, struct{}{})
	} else {
		x.drop(t, k)
	}
}

func (t *tx) InsertRun(r store.Run) error {
	if err := t.writes(); err != nil {
		return err
	}
	if _, ok := t.runs.get(key{a: r.Seq}); ok {
		return store.ErrExists
	}
	t.putRun(r)
	return nil
}

func (t *tx) Run(seq int64) (store.Run, error) {
	if err := t.reads(); err != nil {
		return store.Run{}, err
	}
	r, ok := t.runs.get(key{a: seq})
	if !ok {
		return r, store.ErrNotFound
	}
	return clone(r), nil
}

func (t *tx) UpdateRun(r store.Run, old int64) error {
	if err := t.writes(); err != nil {
		return err
	}
	was, ok := t.runs.get(key{a: r.Seq})
	switch {
	case !ok:
		return store.ErrNotFound
	case was.Version != old:
		return store.ErrStale
	}
	// What a run is never changes; how it stands does.
	now := was
	now.Version, now.Head, now.Completed, now.ErrorMessage, now.Previous, now.Snapshot = r.Version, r.Head, r.Completed, r.ErrorMessage, r.Previous, r.Snapshot
	t.putRun(now)
	return nil
}

func (t *tx) ListRuns(workflow, before int64, limit int) (out []store.Run, err error) {
	if err := t.reads(); err != nil {
		return nil, err
	}
	for k := range t.runsOf.down(key{a: workflow, b: below(before)}) {
		if k.a != workflow || len(out) >= limit {
			break
		}
		out = append(out, clone(t.runs.rows[key{a: k.b}]))
	}
	return out, nil
}

func (t *tx) CountActiveRuns(s store.Scope, workflow int64, limit int) (int, error) {
	low, high := scoped(s, workflow, 0), scoped(s, workflow, math.MaxInt64)
	if workflow == 0 {
		low, high = scoped(s, math.MinInt64, 0), scoped(s, math.MaxInt64, 0)
	}
	return min(t.activeIn.count(low, high), limit), t.reads()
}

func (t *tx) ListActiveRuns(above int64, limit int) (out []store.Run, err error) {
	if err := t.reads(); err != nil {
		return nil, err
	}
	for k := range t.activeRuns.from(key{a: above + 1}) {
		if len(out) >= limit {
			break
		}
		out = append(out, clone(t.runs.rows[k]))
	}
	return out, nil
}

func (t *tx) Part(run int64, part int) ([]byte, error) {
	return lookup(t, t.parts, partKey{run, int64(part)})
}

func (t *tx) PutPart(run int64, part int, body []byte) error {
	if err := t.writes(); err != nil {
		return err
	}
	t.parts.put(t, partKey{run, int64(part)}, slices.Clone(body))
	return nil
}

func (t *tx) Properties(run int64) ([]byte, error) { return lookup(t, t.properties, run) }

func (t *tx) PutProperties(run int64, body []byte) error {
	if err := t.writes(); err != nil {
		return err
	}
	t.properties.put(t, run, slices.Clone(body))
	return nil
}

func attemptKey(k store.AttemptKey) key { return key{a: k.Base, b: int64(k.N)} }

// putAttempt writes an attempt and its places in the indexes. Those by job hold
// (job, seq); attemptSeqs leads from there to the row.
func (t *tx) putAttempt(a store.Attempt) {
	a.Run.State, a.Run.Attempt = a.State, a.Key.N
	k := attemptKey(a.Key)
	t.attempts.put(t, k, clone(a))
	t.committed.AddAttempt(a.Key)
	place := key{a: a.Job, b: a.Seq}
	member(t, t.attemptsOf, place, true)
	member(t, t.holdingOf, place, a.Holds)
	member(t, t.waitingOf, place, a.Waiting())
	member(t, t.holding, k, a.Holds)
	member(t, t.busyIn, scoped(a.Scope, a.Key.Base, int64(a.Key.N)), a.Holds || a.Waiting())
	t.attemptSeqs.put(t, a.Seq, a.Key)
}

func (t *tx) InsertAttempt(a store.Attempt) error {
	if err := t.writes(); err != nil {
		return err
	}
	if _, ok := t.attempts.get(attemptKey(a.Key)); ok {
		return store.ErrExists
	}
	t.putAttempt(a)
	return nil
}

func (t *tx) Attempt(k store.AttemptKey) (store.Attempt, error) {
	if err := t.reads(); err != nil {
		return store.Attempt{}, err
	}
	a, ok := t.attempts.get(attemptKey(k))
	if !ok {
		return a, store.ErrNotFound
	}
	return clone(a), nil
}

func (t *tx) AttemptsOf(base int64) (out []store.Attempt, err error) {
	if err := t.reads(); err != nil {
		return nil, err
	}
	for k, a := range t.attempts.from(key{a: base}) {
		if k.a != base {
			break
		}
		out = append(out, clone(a))
	}
	return out, nil
}

func (t *tx) UpdateAttempt(a store.Attempt, old int64) error {
	if err := t.writes(); err != nil {
		return err
	}
	was, ok := t.attempts.get(attemptKey(a.Key))
	switch {
	case !ok:
		return store.ErrNotFound
	case was.Version != old:
		return store.ErrStale
	}
	now := was
	now.Version, now.State, now.Holds, now.Boot, now.Definition, now.Run = a.Version, a.State, a.Holds, a.Boot, a.Definition, a.Run
	t.putAttempt(now)
	return nil
}

func (t *tx) bySeq(seq int64) store.Attempt {
	return clone(t.attempts.rows[attemptKey(t.attemptSeqs[seq])])
}

func (t *tx) ListJobAttempts(job, before int64, limit int) (out []store.Attempt, err error) {
	if err := t.reads(); err != nil {
		return nil, err
	}
	for k := range t.attemptsOf.down(key{a: job, b: below(before)}) {
		if k.a != job || len(out) >= limit {
			break
		}
		out = append(out, t.bySeq(k.b))
	}
	return out, nil
}

func (t *tx) countOf(x *index, job int64, limit int) (int, error) {
	return min(x.count(key{a: job}, key{a: job, b: math.MaxInt64}), limit), t.reads()
}

func (t *tx) CountHolding(job int64, limit int) (int, error) {
	return t.countOf(t.holdingOf, job, limit)
}

func (t *tx) CountWaiting(job int64, limit int) (int, error) {
	return t.countOf(t.waitingOf, job, limit)
}

func (t *tx) CountActiveAttempts(s store.Scope, limit int) (int, error) {
	return min(t.busyIn.count(scoped(s, math.MinInt64, 0), scoped(s, math.MaxInt64, 0)), limit), t.reads()
}

func (t *tx) FirstWaiting(job int64) (store.Attempt, error) {
	if err := t.reads(); err != nil {
		return store.Attempt{}, err
	}
	for k := range t.waitingOf.from(key{a: job}) {
		if k.a != job {
			break
		}
		return t.bySeq(k.b), nil
	}
	return store.Attempt{}, store.ErrNotFound
}

func (t *tx) ListActiveAttempts(above store.AttemptKey, limit int) (out []store.Attempt, err error) {
	if err := t.reads(); err != nil {
		return nil, err
	}
	above.N++
	for k := range t.holding.from(attemptKey(above)) {
		if len(out) >= limit {
			break
		}
		out = append(out, clone(t.attempts.rows[k]))
	}
	return out, nil
}
