package sqlstore

import (
	"errors"
	"fmt"
	"sync"

	"tenon/internal/store"
)

var (
	errReadOnly = errors.New("write in a read-only transaction")
	errOver     = errors.New("transaction is over")
)

// tx is one function's transaction: a whole one of the database, or its share in
// that of its group.
type tx struct {
	c      *session
	shared *shared
	// known is nil for readers.
	known *hashes
	// definitions is nil for readers.
	definitions *definitions
	readonly    bool
	over        bool
	// savepoint asks for a savepoint before the first change. A function that
	// fails before it changes anything costs its neighbours nothing.
	savepoint bool
	wrote     bool

	committed store.Committed
	highest   int64 // of the sequence numbers written
	scopes    map[store.Scope]int64
	snapshots []store.Hash
}

var _ store.Tx = (*tx)(nil)

// exec runs a statement that changes rows.
func (t *tx) exec(q statement, args ...any) (int64, error) {
	switch {
	case t.over:
		return 0, errOver
	case t.readonly:
		return 0, errReadOnly
	case t.savepoint && !t.wrote:
		if _, err := t.c.exec(sqlSave); err != nil {
			return 0, err
		}
	}
	t.wrote = true
	return t.c.exec(q, args...)
}

// change is exec for a statement that must change a row.
func (t *tx) change(q statement, args ...any) error {
	n, err := t.exec(q, args...)
	if err == nil && n == 0 {
		return store.ErrNotFound
	}
	return err
}

// insert is exec for a row that must be new. Its statement does nothing on a
// conflict, because an error would end the whole transaction on some databases.
func (t *tx) insert(q statement, args ...any) error {
	n, err := t.exec(q, args...)
	if err == nil && n == 0 {
		return store.ErrExists
	}
	return err
}

// replace is exec for a change of a live row under its version. version looks up
// whether the row exists, to tell why nothing changed.
func (t *tx) replace(q, exists statement, key []any, args ...any) error {
	n, err := t.exec(q, args...)
	if err != nil || n > 0 {
		return err
	}
	err = t.one(exists, func(row) error { return nil }, key...)
	if err == nil {
		return store.ErrStale
	}
	return err
}

func (t *tx) query(q statement, each func(row) error, args ...any) error {
	if t.over {
		return errOver
	}
	return t.c.query(q, each, args...)
}

func (t *tx) one(q statement, each func(row) error, args ...any) error {
	if t.over {
		return errOver
	}
	return t.c.one(q, each, args...)
}

// note remembers sequence numbers that were written, for LastSeq.
func (t *tx) note(numbers ...int64) {
	for _, n := range numbers {
		t.highest = max(t.highest, n)
	}
}

// shared is what all transactions of a store know of committed rows that never
// change.
type shared struct {
	mu     sync.RWMutex
	ids    map[store.Scope]int64
	scopes map[int64]store.Scope
}

func newShared() *shared {
	return &shared{ids: map[store.Scope]int64{}, scopes: map[int64]store.Scope{}}
}

// publish is called after a commit.
func (s *shared) publish(scopes map[store.Scope]int64) {
	if len(scopes) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for scope, id := range scopes {
		s.ids[scope], s.scopes[id] = id, scope
	}
}

var (
	qScopeID   = sql(`SELECT id FROM scopes WHERE account = ? AND region = ?`)
	qScope     = sql(`SELECT account, region FROM scopes WHERE id = ?`)
	qAddScope  = sql(`INSERT INTO scopes (account, region) VALUES (?, ?) ON CONFLICT (account, region) DO NOTHING`)
	qAllScopes = sql(`SELECT id, account, region FROM scopes`)
)

// noScope is the number of a scope that has no rows.
const noScope = 0

// scopeID returns the number of a scope, noScope if nothing was ever stored in it.
func (t *tx) scopeID(s store.Scope) (int64, error) {
	if id, ok := t.scopes[s]; ok {
		return id, nil
	}
	t.shared.mu.RLock()
	id, ok := t.shared.ids[s]
	t.shared.mu.RUnlock()
	if ok {
		return id, nil
	}
	err := t.query(qScopeID, func(r row) error { id = r.int(0); return nil }, s.Account, s.Region)
	if err != nil {
		return 0, fmt.Errorf("read scope: %w", err)
	}
	return id, nil
}

// internScope returns the number of a scope and gives it one if need be.
func (t *tx) internScope(s store.Scope) (int64, error) {
	id, err := t.scopeID(s)
	if err != nil || id != noScope {
		return id, err
	}
	if _, err := t.exec(qAddScope, s.Account, s.Region); err != nil {
		return 0, fmt.Errorf("write scope: %w", err)
	}
	if id, err = t.scopeID(s); err != nil {
		return 0, err
	}
	if t.scopes == nil {
		t.scopes = map[store.Scope]int64{}
	}
	t.scopes[s] = id
	return id, nil
}

func (t *tx) scope(id int64) (store.Scope, error) {
	t.shared.mu.RLock()
	s, ok := t.shared.scopes[id]
	t.shared.mu.RUnlock()
	if ok {
		return s, nil
	}
	err := t.one(qScope, func(r row) error { s = store.Scope{Account: r.text(0), Region: r.text(1)}; return nil }, id)
	if err != nil {
		return s, fmt.Errorf("read scope %d: %w", id, err)
	}
	return s, nil
}

func loadScopes(c *session, s *shared) error {
	found := map[store.Scope]int64{}
	err := c.query(qAllScopes, func(r row) error {
		found[store.Scope{Account: r.text(1), Region: r.text(2)}] = r.int(0)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read scopes: %w", err)
	}
	s.publish(found)
	return nil
}

// hashes is a bounded set of snapshots known to be committed. Only the writer
// uses it. Whoever deletes snapshots must empty it.
type hashes struct{ set map[store.Hash]struct{} }

const maxHashes = 8192

func (h *hashes) has(k store.Hash) bool { _, ok := h.set[k]; return ok }

func (h *hashes) add(keys []store.Hash) {
	if len(keys) == 0 {
		return
	}
	if h.set == nil || len(h.set)+len(keys) > maxHashes {
		h.set = make(map[store.Hash]struct{})
	}
	for _, k := range keys {
		h.set[k] = struct{}{}
	}
}

// definitions keeps rows of workflows and documents as they are committed: a start
// reads the same few again and again. Only the writer uses it. It is emptied by
// any change of such a row and keeps nothing more in that transaction, because
// what is read then may be rolled back.
type definitions struct {
	rows    map[definitionKey]any
	changed bool
}

type definitionKey struct {
	scope store.Scope
	kind  store.Kind // "" for a workflow
	name  string
}

const maxDefinitions = 1024

// begin is called before each transaction.
func (d *definitions) begin() { d.changed = false }

func (d *definitions) change() {
	if d != nil {
		d.changed = true
		clear(d.rows)
	}
}

func (d *definitions) get(k definitionKey) (any, bool) {
	if d == nil {
		return nil, false
	}
	row, ok := d.rows[k]
	return row, ok
}

func (d *definitions) put(k definitionKey, row any) {
	if d == nil || d.changed {
		return
	}
	if d.rows == nil || len(d.rows) >= maxDefinitions {
		d.rows = make(map[definitionKey]any)
	}
	d.rows[k] = row
}
