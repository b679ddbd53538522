package storetest

import (
	"errors"

	"tenon/internal/engine"
	"tenon/internal/flow"
	"tenon/internal/jobrun"
	"tenon/internal/store"
)

func run(seq int64) store.Run {
	return store.Run{
		Seq: seq, Rand: [24]byte{1, 2, 3, byte(seq)}, Version: seq, Scope: here, Kind: engine.WorkflowRun, Workflow: 1, WorkflowName: "wf",
		Head: engine.Head{
			Status: engine.Running, Active: 1, Stats: engine.Statistics{Total: 2, Running: 1},
			Ready:  []engine.Ready{{Trigger: 1, Because: []engine.Predecessor{{Type: flow.JobNode, Name: "j", ID: "jr_1"}}}},
			Firing: []engine.Firing{{Trigger: 0, Next: 1}}, Stops: []engine.Ref{{Node: 1, ID: "jr_2"}},
		},
		Started: epoch, Previous: "wr_0", Snapshot: store.Hash{9, 8, 7},
	}
}

func ended(r store.Run, version int64) store.Run {
	r.Version, r.Completed, r.ErrorMessage = version, epoch.AddDate(0, 0, 1), "it is over"
	r.Head = engine.Head{Status: engine.Completed, Stats: engine.Statistics{Total: 2, Succeeded: 2}}
	return r
}

func runs(f *fixture) {
	chain := run(3)
	chain.Kind, chain.WorkflowName = engine.Chain, ""
	foreign := run(5)
	foreign.Workflow = 2
	f.write(func(tx store.Tx) error {
		return errors.Join(tx.InsertRun(run(1)), tx.InsertRun(run(2)), tx.InsertRun(chain), tx.InsertRun(run(4)), tx.InsertRun(foreign))
	})
	f.in(func(tx store.Tx) {
		got(f, run(1))(tx.Run(1))
		got(f, chain)(tx.Run(3))
		absent(f)(tx.Run(99))
		got(f, []store.Run{run(4), run(2), run(1)})(tx.ListRuns(1, 0, 10))
		got(f, []store.Run{run(4), run(2)})(tx.ListRuns(1, 0, 2))
		got(f, []store.Run{run(1)})(tx.ListRuns(1, 2, 10))
		got(f, nil)(tx.ListRuns(1, 1, 10))
	})
	over := ended(run(2), 20)
	f.write(func(tx store.Tx) error {
		f.is(tx.InsertRun(run(1)), store.ErrExists)
		f.is(tx.UpdateRun(over, 1), store.ErrStale)
		f.is(tx.UpdateRun(ended(run(99), 20), 1), store.ErrNotFound)
		return tx.UpdateRun(over, 2)
	})
	f.in(func(tx store.Tx) {
		got(f, over)(tx.Run(2))
		got(f, []store.Run{run(4), over, run(1)})(tx.ListRuns(1, 0, 10))
	})
}

func activeRuns(f *fixture) {
	chain, second, foreign := run(3), run(4), run(5)
	chain.Kind = engine.Chain
	second.Workflow = 2
	foreign.Scope, foreign.Workflow = other, 3
	f.write(func(tx store.Tx) error {
		return errors.Join(tx.InsertRun(run(1)), tx.InsertRun(run(2)), tx.InsertRun(chain), tx.InsertRun(second), tx.InsertRun(foreign), tx.InsertRun(ended(run(6), 6)))
	})
	count := func(tx store.Tx, want int, s store.Scope, workflow int64, limit int) {
		f.Helper()
		got(f, want)(tx.CountActiveRuns(s, workflow, limit))
	}
	f.in(func(tx store.Tx) {
		count(tx, 2, here, 1, 10)
		count(tx, 1, here, 1, 1)
		count(tx, 0, here, 1, 0)
		count(tx, 1, here, 2, 10)
		count(tx, 3, here, 0, 10) // chains do not count
		count(tx, 2, here, 0, 2)
		count(tx, 1, other, 0, 10)
		count(tx, 0, there, 0, 10)
		got(f, []store.Run{run(1), run(2), chain, second, foreign})(tx.ListActiveRuns(0, 10))
		got(f, []store.Run{chain, second})(tx.ListActiveRuns(2, 2))
	})
	f.write(func(tx store.Tx) error { return tx.UpdateRun(ended(run(1), 9), 1) })
	f.in(func(tx store.Tx) {
		count(tx, 1, here, 1, 10)
		count(tx, 2, here, 0, 10)
		got(f, []store.Run{run(2)})(tx.ListActiveRuns(0, 1))
	})
}

func parts(f *fixture) {
	f.write(func(tx store.Tx) error {
		absent(f)(tx.Part(1, 0))
		absent(f)(tx.Properties(1))
		return errors.Join(
			tx.PutPart(1, 0, []byte("one")), tx.PutPart(1, 1, []byte("two")), tx.PutPart(2, 0, []byte("other")), tx.PutPart(1, 0, []byte("new")),
			tx.PutProperties(1, []byte("{}")), tx.PutProperties(1, []byte("{1}")),
		)
	})
	f.in(func(tx store.Tx) {
		got(f, []byte("new"))(tx.Part(1, 0))
		got(f, []byte("two"))(tx.Part(1, 1))
		got(f, []byte("other"))(tx.Part(2, 0))
		absent(f)(tx.Part(2, 1))
		got(f, []byte("{1}"))(tx.Properties(1))
		absent(f)(tx.Properties(2))
	})
}

func attempt(base int64, n int, seq int64) store.Attempt {
	return store.Attempt{
		Key: store.AttemptKey{Base: base, N: n}, Rand: [24]byte{4, 5, 6, byte(base)}, Seq: seq, Version: seq, Scope: here, Job: 1,
		State: jobrun.Running, Holds: true, RunSeq: 7, Node: 3, Boot: "boot", Definition: store.Hash{1, 2},
		Run: jobrun.Run{
			JobName: "j", State: jobrun.Running, Attempt: n, StartedOn: epoch, ModifiedOn: epoch, Arguments: map[string]string{"--a": "b"},
			TriggerName: "t", Predecessors: []jobrun.Predecessor{{JobName: "i", RunID: "jr_1"}}, Workflow: "wf",
			Settings: jobrun.Settings{Timeout: 10, MaxCapacity: 0.0625, Queuing: true},
		},
	}
}

func in(state jobrun.State, holds bool, a store.Attempt) store.Attempt {
	a.State, a.Run.State, a.Holds = state, state, holds
	return a
}

func attempts(f *fixture) {
	first, second := in(jobrun.Failed, false, attempt(1, 0, 1)), attempt(1, 1, 3)
	f.write(func(tx store.Tx) error {
		return errors.Join(tx.InsertAttempt(second), tx.InsertAttempt(first), tx.InsertAttempt(attempt(2, 0, 2)))
	})
	f.in(func(tx store.Tx) {
		got(f, first)(tx.Attempt(first.Key))
		got(f, second)(tx.Attempt(second.Key))
		absent(f)(tx.Attempt(store.AttemptKey{Base: 1, N: 2}))
		got(f, []store.Attempt{first, second})(tx.AttemptsOf(1))
		got(f, nil)(tx.AttemptsOf(9))
	})
	over := in(jobrun.Succeeded, false, second)
	over.Version, over.Boot, over.Definition = 9, "", store.Hash{3}
	over.Run.CompletedOn, over.Run.ErrorMessage = epoch, "text"
	f.write(func(tx store.Tx) error {
		f.is(tx.InsertAttempt(second), store.ErrExists)
		f.is(tx.UpdateAttempt(over, 1), store.ErrStale)
		gone := over
		gone.Key.N = 5
		f.is(tx.UpdateAttempt(gone, 3), store.ErrNotFound)
		return tx.UpdateAttempt(over, 3)
	})
	f.in(func(tx store.Tx) { got(f, []store.Attempt{first, over})(tx.AttemptsOf(1)) })

	// What a job writes is not always text; it must not keep the job from ending.
	over.Run.ErrorMessage, over.Version = "caf\xe9", 10
	f.write(func(tx store.Tx) error { return tx.UpdateAttempt(over, 9) })
}

func attemptLists(f *fixture) {
	// A retry has the key of its base but a place of its own in the job's list.
	retry, foreign := attempt(1, 1, 4), attempt(3, 0, 3)
	foreign.Job = 2
	done := in(jobrun.Succeeded, false, attempt(5, 0, 5))
	f.write(func(tx store.Tx) error {
		return errors.Join(tx.InsertAttempt(attempt(1, 0, 1)), tx.InsertAttempt(attempt(2, 0, 2)), tx.InsertAttempt(foreign), tx.InsertAttempt(retry), tx.InsertAttempt(done))
	})
	f.in(func(tx store.Tx) {
		got(f, []store.Attempt{done, retry, attempt(2, 0, 2), attempt(1, 0, 1)})(tx.ListJobAttempts(1, 0, 10))
		got(f, []store.Attempt{done, retry})(tx.ListJobAttempts(1, 0, 2))
		got(f, []store.Attempt{attempt(2, 0, 2)})(tx.ListJobAttempts(1, 4, 1))
		got(f, []store.Attempt{attempt(1, 0, 1), retry, attempt(2, 0, 2), foreign})(tx.ListActiveAttempts(store.AttemptKey{}, 10))
		got(f, []store.Attempt{retry, attempt(2, 0, 2)})(tx.ListActiveAttempts(store.AttemptKey{Base: 1}, 2))
		got(f, nil)(tx.ListActiveAttempts(store.AttemptKey{Base: 3}, 10))
	})
}

func attemptCounts(f *fixture) {
	waiting := func(base int64) store.Attempt { return in(jobrun.Waiting, false, attempt(base, 0, base)) }
	foreign := attempt(6, 0, 6)
	foreign.Job, foreign.Scope = 2, other
	retryDue := in(jobrun.Failed, true, attempt(2, 0, 2)) // ended, but keeps its slot
	f.write(func(tx store.Tx) error {
		return errors.Join(
			tx.InsertAttempt(attempt(1, 0, 1)), tx.InsertAttempt(retryDue), tx.InsertAttempt(waiting(4)), tx.InsertAttempt(waiting(3)),
			tx.InsertAttempt(in(jobrun.Succeeded, false, attempt(5, 0, 5))), tx.InsertAttempt(foreign),
		)
	})
	f.in(func(tx store.Tx) {
		got(f, 2)(tx.CountHolding(1, 10))
		got(f, 1)(tx.CountHolding(1, 1))
		got(f, 0)(tx.CountHolding(9, 10))
		got(f, 2)(tx.CountWaiting(1, 10))
		got(f, 1)(tx.CountWaiting(1, 1))
		got(f, 0)(tx.CountWaiting(2, 10))
		got(f, 4)(tx.CountActiveAttempts(here, 10))
		got(f, 3)(tx.CountActiveAttempts(here, 3))
		got(f, 1)(tx.CountActiveAttempts(here, 1))
		got(f, 1)(tx.CountActiveAttempts(other, 10))
		got(f, 0)(tx.CountActiveAttempts(there, 10))
		got(f, waiting(3))(tx.FirstWaiting(1))
		absent(f)(tx.FirstWaiting(2))
	})
	f.write(func(tx store.Tx) error {
		a := in(jobrun.Starting, true, waiting(3))
		a.Version = 9
		return tx.UpdateAttempt(a, 3)
	})
	f.in(func(tx store.Tx) {
		got(f, 3)(tx.CountHolding(1, 10))
		got(f, waiting(4))(tx.FirstWaiting(1))
	})
}
