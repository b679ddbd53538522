package storetest

import (
	"errors"

	"tenon/internal/flow"
	"tenon/internal/store"
)

func workflow(s store.Scope, name string, uid int64) store.Workflow {
	return store.Workflow{
		Scope: s, Name: name, UID: uid, Version: uid, Created: epoch, Modified: epoch,
		Description: ptr("a workflow"), DefaultRunProperties: map[string]string{"k": "v"}, MaxConcurrentRuns: ptr(3),
		Tags: map[string]string{"team": "x"},
	}
}

func workflows(f *fixture) {
	a := workflow(here, "a", 10)
	f.write(func(tx store.Tx) error {
		return errors.Join(
			tx.InsertWorkflow(a), tx.InsertWorkflow(workflow(there, "a", 11)), tx.InsertWorkflow(workflow(here, "Z", 12)),
			tx.InsertWorkflow(workflow(here, "é", 13)), tx.InsertWorkflow(workflow(here, "a.b", 14)),
		)
	})
	f.in(func(tx store.Tx) {
		got(f, a)(tx.Workflow(here, "a"))
		absent(f)(tx.Workflow(here, "b"))
		absent(f)(tx.Workflow(other, "a"))
		got(f, []string{"Z", "a", "a.b", "é"})(tx.ListWorkflows(here, "", 10))
		got(f, []string{"Z", "a"})(tx.ListWorkflows(here, "", 2))
		got(f, []string{"a.b", "é"})(tx.ListWorkflows(here, "a", 10))
		got(f, []string{"a"})(tx.ListWorkflows(there, "", 10))
		got(f, nil)(tx.ListWorkflows(other, "", 10))
		got(f, 4)(tx.CountWorkflows(here))
		got(f, 0)(tx.CountWorkflows(other))
	})
	b := a
	b.Version, b.Description, b.Modified = 20, nil, epoch.AddDate(0, 0, 1)
	f.write(func(tx store.Tx) error {
		f.is(tx.InsertWorkflow(workflow(here, "a", 21)), store.ErrExists)
		f.is(tx.UpdateWorkflow(b, 9), store.ErrStale)
		gone := b
		gone.UID = 99
		f.is(tx.UpdateWorkflow(gone, 10), store.ErrNotFound)
		got(f, a)(tx.Workflow(here, "a"))
		return tx.UpdateWorkflow(b, 10)
	})
	f.in(func(tx store.Tx) { got(f, b)(tx.Workflow(here, "a")) })
	f.write(func(tx store.Tx) error {
		f.is(tx.DeleteWorkflow(10, 10), store.ErrStale)
		f.is(tx.DeleteWorkflow(99, 10), store.ErrNotFound)
		return tx.DeleteWorkflow(10, 20)
	})
	f.write(func(tx store.Tx) error {
		absent(f)(tx.Workflow(here, "a"))
		return tx.InsertWorkflow(workflow(here, "a", 30)) // the name is free, the uid another
	})
	f.in(func(tx store.Tx) { got(f, workflow(here, "a", 30))(tx.Workflow(here, "a")) })
}

// workflowMembers keeps what was not given apart from what is empty or zero.
func workflowMembers(f *fixture) {
	bare := store.Workflow{Scope: here, Name: "bare", UID: 1, Version: 1, Created: epoch, Modified: epoch}
	full := store.Workflow{
		Scope: here, Name: "empty", UID: 2, Version: 2, Created: epoch, Modified: epoch,
		Description: ptr(""), DefaultRunProperties: map[string]string{}, MaxConcurrentRuns: ptr(0), Tags: map[string]string{},
	}
	f.write(func(tx store.Tx) error { return errors.Join(tx.InsertWorkflow(bare), tx.InsertWorkflow(full)) })
	f.in(func(tx store.Tx) {
		got(f, bare)(tx.Workflow(here, "bare"))
		got(f, full)(tx.Workflow(here, "empty"))
	})
}

func trigger(s store.Scope, name, workflow string, uid int64) store.Trigger {
	return store.Trigger{
		Scope: s, UID: uid, Version: uid, Created: epoch, Modified: epoch,
		Definition: flow.Trigger{
			UID: uid, Name: name, Workflow: workflow, Type: flow.Conditional, State: flow.Activated,
			Actions:   []flow.Action{{Job: "j", Arguments: map[string]string{"--a": "b"}}},
			Predicate: &flow.Predicate{Logical: flow.Any, Conditions: []flow.Condition{{Operator: "EQUALS", Job: "i", State: "SUCCEEDED"}}},
		},
		Tags: map[string]string{"k": "v"},
	}
}

func triggers(f *fixture) {
	z, a, alone := trigger(here, "z", "wf", 1), trigger(here, "a", "wf", 2), trigger(here, "m", "", 3)
	f.write(func(tx store.Tx) error {
		return errors.Join(tx.InsertTrigger(a), tx.InsertTrigger(z), tx.InsertTrigger(alone), tx.InsertTrigger(trigger(there, "z", "wf", 4)))
	})
	f.in(func(tx store.Tx) {
		got(f, z)(tx.Trigger(here, "z"))
		absent(f)(tx.Trigger(other, "z"))
		got(f, []store.Trigger{z, a})(tx.WorkflowTriggers(here, "wf")) // by creation
		got(f, []store.Trigger{alone})(tx.WorkflowTriggers(here, ""))
		got(f, []store.Trigger{a, alone, z})(tx.ListTriggers(here, "", 10)) // by name
		got(f, []store.Trigger{alone})(tx.ListTriggers(here, "a", 1))
		got(f, 3)(tx.CountTriggers(here))
	})
	b := z
	b.Version, b.Definition.State, b.Definition.Workflow = 9, flow.Deactivated, "other"
	f.write(func(tx store.Tx) error {
		f.is(tx.InsertTrigger(trigger(here, "z", "", 9)), store.ErrExists)
		f.is(tx.UpdateTrigger(b, 8), store.ErrStale)
		f.is(tx.DeleteTrigger(1, 8), store.ErrStale)
		f.is(tx.DeleteTrigger(77, 8), store.ErrNotFound)
		return tx.UpdateTrigger(b, 1)
	})
	f.in(func(tx store.Tx) {
		got(f, b)(tx.Trigger(here, "z"))
		got(f, []store.Trigger{a})(tx.WorkflowTriggers(here, "wf"))
		got(f, []store.Trigger{b})(tx.WorkflowTriggers(here, "other"))
	})
	f.write(func(tx store.Tx) error { return tx.DeleteTrigger(1, 9) })
	f.in(func(tx store.Tx) { absent(f)(tx.Trigger(here, "z")) })
}

func document(s store.Scope, kind store.Kind, name string, uid int64) store.Document {
	return store.Document{
		Scope: s, Kind: kind, Name: name, UID: uid, Version: uid, Created: epoch, Modified: epoch,
		Body: []byte("{\"a\": 1}\x00\xff"), Tags: map[string]string{"k": "v"},
	}
}

func documents(f *fixture) {
	a, stack := document(here, store.Jobs, "a", 1), document(here, store.Stacks, "a", 2)
	bare := document(here, store.Jobs, "b", 3)
	bare.Tags = nil
	f.write(func(tx store.Tx) error {
		return errors.Join(tx.InsertDocument(a), tx.InsertDocument(stack), tx.InsertDocument(bare))
	})
	f.in(func(tx store.Tx) {
		got(f, a)(tx.Document(here, store.Jobs, "a"))
		got(f, stack)(tx.Document(here, store.Stacks, "a"))
		absent(f)(tx.Document(there, store.Jobs, "a"))
		got(f, []store.Document{a, bare})(tx.ListDocuments(here, store.Jobs, "", 10))
		got(f, []store.Document{bare})(tx.ListDocuments(here, store.Jobs, "a", 10))
		got(f, 2)(tx.CountDocuments(here, store.Jobs))
	})
	b := a
	b.Version, b.Body = 9, []byte("other")
	f.write(func(tx store.Tx) error {
		f.is(tx.InsertDocument(document(here, store.Jobs, "a", 8)), store.ErrExists)
		f.is(tx.UpdateDocument(b, 8), store.ErrStale)
		return tx.UpdateDocument(b, 1)
	})
	f.in(func(tx store.Tx) { got(f, b)(tx.Document(here, store.Jobs, "a")) })
	f.write(func(tx store.Tx) error {
		f.is(tx.DeleteDocument(1, 1), store.ErrStale)
		return tx.DeleteDocument(1, 9)
	})
	f.in(func(tx store.Tx) {
		absent(f)(tx.Document(here, store.Jobs, "a"))
		got(f, 1)(tx.CountDocuments(here, store.Jobs))
	})
}

func snapshots(f *fixture) {
	var a, b store.Hash
	failed := errors.New("failed")
	put := func(tx store.Tx) (err error) {
		a, err = tx.PutSnapshot([]byte("a"))
		return err
	}
	// A snapshot that was rolled back must not be taken for known.
	f.is(f.s.Write(f.Context(), func(tx store.Tx) error { return errors.Join(put(tx), failed) }), failed)
	f.in(func(tx store.Tx) { absent(f)(tx.Snapshot(a)) })
	for range 3 {
		f.write(put)
	}
	f.write(func(tx store.Tx) (err error) {
		b, err = tx.PutSnapshot([]byte("b"))
		return errors.Join(err, put(tx))
	})
	if a == b {
		f.Fatal("different texts have one hash")
	}
	f.in(func(tx store.Tx) {
		got(f, []byte("a"))(tx.Snapshot(a))
		got(f, []byte("b"))(tx.Snapshot(b))
	})
}
