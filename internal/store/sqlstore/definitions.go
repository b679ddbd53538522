package sqlstore

import (
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"

	"tenon/internal/flow"
	"tenon/internal/store"
)

var (
	qWorkflow       = sql(`SELECT uid, version, created, modified, body FROM workflows WHERE scope = ? AND name = ?`)
	qInsertWorkflow = sql(`INSERT INTO workflows (uid, scope, name, version, created, modified, body) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`)
	qUpdateWorkflow = sql(`UPDATE workflows SET name = ?, version = ?, created = ?, modified = ?, body = ? WHERE uid = ? AND version = ?`)
	qDeleteWorkflow = sql(`DELETE FROM workflows WHERE uid = ? AND version = ?`)
	qWorkflowExists = sql(`SELECT 1 FROM workflows WHERE uid = ?`)
	qListWorkflows  = sql(`SELECT name FROM workflows WHERE scope = ? AND name > ? ORDER BY name LIMIT ?`)
	qCountWorkflows = sql(`SELECT count(*) FROM workflows WHERE scope = ?`)
)

func (t *tx) Workflow(s store.Scope, name string) (store.Workflow, error) {
	key := definitionKey{scope: s, name: name}
	if row, ok := t.definitions.get(key); ok {
		return cloneWorkflow(row.(store.Workflow)), nil
	}
	w, err := t.readWorkflow(s, name)
	if err == nil {
		t.definitions.put(key, cloneWorkflow(w))
	}
	return w, err
}

// cloneWorkflow makes a row its receiver's own.
func cloneWorkflow(w store.Workflow) store.Workflow {
	w.DefaultRunProperties, w.Tags = maps.Clone(w.DefaultRunProperties), maps.Clone(w.Tags)
	if w.Description != nil {
		text := *w.Description
		w.Description = &text
	}
	if w.MaxConcurrentRuns != nil {
		n := *w.MaxConcurrentRuns
		w.MaxConcurrentRuns = &n
	}
	return w
}

func (t *tx) readWorkflow(s store.Scope, name string) (w store.Workflow, err error) {
	scope, err := t.scopeID(s)
	if err != nil {
		return w, err
	}
	err = t.one(qWorkflow, func(r row) error {
		var b workflowBody
		if err := decode(r.blob(4), &b, &b.V); err != nil {
			return fmt.Errorf("workflow %q: %w", name, err)
		}
		w = store.Workflow{
			Scope: s, Name: name, UID: r.int(0), Version: r.int(1), Created: instant(r.int(2)), Modified: instant(r.int(3)),
			Description: b.Description, DefaultRunProperties: b.Properties, MaxConcurrentRuns: b.MaxConcurrentRuns, Tags: b.Tags,
		}
		return nil
	}, scope, name)
	return w, err
}

func workflowColumns(w store.Workflow) ([]byte, error) {
	return encode(workflowBody{
		V: encodingVersion, Description: w.Description, Properties: w.DefaultRunProperties,
		MaxConcurrentRuns: w.MaxConcurrentRuns, Tags: w.Tags,
	})
}

func (t *tx) InsertWorkflow(w store.Workflow) error {
	t.definitions.change()
	body, err := workflowColumns(w)
	if err != nil {
		return err
	}
	scope, err := t.internScope(w.Scope)
	if err != nil {
		return err
	}
	t.note(w.UID, w.Version)
	return t.insert(qInsertWorkflow, w.UID, scope, w.Name, w.Version, millis(w.Created), millis(w.Modified), body)
}

func (t *tx) UpdateWorkflow(w store.Workflow, old int64) error {
	t.definitions.change()
	body, err := workflowColumns(w)
	if err != nil {
		return err
	}
	t.note(w.Version)
	return t.replace(qUpdateWorkflow, qWorkflowExists, []any{w.UID},
		w.Name, w.Version, millis(w.Created), millis(w.Modified), body, w.UID, old)
}

func (t *tx) DeleteWorkflow(uid, version int64) error {
	t.definitions.change()
	return t.replace(qDeleteWorkflow, qWorkflowExists, []any{uid}, uid, version)
}

func (t *tx) ListWorkflows(s store.Scope, after string, limit int) (names []string, err error) {
	scope, err := t.scopeID(s)
	if err != nil {
		return nil, err
	}
	err = t.query(qListWorkflows, func(r row) error { names = append(names, r.text(0)); return nil }, scope, after, int64(limit))
	return names, err
}

func (t *tx) CountWorkflows(s store.Scope) (int, error) { return t.count(qCountWorkflows, s) }

// count runs a count whose first argument is the scope.
func (t *tx) count(q statement, s store.Scope, args ...any) (int, error) {
	scope, err := t.scopeID(s)
	if err != nil {
		return 0, err
	}
	return t.number(q, append([]any{scope}, args...)...)
}

func (t *tx) number(q statement, args ...any) (n int, err error) {
	err = t.query(q, func(r row) error { n = int(r.int(0)); return nil }, args...)
	return n, err
}

var (
	qTrigger          = sql(`SELECT uid, version, created, modified, body FROM triggers WHERE scope = ? AND name = ?`)
	qInsertTrigger    = sql(`INSERT INTO triggers (uid, scope, name, workflow, type, state, version, created, modified, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`)
	qUpdateTrigger    = sql(`UPDATE triggers SET name = ?, workflow = ?, type = ?, state = ?, version = ?, created = ?, modified = ?, body = ? WHERE uid = ? AND version = ?`)
	qDeleteTrigger    = sql(`DELETE FROM triggers WHERE uid = ? AND version = ?`)
	qTriggerExists    = sql(`SELECT 1 FROM triggers WHERE uid = ?`)
	qListTriggers     = sql(`SELECT uid, version, created, modified, body FROM triggers WHERE scope = ? AND name > ? ORDER BY name LIMIT ?`)
	qWorkflowTriggers = sql(`SELECT uid, version, created, modified, body FROM triggers WHERE scope = ? AND workflow = ? ORDER BY uid`)
	qCountTriggers    = sql(`SELECT count(*) FROM triggers WHERE scope = ?`)
)

func scanTrigger(s store.Scope, r row) (store.Trigger, error) {
	t := store.Trigger{Scope: s, UID: r.int(0), Version: r.int(1), Created: instant(r.int(2)), Modified: instant(r.int(3))}
	var b triggerBody
	if err := decode(r.blob(4), &b, &b.V); err != nil {
		return t, fmt.Errorf("trigger %d: %w", t.UID, err)
	}
	t.Definition, t.Tags = b.Definition, b.Tags
	return t, nil
}

func (t *tx) triggers(q statement, s store.Scope, args ...any) (out []store.Trigger, err error) {
	scope, err := t.scopeID(s)
	if err != nil {
		return nil, err
	}
	err = t.query(q, func(r row) error {
		x, err := scanTrigger(s, r)
		out = append(out, x)
		return err
	}, append([]any{scope}, args...)...)
	return out, err
}

func (t *tx) Trigger(s store.Scope, name string) (store.Trigger, error) {
	found, err := t.triggers(qTrigger, s, name)
	if err != nil {
		return store.Trigger{}, err
	}
	if len(found) == 0 {
		return store.Trigger{}, store.ErrNotFound
	}
	return found[0], nil
}

func triggerColumns(x store.Trigger) (flow.Trigger, []byte, error) {
	body, err := encode(triggerBody{V: encodingVersion, Definition: x.Definition, Tags: x.Tags})
	return x.Definition, body, err
}

func (t *tx) InsertTrigger(x store.Trigger) error {
	d, body, err := triggerColumns(x)
	if err != nil {
		return err
	}
	scope, err := t.internScope(x.Scope)
	if err != nil {
		return err
	}
	t.note(x.UID, x.Version)
	return t.insert(qInsertTrigger, x.UID, scope, d.Name, d.Workflow, string(d.Type), string(d.State),
		x.Version, millis(x.Created), millis(x.Modified), body)
}

func (t *tx) UpdateTrigger(x store.Trigger, old int64) error {
	d, body, err := triggerColumns(x)
	if err != nil {
		return err
	}
	t.note(x.Version)
	return t.replace(qUpdateTrigger, qTriggerExists, []any{x.UID},
		d.Name, d.Workflow, string(d.Type), string(d.State), x.Version, millis(x.Created), millis(x.Modified), body, x.UID, old)
}

func (t *tx) DeleteTrigger(uid, version int64) error {
	return t.replace(qDeleteTrigger, qTriggerExists, []any{uid}, uid, version)
}

func (t *tx) ListTriggers(s store.Scope, after string, limit int) ([]store.Trigger, error) {
	return t.triggers(qListTriggers, s, after, int64(limit))
}

func (t *tx) WorkflowTriggers(s store.Scope, workflow string) ([]store.Trigger, error) {
	return t.triggers(qWorkflowTriggers, s, workflow)
}

func (t *tx) CountTriggers(s store.Scope) (int, error) { return t.count(qCountTriggers, s) }

var (
	qDocument       = sql(`SELECT name, uid, version, created, modified, tags, body FROM documents WHERE scope = ? AND kind = ? AND name = ?`)
	qInsertDocument = sql(`INSERT INTO documents (uid, scope, kind, name, version, created, modified, tags, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`)
	qUpdateDocument = sql(`UPDATE documents SET kind = ?, name = ?, version = ?, created = ?, modified = ?, tags = ?, body = ? WHERE uid = ? AND version = ?`)
	qDeleteDocument = sql(`DELETE FROM documents WHERE uid = ? AND version = ?`)
	qDocumentExists = sql(`SELECT 1 FROM documents WHERE uid = ?`)
	qListDocuments  = sql(`SELECT name, uid, version, created, modified, tags, body FROM documents WHERE scope = ? AND kind = ? AND name > ? ORDER BY name LIMIT ?`)
	qCountDocuments = sql(`SELECT count(*) FROM documents WHERE scope = ? AND kind = ?`)
)

func (t *tx) documents(q statement, s store.Scope, kind store.Kind, args ...any) (out []store.Document, err error) {
	scope, err := t.scopeID(s)
	if err != nil {
		return nil, err
	}
	err = t.query(q, func(r row) error {
		d := store.Document{
			Scope: s, Kind: kind, Name: r.text(0), UID: r.int(1), Version: r.int(2),
			Created: instant(r.int(3)), Modified: instant(r.int(4)), Body: r.blob(6),
		}
		if tags := r.blob(5); tags != nil {
			if err := json.Unmarshal(tags, &d.Tags); err != nil {
				return fmt.Errorf("decode tags of %s %q: %w", kind, d.Name, err)
			}
		}
		out = append(out, d)
		return nil
	}, append([]any{scope, string(kind)}, args...)...)
	return out, err
}

func (t *tx) Document(s store.Scope, kind store.Kind, name string) (store.Document, error) {
	key := definitionKey{scope: s, kind: kind, name: name}
	if row, ok := t.definitions.get(key); ok {
		return cloneDocument(row.(store.Document)), nil
	}
	found, err := t.documents(qDocument, s, kind, name)
	if err != nil {
		return store.Document{}, err
	}
	if len(found) == 0 {
		return store.Document{}, store.ErrNotFound
	}
	t.definitions.put(key, cloneDocument(found[0]))
	return found[0], nil
}

func cloneDocument(d store.Document) store.Document {
	d.Body, d.Tags = slices.Clone(d.Body), maps.Clone(d.Tags)
	return d
}

// tagColumn is NULL for a document that never had tags.
func tagColumn(tags map[string]string) ([]byte, error) {
	if tags == nil {
		return nil, nil
	}
	return encode(tags)
}

func (t *tx) InsertDocument(d store.Document) error {
	t.definitions.change()
	tags, err := tagColumn(d.Tags)
	if err != nil {
		return err
	}
	scope, err := t.internScope(d.Scope)
	if err != nil {
		return err
	}
	t.note(d.UID, d.Version)
	return t.insert(qInsertDocument, d.UID, scope, string(d.Kind), d.Name, d.Version, millis(d.Created), millis(d.Modified), tags, blob(d.Body))
}

func (t *tx) UpdateDocument(d store.Document, old int64) error {
	t.definitions.change()
	tags, err := tagColumn(d.Tags)
	if err != nil {
		return err
	}
	t.note(d.Version)
	return t.replace(qUpdateDocument, qDocumentExists, []any{d.UID},
		string(d.Kind), d.Name, d.Version, millis(d.Created), millis(d.Modified), tags, blob(d.Body), d.UID, old)
}

func (t *tx) DeleteDocument(uid, version int64) error {
	t.definitions.change()
	return t.replace(qDeleteDocument, qDocumentExists, []any{uid}, uid, version)
}

func (t *tx) ListDocuments(s store.Scope, kind store.Kind, after string, limit int) ([]store.Document, error) {
	return t.documents(qListDocuments, s, kind, after, int64(limit))
}

func (t *tx) CountDocuments(s store.Scope, kind store.Kind) (int, error) {
	return t.count(qCountDocuments, s, string(kind))
}
