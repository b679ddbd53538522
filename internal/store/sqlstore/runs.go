package sqlstore

import (
	"crypto/sha256"
	"fmt"

	"tenon/internal/engine"
	"tenon/internal/store"
)

var (
	qPutSnapshot = sql(`INSERT INTO snapshots (hash, body) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING`)
	qSnapshot    = sql(`SELECT body FROM snapshots WHERE hash = ?`)
)

func (t *tx) PutSnapshot(body []byte) (store.Hash, error) {
	h := store.Hash(sha256.Sum256(body))
	if t.known != nil && t.known.has(h) {
		return h, nil
	}
	if _, err := t.exec(qPutSnapshot, h[:], blob(body)); err != nil {
		return h, err
	}
	t.snapshots = append(t.snapshots, h)
	return h, nil
}

func (t *tx) Snapshot(h store.Hash) ([]byte, error) { return t.body(qSnapshot, h[:]) }

// body returns the only column of the only row.
func (t *tx) body(q statement, args ...any) (b []byte, err error) {
	err = t.one(q, func(r row) error { b = r.blob(0); return nil }, args...)
	return b, err
}

const runColumns = `seq, rand, version, scope, kind, workflow, workflow_name, started, completed, snapshot, body`

var (
	qInsertRun = sql(`INSERT INTO runs (seq, rand, version, scope, kind, workflow, workflow_name, active, started, completed, snapshot, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`)
	qRun       = sql(`SELECT ` + runColumns + ` FROM runs WHERE seq = ?`)
	// What a run is never changes; how it stands does.
	qUpdateRun  = sql(`UPDATE runs SET version = ?, active = ?, completed = ?, snapshot = ?, body = ? WHERE seq = ? AND version = ?`)
	qRunExists  = sql(`SELECT 1 FROM runs WHERE seq = ?`)
	qListRuns   = sql(`SELECT ` + runColumns + ` FROM runs WHERE workflow = ? AND kind = 'workflow' AND seq < ? ORDER BY seq DESC LIMIT ?`)
	qActiveRuns = sql(`SELECT count(*) FROM (SELECT 1 FROM runs WHERE scope = ? AND workflow = ? AND active = 1 AND kind = 'workflow' LIMIT ?) AS some`)
	qActiveAll  = sql(`SELECT count(*) FROM (SELECT 1 FROM runs WHERE scope = ? AND active = 1 AND kind = 'workflow' LIMIT ?) AS some`)
	qListActive = sql(`SELECT ` + runColumns + ` FROM runs WHERE active = 1 AND seq > ? ORDER BY seq LIMIT ?`)

	qPart    = sql(`SELECT body FROM parts WHERE run = ? AND part = ?`)
	qPutPart = sql(`INSERT INTO parts (run, part, body) VALUES (?, ?, ?) ON CONFLICT (run, part) DO UPDATE SET body = excluded.body`)
)

// last is above every sequence number: a list that begins at 0 begins there.
const last = int64(1<<63 - 1)

func from(below int64) int64 {
	if below <= 0 {
		return last
	}
	return below
}

func (t *tx) scanRun(r row) (store.Run, error) {
	run := store.Run{
		Seq: r.int(0), Version: r.int(2), Kind: engine.Kind(r.text(4)), Workflow: r.int(5), WorkflowName: r.text(6),
		Started: instant(r.int(7)), Completed: instant(r.int(8)),
	}
	copy(run.Rand[:], r.blob(1))
	copy(run.Snapshot[:], r.blob(9))
	var err error
	if run.Scope, err = t.scope(r.int(3)); err != nil {
		return run, err
	}
	var b runBody
	if err := decode(r.blob(10), &b, &b.V); err != nil {
		return run, fmt.Errorf("run %d: %w", run.Seq, err)
	}
	run.Head, run.Previous, run.ErrorMessage = b.Head, b.Previous, b.ErrorMessage
	return run, nil
}

func encodeRun(r store.Run) ([]byte, error) {
	return encode(runBody{V: encodingVersion, Head: r.Head, Previous: r.Previous, ErrorMessage: r.ErrorMessage})
}

func (t *tx) InsertRun(r store.Run) error {
	body, err := encodeRun(r)
	if err != nil {
		return err
	}
	scope, err := t.internScope(r.Scope)
	if err != nil {
		return err
	}
	t.note(r.Seq, r.Version)
	t.committed.AddRun(r.Seq)
	err = t.insert(qInsertRun, r.Seq, r.Rand[:], r.Version, scope, string(r.Kind), r.Workflow, r.WorkflowName,
		bit(!r.Head.Status.Terminal()), millis(r.Started), millis(r.Completed), r.Snapshot[:], body)
	return err
}

func (t *tx) Run(seq int64) (run store.Run, err error) {
	err = t.one(qRun, func(r row) error { run, err = t.scanRun(r); return err }, seq)
	return run, err
}

func (t *tx) UpdateRun(r store.Run, old int64) error {
	body, err := encodeRun(r)
	if err != nil {
		return err
	}
	t.note(r.Version)
	t.committed.AddRun(r.Seq)
	return t.replace(qUpdateRun, qRunExists, []any{r.Seq},
		r.Version, bit(!r.Head.Status.Terminal()), millis(r.Completed), r.Snapshot[:], body, r.Seq, old)
}

func (t *tx) runs(q statement, args ...any) (out []store.Run, err error) {
	err = t.query(q, func(r row) error {
		run, err := t.scanRun(r)
		out = append(out, run)
		return err
	}, args...)
	return out, err
}

func (t *tx) ListRuns(workflow, below int64, limit int) ([]store.Run, error) {
	return t.runs(qListRuns, workflow, from(below), int64(limit))
}

func (t *tx) CountActiveRuns(s store.Scope, workflow int64, limit int) (int, error) {
	if workflow == 0 {
		return t.count(qActiveAll, s, int64(limit))
	}
	return t.count(qActiveRuns, s, workflow, int64(limit))
}

func (t *tx) ListActiveRuns(above int64, limit int) ([]store.Run, error) {
	return t.runs(qListActive, above, int64(limit))
}

func (t *tx) Part(run int64, part int) ([]byte, error) { return t.body(qPart, run, int64(part)) }

func (t *tx) PutPart(run int64, part int, body []byte) error {
	_, err := t.exec(qPutPart, run, int64(part), blob(body))
	return err
}

// propertiesPart is where the properties of a run lie among its parts, so that a
// start touches one page for both.
const propertiesPart = -1

func (t *tx) Properties(run int64) ([]byte, error) { return t.Part(run, propertiesPart) }

func (t *tx) PutProperties(run int64, body []byte) error { return t.PutPart(run, propertiesPart, body) }
