package orchestrate

import (
	"container/list"
	"fmt"
	"sync"

	"github.com/go-json-experiment/json"

	"tenon/internal/flow"
	"tenon/internal/jobrun"
	"tenon/internal/store"
)

// cache keeps decoded definitions. Its keys name content that never changes: a
// hash, or a uid with a version, and versions are never used twice. It therefore
// needs no invalidation, and an entry made in a transaction that is rolled back
// does no harm.
type cache struct {
	mu      sync.Mutex
	entries map[any]*list.Element
	recent  list.List // of cacheEntry, newest first
}

type cacheEntry struct{ key, value any }

// cacheSize bounds the number of definitions kept.
const cacheSize = 4096

func (c *cache) get(key any) (any, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok {
		return nil, false
	}
	c.recent.MoveToFront(e)
	return e.Value.(cacheEntry).value, true
}

func (c *cache) put(key, value any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil {
		c.entries = map[any]*list.Element{}
	}
	if e, ok := c.entries[key]; ok {
		e.Value = cacheEntry{key, value}
		c.recent.MoveToFront(e)
		return
	}
	c.entries[key] = c.recent.PushFront(cacheEntry{key, value})
	if c.recent.Len() > cacheSize {
		last := c.recent.Back()
		c.recent.Remove(last)
		delete(c.entries, last.Value.(cacheEntry).key)
	}
}

type (
	workflowKey   struct{ uid, version int64 }
	jobKey        struct{ uid, version int64 }
	graphKey      store.Hash
	definitionKey store.Hash
)

// snapshot is a workflow's triggers as a run keeps them.
type snapshot struct {
	body  []byte
	graph *flow.Graph
}

// snapshotOf returns the current triggers of a workflow. The workflow's version
// changes with each of them, so it names their content.
func (u *unit) snapshotOf(w store.Workflow) (snapshot, error) {
	key := workflowKey{w.UID, w.Version}
	if s, ok := u.cache.get(key); ok {
		return s.(snapshot), nil
	}
	rows, err := u.tx.WorkflowTriggers(w.Scope, w.Name)
	if err != nil {
		return snapshot{}, fmt.Errorf("read triggers: %w", err)
	}
	triggers := make([]flow.Trigger, len(rows))
	for i, t := range rows {
		triggers[i] = t.Definition
	}
	s, err := makeSnapshot(w.Name, triggers)
	if err == nil {
		u.cache.put(key, s)
	}
	return s, err
}

func makeSnapshot(workflow string, triggers []flow.Trigger) (snapshot, error) {
	body, err := json.Marshal(triggerSnapshot{V: encodingVersion, Workflow: workflow, Triggers: triggers}, json.Deterministic(true))
	if err != nil {
		return snapshot{}, fmt.Errorf("encode triggers: %w", err)
	}
	return snapshot{body: body, graph: flow.Build(workflow, triggers)}, nil
}

// graph returns the graph of a stored run.
func (o *Orchestrator) graph(tx store.Tx, row store.Run) (*flow.Graph, error) {
	key := graphKey(row.Snapshot)
	if g, ok := o.cache.get(key); ok {
		return g.(*flow.Graph), nil
	}
	body, err := tx.Snapshot(row.Snapshot)
	if err != nil {
		return nil, fmt.Errorf("read triggers of run %s: %w", row.ID(), err)
	}
	var s triggerSnapshot
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("decode triggers: %w", err)
	}
	if s.V != encodingVersion {
		return nil, fmt.Errorf("decode triggers: version %d is not known", s.V)
	}
	g := flow.Build(s.Workflow, s.Triggers)
	o.cache.put(key, g)
	return g, nil
}

// jobDefinition is a job as a run keeps it.
type jobDefinition struct {
	jobrun.Definition
	body []byte
}

func (u *unit) definitionOf(d store.Document) (jobDefinition, error) {
	key := jobKey{d.UID, d.Version}
	if j, ok := u.cache.get(key); ok {
		return j.(jobDefinition), nil
	}
	j := jobDefinition{body: d.Body}
	if err := json.Unmarshal(d.Body, &j.Definition); err != nil {
		return j, fmt.Errorf("decode job %s: %w", d.Name, err)
	}
	u.cache.put(key, j)
	return j, nil
}

// Definition returns a job's definition as snapshotted by a run.
func (o *Orchestrator) Definition(tx store.Tx, h store.Hash) (jobrun.Definition, error) {
	if d, ok := o.cache.get(definitionKey(h)); ok {
		return d.(jobrun.Definition), nil
	}
	body, err := tx.Snapshot(h)
	if err != nil {
		return jobrun.Definition{}, fmt.Errorf("read job definition: %w", err)
	}
	var d jobrun.Definition
	if err := json.Unmarshal(body, &d); err != nil {
		return d, fmt.Errorf("decode job definition: %w", err)
	}
	o.cache.put(definitionKey(h), d)
	return d, nil
}
