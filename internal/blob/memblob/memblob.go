// Package memblob keeps objects in memory, for ephemeral servers and tests. It
// guarantees everything package blob does except that anything outlives the
// process.
//
// It has no limit on the memory it takes.
package memblob

import (
	"bytes"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"sync"

	"tenon/internal/blob/indexed"
)

// New gives an empty store.
func New(c indexed.Config) *indexed.Store {
	return indexed.New(indexed.NewMemIndex(), NewContents(), c)
}

// NewContents gives contents to put under another index.
func NewContents() indexed.Contents { return &contents{bytes: map[string][]byte{}} }

type contents struct {
	mu    sync.Mutex
	bytes map[string][]byte // never changed once stored
}

type writer struct {
	bytes.Buffer
	contents *contents
	id       string
}

func (c *contents) Create(id string) (indexed.ContentWriter, error) {
	return &writer{contents: c, id: id}, nil
}

func (w *writer) Commit() error {
	w.contents.mu.Lock()
	defer w.contents.mu.Unlock()
	w.contents.bytes[w.id] = slices.Clip(w.Bytes())
	return nil
}

func (w *writer) Abort() error { return nil }

type reader struct{ *bytes.Reader }

func (reader) Close() error { return nil }

func (c *contents) Open(id string) (indexed.ContentReader, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.bytes[id]
	if !ok {
		return nil, fmt.Errorf("open content %q: %w", id, fs.ErrNotExist)
	}
	return reader{bytes.NewReader(b)}, nil
}

func (c *contents) Remove(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.bytes, id)
	return nil
}

func (c *contents) All() iter.Seq2[string, error] {
	c.mu.Lock()
	ids := make([]string, 0, len(c.bytes))
	for id := range c.bytes {
		ids = append(ids, id)
	}
	c.mu.Unlock()
	return func(yield func(string, error) bool) {
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	}
}
