// Package storetest is the conformance suite of package store. It guarantees that
// adapters which pass it can stand in for one another; it does not test what only
// one of them has, such as surviving a crash.
package storetest

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tenon/internal/store"
)

// Run holds a store to the port. open gives an empty one for each case; the case
// closes it.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	cases := []struct {
		name string
		run  func(*fixture)
	}{
		{"Workflows", workflows},
		{"WorkflowMembers", workflowMembers},
		{"Triggers", triggers},
		{"Documents", documents},
		{"Snapshots", snapshots},
		{"Runs", runs},
		{"ActiveRuns", activeRuns},
		{"Parts", parts},
		{"Attempts", attempts},
		{"AttemptLists", attemptLists},
		{"AttemptCounts", attemptCounts},
		{"Firings", firings},
		{"Timers", timers},
		{"Outbox", outbox},
		{"Replies", replies},
		{"Buckets", buckets},
		{"Objects", objects},
		{"Uploads", uploads},
		{"Contents", contents},
		{"OwnCopies", ownCopies},
		{"OwnWrites", ownWrites},
		{"FailedFunction", failedFunction},
		{"PanickingFunction", panickingFunction},
		{"RefusedStatement", refusedStatement},
		{"ReadOnly", readOnly},
		{"OverTransaction", overTransaction},
		{"Isolation", isolation},
		{"Serialized", serialized},
		{"Subscribe", subscribe},
		{"SubscribeOrder", subscribeOrder},
		{"EndedContext", endedContext},
		{"QueuedContext", queuedContext},
		{"TakenContext", takenContext},
		{"Closed", closing},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := &fixture{T: t, s: open(t)}
			c.run(f)
			f.ok(f.s.Close())
		})
	}
}

type fixture struct {
	*testing.T
	s store.Store
}

func (f *fixture) ok(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// is checks for a sentinel.
func (f *fixture) is(err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Fatalf("got error %v, want %v", err, want)
	}
}

func (f *fixture) equal(got, want any) {
	f.Helper()
	if d := cmp.Diff(want, got); d != "" {
		f.Fatalf("(-want +got)\n%s", d)
	}
}

func (f *fixture) write(fn func(store.Tx) error) {
	f.Helper()
	f.ok(f.s.Write(f.Context(), fn))
}

// in runs fn, which may fail the test, once in a writing and once in a reading
// transaction: rows must look the same from both.
func (f *fixture) in(fn func(store.Tx)) {
	f.Helper()
	again := func(tx store.Tx) error { fn(tx); return nil }
	f.ok(f.s.Read(f.Context(), again))
	f.ok(f.s.Write(f.Context(), again))
}

var (
	here  = store.Scope{Account: "111111111111", Region: "us-east-1"}
	there = store.Scope{Account: "111111111111", Region: "eu-west-1"}
	other = store.Scope{Account: "222222222222", Region: "us-east-1"}
	epoch = time.Date(2026, 11, 22, 12, 0, 0, 123e6, time.UTC)
)

// got takes what a lookup returned and compares it; want nil is an empty list.
func got(f *fixture, want any) func(any, error) {
	return func(v any, err error) {
		f.Helper()
		f.ok(err)
		if want != nil {
			f.equal(v, want)
		} else if n := reflect.ValueOf(v).Len(); n != 0 {
			f.Fatalf("got %d elements, want none: %+v", n, v)
		}
	}
}

// absent expects ErrNotFound.
func absent(f *fixture) func(any, error) {
	return func(_ any, err error) {
		f.Helper()
		f.is(err, store.ErrNotFound)
	}
}

func ptr[T any](v T) *T { return &v }
