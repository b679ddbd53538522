package sqlstore

import (
	"errors"
	"testing"
	"time"

	"tenon/internal/store"
)

// TestDefinitionsKept proves that the writer's copies of workflows and documents
// are always the committed rows: they follow changes, deletions and roll-backs,
// and belong to whoever got them.
func TestDefinitionsKept(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	scope := store.Scope{Account: "1", Region: "r"}
	doc := store.Document{Scope: scope, Kind: store.Jobs, Name: "j", UID: 1, Version: 2, Body: []byte("one"), Tags: map[string]string{"a": "b"}}
	write := func(fn func(store.Tx) error) error { return s.Write(t.Context(), fn) }
	body := func() (got string) {
		t.Helper()
		for range 2 { // the second reading is of the copy
			if err := write(func(tx store.Tx) error {
				d, err := tx.Document(scope, store.Jobs, "j")
				got = string(d.Body)
				if err == nil && d.Tags["a"] != "b" {
					t.Errorf("tags are %v", d.Tags)
				}
				if len(d.Body) > 0 {
					d.Body[0], d.Tags["a"] = 'X', "spoiled" // it is the caller's own
				}
				return err
			}); errors.Is(err, store.ErrNotFound) {
				got = "absent"
			} else if err != nil {
				t.Fatal(err)
			}
		}
		return got
	}
	update := func(text string, version, old int64, then error) error {
		return write(func(tx store.Tx) error {
			d := doc
			d.Body, d.Version = []byte(text), version
			if err := tx.UpdateDocument(d, old); err != nil {
				return err
			}
			if d, err := tx.Document(scope, store.Jobs, "j"); err != nil || string(d.Body) != text {
				t.Errorf("own change reads %q, %v", d.Body, err)
			}
			return then
		})
	}
	if err := write(func(tx store.Tx) error { return tx.InsertDocument(doc) }); err != nil {
		t.Fatal(err)
	}
	if got := body(); got != "one" {
		t.Errorf("after insert: %q", got)
	}
	late := errors.New("late failure")
	if err := update("two", 3, 2, late); !errors.Is(err, late) {
		t.Fatal(err)
	}
	if got := body(); got != "one" {
		t.Errorf("after a change that was rolled back: %q", got)
	}
	if err := update("three", 4, 2, nil); err != nil {
		t.Fatal(err)
	}
	if got := body(); got != "three" {
		t.Errorf("after a change: %q", got)
	}
	if err := write(func(tx store.Tx) error { return tx.DeleteDocument(1, 4) }); err != nil {
		t.Fatal(err)
	}
	if got := body(); got != "absent" {
		t.Errorf("after deletion: %q", got)
	}
}
