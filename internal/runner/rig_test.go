package runner

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"tenon/internal/jobrun"
	"tenon/internal/launch"
	"tenon/internal/launch/fake"
	"tenon/internal/orchestrate"
	"tenon/internal/store"
	"tenon/internal/store/memstore"
)

var scope = store.Scope{Account: "123456789012", Region: "us-east-1"}

var errDisk = errors.New("no space left on device")

// brittle is a store that can fail to commit.
type brittle struct {
	*memstore.Store
	broken atomic.Bool
	failed atomic.Int64
}

func (b *brittle) Write(ctx context.Context, fn func(store.Tx) error) error {
	return b.Store.Write(ctx, func(tx store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		if b.broken.Load() {
			b.failed.Add(1)
			return errDisk
		}
		return nil
	})
}

// rig is runners, one after another, on one store and one supervisor, in a
// bubble of virtual time.
type rig struct {
	t       *testing.T
	store   *brittle
	ids     *store.IDs
	sup     *fake.Supervisor
	orch    *orchestrate.Orchestrator
	runner  *Runner
	end     func()
	boot    string
	slots   int
	outcome func(job string) fake.Outcome
	// prepare, if set, takes part in preparations.
	prepare func(context.Context, launch.Spec) error
	started []string // jobs, in order of their processes

	mu        sync.Mutex
	discarded map[string]int // by attempt
}

func inRig(t *testing.T, run func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, store: &brittle{Store: memstore.New()}, boot: "boot", slots: 10, discarded: map[string]int{}}
		r.ids = store.NewIDs(time.Now, rand.Reader, 0)
		r.outcome = func(string) fake.Outcome { return fake.Outcome{After: 10 * time.Second} }
		r.sup = fake.New(time.Now, func(p launch.Process) fake.Outcome {
			job := path.Base(p.Argv[0])
			r.started = append(r.started, job)
			return r.outcome(job)
		})
		defer func() {
			if r.end != nil {
				r.end()
			}
		}()
		run(r)
	})
}

// run starts a runner.
func (r *rig) run() {
	r.orch = orchestrate.New(orchestrate.Config{
		Now: time.Now, IDs: r.ids, Boot: r.boot, RetryDelay: 30 * time.Second, QueueMaxWait: time.Hour,
	})
	r.runner = New(Config{
		Store: r.store, Orchestrator: r.orch, Supervisor: r.sup, Preparers: map[string]launch.Preparer{"pythonshell": r}, Slots: r.slots,
		Environment:    func(store.Attempt) (map[string]string, error) { return nil, nil },
		PrepareTimeout: time.Minute, Grace: 5 * time.Second, Boot: r.boot, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	runner := r.runner
	go func() { done <- runner.Run(ctx) }()
	r.end = func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("Run: %v", err)
		}
		r.end = nil
	}
	r.settle()
}

// Prepare and Discard are the preparer's.
func (r *rig) Prepare(ctx context.Context, s launch.Spec, _ func(string)) (launch.Process, error) {
	if r.prepare != nil {
		if err := r.prepare(ctx, s); err != nil {
			return launch.Process{}, err
		}
	}
	return launch.Process{Attempt: s.Attempt, Argv: []string{"/job/" + s.JobName}, Dir: "/"}, nil
}

func (r *rig) Discard(_ context.Context, attempt string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.discarded[attempt]++
	return nil
}

// job makes a job.
func (r *rig) job(name string, change ...func(*jobrun.Definition)) {
	r.t.Helper()
	d := jobrun.Definition{Name: name, Command: jobrun.Command{Name: "pythonshell"}, ExecutionProperty: &jobrun.ExecutionProperty{MaxConcurrentRuns: 99}}
	for _, c := range change {
		c(&d)
	}
	body, err := json.Marshal(d)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(func(tx store.Tx) error {
		return tx.InsertDocument(store.Document{Scope: scope, Kind: store.Jobs, Name: name, UID: r.ids.Next(), Version: r.ids.Next(), Created: time.Now(), Modified: time.Now(), Body: body})
	})
}

func (r *rig) write(fn func(store.Tx) error) {
	r.t.Helper()
	if err := r.store.Write(r.t.Context(), fn); err != nil {
		r.t.Fatal(err)
	}
}

// start starts a run of a job and returns its key.
func (r *rig) start(job string) store.AttemptKey {
	r.t.Helper()
	if r.orch == nil {
		r.t.Fatal("no runner yet")
	}
	var a store.Attempt
	r.write(func(tx store.Tx) (err error) {
		a, err = r.orch.StartJobRun(tx, scope, job, jobrun.Request{}, func(jobrun.Definition) error { return nil })
		return err
	})
	return a.Key
}

func (r *rig) stop(k store.AttemptKey) {
	r.t.Helper()
	r.write(func(tx store.Tx) error {
		a, err := tx.Attempt(k)
		if err != nil {
			return err
		}
		return r.orch.StopJobRun(tx, a)
	})
}

func (r *rig) attempt(k store.AttemptKey) (a store.Attempt) {
	r.t.Helper()
	err := r.store.Read(r.t.Context(), func(tx store.Tx) (err error) {
		a, err = tx.Attempt(k)
		return err
	})
	if err != nil {
		r.t.Fatalf("%v: %v", k, err)
	}
	return a
}

// want checks an attempt's state, and its message or detail if one is given.
func (r *rig) want(what string, k store.AttemptKey, state jobrun.State, text string) {
	r.t.Helper()
	a := r.attempt(k)
	if got := a.Run.ErrorMessage + a.Run.StateDetail; a.State != state || !strings.Contains(got, text) || text == "" && got != "" {
		r.t.Errorf("%s: it is %s: %s, want %s: %s", what, a.State, got, state, text)
	}
}

// idle checks that nothing is left to do and every slot is free.
func (r *rig) idle() {
	r.t.Helper()
	r.settle()
	err := r.store.Read(r.t.Context(), func(tx store.Tx) error {
		orders, err := tx.ListEffects(0, 100)
		if err == nil && len(orders) > 0 {
			err = fmt.Errorf("orders are left: %v", orders)
		}
		return err
	})
	if err != nil {
		r.t.Error(err)
	}
	q := r.runner.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.slots != r.slots || len(q.attempts) > 0 {
		r.t.Errorf("%d of %d slots are free, %d attempts have a place", q.slots, r.slots, len(q.attempts))
	}
	if facts, err := r.sup.List(r.t.Context()); err != nil || len(facts) > 0 {
		r.t.Errorf("the supervisor still has %v, %v", facts, err)
	}
}

func (r *rig) settle() {
	for {
		synctest.Wait()
		at, ok := r.sup.Next()
		if !ok || at.After(time.Now()) {
			return
		}
		r.sup.Tick()
	}
}

// advance lets time pass, a second at a time at most.
func (r *rig) advance(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		r.settle()
		next := time.Now().Add(time.Second)
		if at, ok := r.sup.Next(); ok && at.Before(next) {
			next = at
		}
		<-time.After(min(time.Until(next), time.Until(end)))
	}
	r.settle()
}
