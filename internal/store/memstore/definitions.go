package memstore

import (
	"crypto/sha256"
	"slices"

	"tenon/internal/store"
)

// name is the key of a definition, or of the first one after a name when the
// name is followed by \x00.
func name(s store.Scope, kind, name string) key {
	return key{s: s.Account, t: s.Region, u: kind, v: name}
}

// named yields the uids of definitions after a name.
func named(names *table[int64], s store.Scope, kind, after string, limit int) (out []int64) {
	for k, uid := range names.from(name(s, kind, after)) {
		if len(out) >= limit || k.s != s.Account || k.t != s.Region || k.u != kind {
			break
		}
		if k.v != after {
			out = append(out, uid)
		}
	}
	return out
}

func countNamed(names *table[int64], s store.Scope, kind string) int {
	return names.count(name(s, kind, ""), name(s, kind+"\x00", ""))
}

// current returns a row under its version.
func current[V any](rows hash[int64, V], uid, version int64, of func(V) int64) (V, error) {
	row, ok := rows[uid]
	switch {
	case !ok:
		return row, store.ErrNotFound
	case of(row) != version:
		return row, store.ErrStale
	}
	return row, nil
}

func (t *tx) Workflow(s store.Scope, n string) (store.Workflow, error) {
	if err := t.reads(); err != nil {
		return store.Workflow{}, err
	}
	uid, ok := t.workflowNames.get(name(s, "", n))
	if !ok {
		return store.Workflow{}, store.ErrNotFound
	}
	return clone(t.workflows[uid]), nil
}

func (t *tx) putWorkflow(w store.Workflow) error {
	w.Created, w.Modified = moment(w.Created), moment(w.Modified)
	t.workflows.put(t, w.UID, clone(w))
	t.workflowNames.put(t, name(w.Scope, "", w.Name), w.UID)
	return nil
}

func (t *tx) InsertWorkflow(w store.Workflow) error {
	if err := t.writes(); err != nil {
		return err
	}
	if _, ok := t.workflowNames.get(name(w.Scope, "", w.Name)); ok {
		return store.ErrExists
	}
	if _, ok := t.workflows[w.UID]; ok {
		return store.ErrExists
	}
	return t.putWorkflow(w)
}

func workflowVersion(w store.Workflow) int64 { return w.Version }

func (t *tx) UpdateWorkflow(w store.Workflow, old int64) error {
	if err := t.writes(); err != nil {
		return err
	}
	was, err := current(t.workflows, w.UID, old, workflowVersion)
	if err != nil {
		return err
	}
	w.Scope = was.Scope
	t.workflowNames.drop(t, name(was.Scope, "", was.Name))
	return t.putWorkflow(w)
}

func (t *tx) DeleteWorkflow(uid, version int64) error {
	if err := t.writes(); err != nil {
		return err
	}
	was, err := current(t.workflows, uid, version, workflowVersion)
	if err != nil {
		return err
	}
	t.workflowNames.drop(t, name(was.Scope, "", was.Name))
	t.workflows.drop(t, uid)
	return nil
}

func (t *tx) ListWorkflows(s store.Scope, after string, limit int) (out []string, err error) {
	if err := t.reads(); err != nil {
		return nil, err
	}
	for _, uid := range named(t.workflowNames, s, "", after, limit) {
		out = append(out, t.workflows[uid].Name)
	}
	return out, nil
}

func (t *tx) CountWorkflows(s store.Scope) (int, error) {
	return countNamed(t.workflowNames, s, ""), t.reads()
}

func (t *tx) Trigger(s store.Scope, n string) (store.Trigger, error) {
	if err := t.reads(); err != nil {
		return store.Trigger{}, err
	}
	uid, ok := t.triggerNames.get(name(s, "", n))
	if !ok {
		return store.Trigger{}, store.ErrNotFound
	}
	return clone(t.triggers[uid]), nil
}

func triggerPlace(x store.Trigger) key {
	return key{s: x.Scope.Account, t: x.Scope.Region, u: x.Definition.Workflow, a: x.UID}
}

func (t *tx) putTrigger(x store.Trigger) error {
	x.Created, x.Modified = moment(x.Created), moment(x.Modified)
	t.triggers.put(t, x.UID, clone(x))
	t.triggerNames.put(t, name(x.Scope, "", x.Definition.Name), x.UID)
	t.triggersOf.put(t, triggerPlace(x), struct{}{})
	return nil
}

func (t *tx) dropTrigger(x store.Trigger) {
	t.triggers.drop(t, x.UID)
	t.triggerNames.drop(t, name(x.Scope, "", x.Definition.Name))
	t.triggersOf.drop(t, triggerPlace(x))
}

func (t *tx) InsertTrigger(x store.Trigger) error {
	if err := t.writes(); err != nil {
		return err
	}
	if _, ok := t.triggerNames.get(name(x.Scope, "", x.Definition.Name)); ok {
		return store.ErrExists
	}
	if _, ok := t.triggers[x.UID]; ok {
		return store.ErrExists
	}
	return t.putTrigger(x)
}

func triggerVersion(x store.Trigger) int64 { return x.Version }

func (t *tx) UpdateTrigger(x store.Trigger, old int64) error {
	if err := t.writes(); err != nil {
		return err
	}
	was, err := current(t.triggers, x.UID, old, triggerVersion)
	if err != nil {
		return err
	}
	x.Scope = was.Scope
	t.dropTrigger(was)
	return t.putTrigger(x)
}

func (t *tx) DeleteTrigger(uid, version int64) error {
	if err := t.writes(); err != nil {
		return err
	}
	was, err := current(t.triggers, uid, version, triggerVersion)
	if err == nil {
		t.dropTrigger(was)
	}
	return err
}

func (t *tx) ListTriggers(s store.Scope, after string, limit int) (out []store.Trigger, err error) {
	if err := t.reads(); err != nil {
		return nil, err
	}
	for _, uid := range named(t.triggerNames, s, "", after, limit) {
		out = append(out, clone(t.triggers[uid]))
	}
	return out, nil
}

func (t *tx) WorkflowTriggers(s store.Scope, workflow string) (out []store.Trigger, err error) {
	if err := t.reads(); err != nil {
		return nil, err
	}
	for k := range t.triggersOf.from(key{s: s.Account, t: s.Region, u: workflow}) {
		if k.s != s.Account || k.t != s.Region || k.u != workflow {
			break
		}
		out = append(out, clone(t.triggers[k.a]))
	}
	return out, nil
}

func (t *tx) CountTriggers(s store.Scope) (int, error) {
	return countNamed(t.triggerNames, s, ""), t.reads()
}

func (t *tx) Document(s store.Scope, kind store.Kind, n string) (store.Document, error) {
	if err := t.reads(); err != nil {
		return store.Document{}, err
	}
	uid, ok := t.documentNames.get(name(s, string(kind), n))
	if !ok {
		return store.Document{}, store.ErrNotFound
	}
	return clone(t.documents[uid]), nil
}

func (t *tx) putDocument(d store.Document) error {
	d.Created, d.Modified = moment(d.Created), moment(d.Modified)
	t.documents.put(t, d.UID, clone(d))
	t.documentNames.put(t, name(d.Scope, string(d.Kind), d.Name), d.UID)
	return nil
}

func (t *tx) InsertDocument(d store.Document) error {
	if err := t.writes(); err != nil {
		return err
	}
	if _, ok := t.documentNames.get(name(d.Scope, string(d.Kind), d.Name)); ok {
		return store.ErrExists
	}
	if _, ok := t.documents[d.UID]; ok {
		return store.ErrExists
	}
	return t.putDocument(d)
}

func documentVersion(d store.Document) int64 { return d.Version }

func (t *tx) UpdateDocument(d store.Document, old int64) error {
	if err := t.writes(); err != nil {
		return err
	}
	was, err := current(t.documents, d.UID, old, documentVersion)
	if err != nil {
		return err
	}
	d.Scope = was.Scope
	t.documentNames.drop(t, name(was.Scope, string(was.Kind), was.Name))
	return t.putDocument(d)
}

func (t *tx) DeleteDocument(uid, version int64) error {
	if err := t.writes(); err != nil {
		return err
	}
	was, err := current(t.documents, uid, version, documentVersion)
	if err != nil {
		return err
	}
	t.documentNames.drop(t, name(was.Scope, string(was.Kind), was.Name))
	t.documents.drop(t, uid)
	return nil
}

func (t *tx) ListDocuments(s store.Scope, kind store.Kind, after string, limit int) (out []store.Document, err error) {
	if err := t.reads(); err != nil {
		return nil, err
	}
	for _, uid := range named(t.documentNames, s, string(kind), after, limit) {
		out = append(out, clone(t.documents[uid]))
	}
	return out, nil
}

func (t *tx) CountDocuments(s store.Scope, kind store.Kind) (int, error) {
	return countNamed(t.documentNames, s, string(kind)), t.reads()
}

func (t *tx) PutSnapshot(body []byte) (store.Hash, error) {
	h := store.Hash(sha256.Sum256(body))
	if err := t.writes(); err != nil {
		return h, err
	}
	if _, ok := t.snapshots[h]; !ok {
		t.snapshots.put(t, h, slices.Clone(body))
	}
	return h, nil
}

func (t *tx) Snapshot(h store.Hash) ([]byte, error) { return lookup(t, t.snapshots, h) }

// lookup returns a copy of a body.
func lookup[K comparable](t *tx, rows hash[K, []byte], k K) ([]byte, error) {
	if err := t.reads(); err != nil {
		return nil, err
	}
	b, ok := rows[k]
	if !ok {
		return nil, store.ErrNotFound
	}
	return slices.Clone(b), nil
}
