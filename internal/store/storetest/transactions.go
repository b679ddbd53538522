package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"tenon/internal/store"
)

// everything writes a row of each kind; reread says which of them exist.
func everything(tx store.Tx) error {
	_, err := tx.PutSnapshot([]byte("snapshot"))
	fresh, ferr := tx.InsertFiring(1, "cause", epoch)
	if ferr == nil && !fresh {
		ferr = errors.New("firing is there already")
	}
	return errors.Join(err, ferr,
		tx.InsertWorkflow(workflow(here, "w", 1)), tx.InsertTrigger(trigger(here, "t", "w", 1)), tx.InsertDocument(document(here, store.Jobs, "d", 1)),
		tx.InsertRun(run(1)), tx.PutPart(1, 0, []byte("p")), tx.PutProperties(1, []byte("{}")), tx.InsertAttempt(attempt(1, 0, 1)),
		tx.SetTimer(store.Timer{Kind: store.TimerQueue, Ref: "r", Due: epoch}), tx.AddEffect(effect(1, "launch/a")), tx.PutReply(store.Hash{1}, 1, []byte("r")),
		tx.InsertBucket(store.Bucket{Name: "b", Created: epoch, Body: []byte("b")}), tx.PutObject(store.Object{Bucket: "b", Key: "k", Body: []byte("o")}),
		tx.InsertUpload(store.Upload{ID: "u", Bucket: "b", Key: "k", Body: []byte("u")}), tx.PutUploadPart(store.UploadPart{Upload: "u", Number: 1, Body: []byte("p")}),
		tx.AddContents([]string{"c"}),
	)
}

// nothing expects the store to be empty.
func (f *fixture) nothing() {
	f.Helper()
	f.in(func(tx store.Tx) {
		f.Helper()
		absent(f)(tx.Workflow(here, "w"))
		absent(f)(tx.Trigger(here, "t"))
		absent(f)(tx.Document(here, store.Jobs, "d"))
		absent(f)(tx.Run(1))
		absent(f)(tx.Part(1, 0))
		absent(f)(tx.Properties(1))
		absent(f)(tx.Attempt(store.AttemptKey{Base: 1}))
		absent(f)(tx.Reply(store.Hash{1}, 1))
		absent(f)(tx.Bucket("b"))
		absent(f)(tx.Object("b", "k"))
		absent(f)(tx.Upload("u"))
		absent(f)(tx.UploadPart("u", 1))
		got(f, time.Time{})(tx.NextTimer())
		got(f, nil)(tx.ListEffects(0, 10))
		got(f, nil)(tx.KnownContents([]string{"c"}))
		got(f, nil)(tx.ListActiveRuns(0, 10))
		got(f, nil)(tx.ListActiveAttempts(store.AttemptKey{}, 10))
		got(f, nil)(tx.ListJobAttempts(1, 0, 10))
		got(f, nil)(tx.ListRuns(1, 0, 10))
		got(f, 0)(tx.CountActiveAttempts(here, 10))
		got(f, 0)(tx.CountWorkflows(here))
	})
}

// ownCopies changes what was given and what was returned; rows must not follow.
func ownCopies(f *fixture) {
	w, x, r, a := workflow(here, "w", 1), trigger(here, "t", "w", 1), run(1), attempt(1, 0, 1)
	d, body := document(here, store.Jobs, "d", 1), []byte("body")
	spoil := func(w store.Workflow, x store.Trigger, r store.Run, a store.Attempt, d store.Document, body []byte) {
		w.DefaultRunProperties["k"], *w.Description, *w.MaxConcurrentRuns = "spoilt", "spoilt", 99
		x.Definition.Actions[0].Arguments["--a"], x.Definition.Predicate.Conditions[0].Job = "spoilt", "spoilt"
		r.Head.Ready[0].Because[0].Name, r.Head.Stops[0].ID = "spoilt", "spoilt"
		a.Run.Arguments["--a"], a.Run.Predecessors[0].RunID = "spoilt", "spoilt"
		d.Tags["k"], d.Body[0], body[0] = "spoilt", 'X', 'X'
	}
	f.write(func(tx store.Tx) error {
		return errors.Join(tx.InsertWorkflow(w), tx.InsertTrigger(x), tx.InsertRun(r), tx.InsertAttempt(a), tx.InsertDocument(d), tx.PutPart(1, 0, body))
	})
	spoil(w, x, r, a, d, body)
	for range 2 {
		f.in(func(tx store.Tx) {
			w, err1 := tx.Workflow(here, "w")
			x, err2 := tx.Trigger(here, "t")
			r, err3 := tx.Run(1)
			a, err4 := tx.Attempt(store.AttemptKey{Base: 1})
			d, err5 := tx.Document(here, store.Jobs, "d")
			body, err6 := tx.Part(1, 0)
			f.ok(errors.Join(err1, err2, err3, err4, err5, err6))
			f.equal(w, workflow(here, "w", 1))
			f.equal(x, trigger(here, "t", "w", 1))
			f.equal(r, run(1))
			f.equal(a, attempt(1, 0, 1))
			f.equal(d, document(here, store.Jobs, "d", 1))
			f.equal(string(body), "body")
			spoil(w, x, r, a, d, body)
		})
	}
}

func ownWrites(f *fixture) {
	f.write(func(tx store.Tx) error {
		f.ok(everything(tx))
		got(f, run(1))(tx.Run(1))
		got(f, 1)(tx.CountActiveRuns(here, 1, 10))
		got(f, attempt(1, 0, 1))(tx.Attempt(store.AttemptKey{Base: 1}))
		got(f, []store.Effect{effect(1, "launch/a")})(tx.ListEffects(0, 10))
		return nil
	})
	// A scope that another function of the same moment made is one and the same.
	f.in(func(tx store.Tx) { got(f, run(1))(tx.Run(1)) })
}

func failedFunction(f *fixture) {
	failed := errors.New("failed")
	f.s.Subscribe(func(c store.Committed) { f.Errorf("heard of %+v, which was rolled back", c) })
	err := f.s.Write(f.Context(), func(tx store.Tx) error {
		f.ok(everything(tx))
		return failed
	})
	if !errors.Is(err, failed) {
		f.Fatalf("Write returned %v", err)
	}
	f.nothing()
}

// panickingFunction lets an adapter return an error or panic in the caller.
func panickingFunction(f *fixture) {
	err := func() (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("%v", v)
			}
		}()
		return f.s.Write(f.Context(), func(tx store.Tx) error {
			f.ok(everything(tx))
			var missing func() error
			return missing()
		})
	}()
	if err == nil {
		f.Fatal("a function that panicked was committed")
	}
	f.nothing()
	f.write(everything)
}

// refusedStatement goes on after an error that callers branch on.
func refusedStatement(f *fixture) {
	f.write(everything)
	f.write(func(tx store.Tx) error {
		f.is(tx.InsertWorkflow(workflow(here, "w", 5)), store.ErrExists)
		f.ok(tx.InsertWorkflow(workflow(here, "x", 6)))
		f.is(tx.AddEffect(effect(7, "launch/a")), store.ErrExists)
		f.is(tx.UpdateRun(ended(run(1), 8), 7), store.ErrStale)
		return nil
	})
	f.in(func(tx store.Tx) {
		got(f, []string{"w", "x"})(tx.ListWorkflows(here, "", 10))
		got(f, run(1))(tx.Run(1))
	})
}

func readOnly(f *fixture) {
	err := f.s.Read(f.Context(), func(tx store.Tx) error {
		if err := everything(tx); err == nil {
			f.Error("a reader wrote")
		}
		return tx.SetTimer(store.Timer{Kind: store.TimerQueue, Ref: "r", Due: epoch})
	})
	if err == nil {
		f.Error("a reader set a timer")
	}
	f.nothing()
	failed := errors.New("failed")
	f.is(f.s.Read(f.Context(), func(store.Tx) error { return failed }), failed)
}

func overTransaction(f *fixture) {
	var w, r store.Tx
	f.write(func(tx store.Tx) error { w = tx; return nil })
	f.ok(f.s.Read(f.Context(), func(tx store.Tx) error { r = tx; return nil }))
	for _, tx := range []store.Tx{w, r} {
		if err := tx.InsertRun(run(1)); err == nil {
			f.Error("wrote after the end")
		}
		if _, err := tx.Run(1); err == nil || errors.Is(err, store.ErrNotFound) {
			f.Errorf("read after the end: %v", err)
		}
	}
}

// isolation has readers look at two rows that every write changes together.
func isolation(f *fixture) {
	put := func(i int) func(store.Tx) error {
		body := []byte(strconv.Itoa(i))
		return func(tx store.Tx) error { return errors.Join(tx.PutProperties(1, body), tx.PutProperties(2, body)) }
	}
	f.write(put(0))
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			seen := 0
			for {
				select {
				case <-stop:
					return
				default:
				}
				err := f.s.Read(f.Context(), func(tx store.Tx) error {
					a, err1 := tx.Properties(1)
					b, err2 := tx.Properties(2)
					n, err3 := strconv.Atoi(string(a))
					if string(a) != string(b) || n < seen {
						f.Errorf("saw %s and %s after %d", a, b, seen)
					}
					seen = n
					return errors.Join(err1, err2, err3)
				})
				if err != nil {
					f.Error(err)
					return
				}
			}
		})
	}
	for i := range 100 {
		f.write(put(i + 1))
		// A read that begins after Write returned sees what it wrote.
		f.ok(f.s.Read(f.Context(), func(tx store.Tx) error { got(f, []byte(strconv.Itoa(i+1)))(tx.Properties(1)); return nil }))
	}
	close(stop)
	readers.Wait()
}

// serialized has callers add to one number; every third of them fails.
func serialized(f *fixture) {
	const callers, each = 16, 12
	failed := errors.New("failed")
	f.write(func(tx store.Tx) error { return tx.PutProperties(1, []byte("0")) })
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for range each {
				err := f.s.Write(f.Context(), func(tx store.Tx) error {
					b, err := tx.Properties(1)
					if err != nil {
						return err
					}
					n, err := strconv.Atoi(string(b))
					if err == nil {
						err = tx.PutProperties(1, []byte(strconv.Itoa(n+1)))
					}
					if err == nil && c%3 == 0 {
						err = failed
					}
					return err
				})
				if c%3 == 0 != errors.Is(err, failed) || c%3 != 0 && err != nil {
					f.Errorf("caller %d: %v", c, err)
				}
			}
		})
	}
	wg.Wait()
	f.in(func(tx store.Tx) { got(f, []byte(strconv.Itoa(each*(callers-(callers+2)/3))))(tx.Properties(1)) })
}

func subscribe(f *fixture) {
	var heard []store.Committed
	f.s.Subscribe(func(c store.Committed) { heard = append(heard, c) })
	f.write(everything)
	f.equal(heard, []store.Committed{{
		Effects: []store.Effect{effect(1, "launch/a")}, Wake: epoch, Runs: []int64{1}, Attempts: []store.AttemptKey{{Base: 1}},
	}})
	heard = nil
	f.write(func(tx store.Tx) error { return tx.PutProperties(1, []byte("{}")) })
	f.equal(heard, []store.Committed(nil)) // nothing is left to do
	f.write(func(tx store.Tx) error {
		return errors.Join(
			tx.UpdateRun(ended(run(1), 2), 1), tx.SetTimer(store.Timer{Kind: store.TimerRetry, Ref: "b", Due: epoch.Add(2 * time.Second)}),
			tx.SetTimer(store.Timer{Kind: store.TimerRetry, Ref: "a", Due: epoch.Add(time.Second)}),
			tx.AddEffect(effect(5, "launch/gone")), tx.AddEffect(effect(4, "launch/stays")), tx.DeleteEffect("launch/gone"),
		)
	})
	f.equal(heard, []store.Committed{{Effects: []store.Effect{effect(4, "launch/stays")}, Wake: epoch.Add(time.Second), Runs: []int64{1}}})
}

// subscribeOrder numbers effects in the order of their transactions.
func subscribeOrder(f *fixture) {
	var mu sync.Mutex
	heard := map[int64]bool{}
	next := int64(1)
	f.s.Subscribe(func(c store.Committed) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range c.Effects {
			if e.Seq != next {
				f.Errorf("heard of effect %d, want %d", e.Seq, next)
			}
			next++
			heard[e.Seq] = true
		}
	})
	var wg sync.WaitGroup
	for c := range 16 {
		wg.Go(func() {
			for range 8 {
				var seq int64
				failed := errors.New("failed")
				err := f.s.Write(f.Context(), func(tx store.Tx) error {
					all, err := tx.ListEffects(0, 1000)
					seq = int64(len(all) + 1)
					if err == nil {
						err = tx.AddEffect(effect(seq, fmt.Sprint("launch/", seq)))
					}
					if err == nil && c%4 == 0 {
						err = failed
					}
					return err
				})
				if c%4 == 0 {
					continue
				}
				mu.Lock()
				// Whoever knows that a change is made may rely on its being announced.
				if err != nil || !heard[seq] {
					f.Errorf("effect %d: %v, heard of: %t", seq, err, heard[seq])
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	f.equal(next, int64(1+12*8))
}

func endedContext(f *fixture) {
	ctx, cancel := context.WithCancelCause(f.Context())
	cause := errors.New("gone")
	cancel(cause)
	fn := func(store.Tx) error { f.Error("the function ran"); return nil }
	for _, err := range []error{f.s.Write(ctx, fn), f.s.Read(ctx, fn)} {
		f.is(err, store.ErrTimeout)
		f.is(err, cause)
	}
}

// queuedContext ends a caller's context while another one's function runs.
func queuedContext(f *fixture) {
	running, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := f.s.Write(f.Context(), func(tx store.Tx) error {
			close(running)
			<-release
			return tx.PutProperties(1, []byte("first"))
		})
		if err != nil {
			f.Error(err)
		}
	})
	<-running
	ctx, cancel := context.WithCancel(f.Context())
	wg.Go(cancel)
	err := f.s.Write(ctx, func(store.Tx) error { f.Error("the function ran"); return nil })
	f.is(err, store.ErrTimeout)
	f.is(err, context.Canceled)
	close(release)
	wg.Wait()
	f.write(func(tx store.Tx) error { got(f, []byte("first"))(tx.Properties(1)); return nil })
}

// takenContext ends a caller's context while its own function runs.
func takenContext(f *fixture) {
	ctx, cancel := context.WithCancel(f.Context())
	f.ok(f.s.Write(ctx, func(tx store.Tx) error {
		cancel()
		return everything(tx)
	}))
	f.in(func(tx store.Tx) { got(f, run(1))(tx.Run(1)) })
}

func closing(f *fixture) {
	f.write(everything)
	f.ok(f.s.Close())
	fn := func(store.Tx) error { f.Error("the function ran"); return nil }
	f.is(f.s.Write(f.Context(), fn), store.ErrClosed)
	f.is(f.s.Read(f.Context(), fn), store.ErrClosed)
	f.ok(f.s.Close()) // once more does no harm
}
