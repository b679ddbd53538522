package memstore

import (
	"cmp"
	"iter"
	"slices"

	"tenon/internal/store"
)

// key is the key of any row or index entry. Strings go before numbers; what a
// table does not need stays zero.
type key struct {
	s, t, u, v string
	a, b       int64
}

func compare(x, y key) int {
	if c := cmp.Compare(x.s, y.s); c != 0 {
		return c
	}
	if c := cmp.Compare(x.t, y.t); c != 0 {
		return c
	}
	if c := cmp.Compare(x.u, y.u); c != 0 {
		return c
	}
	if c := cmp.Compare(x.v, y.v); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(x.a, y.a), cmp.Compare(x.b, y.b))
}

// table is rows in order of their keys. Most keys rise with time, so that a new
// one goes to the end.
type table[V any] struct {
	rows map[key]V
	keys []key
}

func newTable[V any]() *table[V] { return &table[V]{rows: map[key]V{}} }

func (x *table[V]) get(k key) (V, bool) { v, ok := x.rows[k]; return v, ok }

func (x *table[V]) put(t *tx, k key, v V) {
	old, ok := x.rows[k]
	x.set(k, v)
	t.undo = append(t.undo, func() {
		if ok {
			x.set(k, old)
		} else {
			x.unset(k)
		}
	})
}

// drop removes a row and reports whether there was one.
func (x *table[V]) drop(t *tx, k key) bool {
	old, ok := x.rows[k]
	if ok {
		x.unset(k)
		t.undo = append(t.undo, func() { x.set(k, old) })
	}
	return ok
}

func (x *table[V]) set(k key, v V) {
	if _, ok := x.rows[k]; !ok {
		x.keys = slices.Insert(x.keys, x.rank(k), k)
	}
	x.rows[k] = v
}

func (x *table[V]) unset(k key) {
	at := x.rank(k)
	x.keys = slices.Delete(x.keys, at, at+1)
	delete(x.rows, k)
}

// rank is the number of keys below k.
func (x *table[V]) rank(k key) int {
	if n := len(x.keys); n > 0 && compare(x.keys[n-1], k) < 0 {
		return n
	}
	at, _ := slices.BinarySearchFunc(x.keys, k, compare)
	return at
}

// count is the number of keys with low <= key < high.
func (x *table[V]) count(low, high key) int { return x.rank(high) - x.rank(low) }

// from yields rows with low <= key in order, down those with key < high in
// reverse. The table must not be changed meanwhile.
func (x *table[V]) from(low key) iter.Seq2[key, V] {
	return func(yield func(key, V) bool) {
		for _, k := range x.keys[x.rank(low):] {
			if !yield(k, x.rows[k]) {
				return
			}
		}
	}
}

func (x *table[V]) down(high key) iter.Seq2[key, V] {
	return func(yield func(key, V) bool) {
		for _, k := range slices.Backward(x.keys[:x.rank(high)]) {
			if !yield(k, x.rows[k]) {
				return
			}
		}
	}
}

// index is a table of keys alone.
type index = table[struct{}]

func newIndex() *index { return newTable[struct{}]() }

// hash is rows that nobody lists.
type hash[K comparable, V any] map[K]V

func (h hash[K, V]) put(t *tx, k K, v V) {
	old, ok := h[k]
	h[k] = v
	t.undo = append(t.undo, func() {
		if ok {
			h[k] = old
		} else {
			delete(h, k)
		}
	})
}

func (h hash[K, V]) drop(t *tx, k K) bool {
	old, ok := h[k]
	if ok {
		delete(h, k)
		t.undo = append(t.undo, func() { h[k] = old })
	}
	return ok
}

type (
	partKey   struct{ run, part int64 }
	firingKey struct {
		trigger int64
		cause   string
	}
	replyKey struct {
		day int64
		key store.Hash
	}
)

// data is all rows. Names of indexes say what their keys begin with.
type data struct {
	workflows     hash[int64, store.Workflow]
	workflowNames *table[int64]
	triggers      hash[int64, store.Trigger]
	triggerNames  *table[int64]
	triggersOf    *index
	documents     hash[int64, store.Document]
	documentNames *table[int64]

	snapshots hash[store.Hash, []byte]

	runs        *table[store.Run]
	runsOf      *index // workflow
	activeRuns  *index // seq
	activeIn    *index // scope, workflow
	parts       hash[partKey, []byte]
	properties  hash[int64, []byte]
	attempts    *table[store.Attempt]
	attemptSeqs hash[int64, store.AttemptKey]
	attemptsOf  *index // job
	holdingOf   *index // job
	waitingOf   *index // job
	holding     *index // base
	busyIn      *index // scope
	firings     hash[firingKey, struct{}]
	timers      hash[string, store.Timer]
	timersDue   *index
	effects     *table[store.Effect]
	effectKeys  hash[string, int64]
	replies     hash[replyKey, []byte]
	buckets     *table[store.Bucket]
	objects     *table[store.Object]
	uploads     hash[string, store.Upload]
	uploadNames *index
	uploadParts *table[store.UploadPart]
	contents    hash[string, struct{}]
}

func newData() *data {
	return &data{
		workflows: hash[int64, store.Workflow]{}, workflowNames: newTable[int64](),
		triggers: hash[int64, store.Trigger]{}, triggerNames: newTable[int64](), triggersOf: newIndex(),
		documents: hash[int64, store.Document]{}, documentNames: newTable[int64](),
		snapshots: hash[store.Hash, []byte]{},
		runs:      newTable[store.Run](), runsOf: newIndex(), activeRuns: newIndex(), activeIn: newIndex(),
		parts: hash[partKey, []byte]{}, properties: hash[int64, []byte]{},
		attempts: newTable[store.Attempt](), attemptSeqs: hash[int64, store.AttemptKey]{}, attemptsOf: newIndex(), holdingOf: newIndex(), waitingOf: newIndex(),
		holding: newIndex(), busyIn: newIndex(),
		firings: hash[firingKey, struct{}]{}, timers: hash[string, store.Timer]{}, timersDue: newIndex(),
		effects: newTable[store.Effect](), effectKeys: hash[string, int64]{}, replies: hash[replyKey, []byte]{},
		buckets: newTable[store.Bucket](), objects: newTable[store.Object](),
		uploads: hash[string, store.Upload]{}, uploadNames: newIndex(), uploadParts: newTable[store.UploadPart](),
		contents: hash[string, struct{}]{},
	}
}
