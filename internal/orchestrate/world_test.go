package orchestrate_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"tenon/internal/engine"
	"tenon/internal/flow"
	"tenon/internal/jobrun"
	"tenon/internal/orchestrate"
	"tenon/internal/store"
	"tenon/internal/store/memstore"
)

// tb is what testing.T and rapid.T have in common.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

var epoch = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

// world is an Orchestrator on a store in memory, with a clock of its own. Job
// runs are named job.n in the order of their creation, retries job.n+k; runs are
// numbered.
type world struct {
	t     tb
	st    *memstore.Store
	o     *orchestrate.Orchestrator
	scope store.Scope
	now   time.Time
	jobs  map[int64]string // every job that ever was, by uid
	names map[int64]string // of job runs, by base
	count map[string]int   // job runs named so far, by job
	runs  []int64
}

func newWorld(t tb, c orchestrate.Config) *world {
	w := &world{
		t: t, st: memstore.New(), scope: store.Scope{Account: "123456789012", Region: "us-east-1"}, now: epoch,
		jobs: map[int64]string{0: ""}, names: map[int64]string{}, count: map[string]int{},
	}
	c.Now = func() time.Time { return w.now }
	c.IDs = store.NewIDs(c.Now, rand.NewChaCha8([32]byte{}), 0)
	c.Boot = "boot"
	w.o = orchestrate.New(c)
	return w
}

func (w *world) write(fn func(store.Tx) error) error {
	w.t.Helper()
	return w.st.Write(context.Background(), fn)
}

func (w *world) read(fn func(store.Tx) error) {
	w.t.Helper()
	if err := w.st.Read(context.Background(), fn); err != nil {
		w.t.Fatalf("read: %v", err)
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("unexpected: %v", err)
	}
}

// job creates a job or replaces its definition.
func (w *world) job(d jobrun.Definition) {
	w.t.Helper()
	if d.Command.Name == "" {
		d.Command.Name = jobrun.PythonShell
	}
	body, err := json.Marshal(d)
	w.must(err)
	w.must(w.write(func(tx store.Tx) error {
		old, err := tx.Document(w.scope, store.Jobs, d.Name)
		if err == nil {
			next := old
			next.Version, next.Body = w.o.IDs.Next(), body
			return tx.UpdateDocument(next, old.Version)
		}
		doc := store.Document{Scope: w.scope, Kind: store.Jobs, Name: d.Name, UID: w.o.IDs.Next(), Version: w.o.IDs.Next(), Created: w.now, Modified: w.now, Body: body}
		w.jobs[doc.UID] = d.Name
		return tx.InsertDocument(doc)
	}))
}

func (w *world) deleteJob(name string) error {
	return w.write(func(tx store.Tx) error {
		d, err := tx.Document(w.scope, store.Jobs, name)
		if err != nil {
			return err
		}
		return tx.DeleteDocument(d.UID, d.Version)
	})
}

// workflow creates a workflow; the empty name creates standalone triggers.
func (w *world) workflow(name string, most int, properties map[string]string, triggers []flow.Trigger) {
	w.t.Helper()
	w.must(w.write(func(tx store.Tx) error {
		if name != "" {
			row := store.Workflow{Scope: w.scope, Name: name, UID: w.o.IDs.Next(), Version: w.o.IDs.Next(), Created: w.now, Modified: w.now, DefaultRunProperties: properties}
			if most > 0 {
				row.MaxConcurrentRuns = &most
			}
			if err := tx.InsertWorkflow(row); err != nil {
				return err
			}
		}
		for _, t := range triggers {
			t.Workflow, t.UID = name, w.o.IDs.Next()
			if err := tx.InsertTrigger(store.Trigger{Scope: w.scope, UID: t.UID, Version: w.o.IDs.Next(), Created: w.now, Modified: w.now, Definition: t}); err != nil {
				return err
			}
		}
		return nil
	}))
}

func (w *world) deleteWorkflow(name string) error {
	return w.write(func(tx store.Tx) error {
		row, err := tx.Workflow(w.scope, name)
		if err != nil {
			return err
		}
		return tx.DeleteWorkflow(row.UID, row.Version)
	})
}

// Operations. Each returns a function of a transaction, so that a caller may have
// it fail after all.

type operation func(store.Tx) error

func (w *world) startRun(name string, properties map[string]string, run *store.Run) operation {
	return func(tx store.Tx) error {
		row, err := tx.Workflow(w.scope, name)
		if err != nil {
			return err
		}
		*run, err = w.o.StartRun(tx, row, properties)
		return err
	}
}

func (w *world) fire(trigger string, refused *error) operation {
	return func(tx store.Tx) error {
		row, err := tx.Trigger(w.scope, trigger)
		if err != nil {
			return err
		}
		_, *refused, err = w.o.FireTrigger(tx, row)
		return err
	}
}

func (w *world) stopRun(seq int64) operation {
	return func(tx store.Tx) error {
		row, err := tx.Run(seq)
		if err != nil {
			return err
		}
		return w.o.StopRun(tx, row)
	}
}

func (w *world) startJob(job string, q jobrun.Request) operation {
	return func(tx store.Tx) error {
		_, err := w.o.StartJobRun(tx, w.scope, job, q, func(jobrun.Definition) error { return nil })
		return err
	}
}

func (w *world) retryJob(k store.AttemptKey, q jobrun.Request) operation {
	return func(tx store.Tx) error {
		a, err := tx.Attempt(k)
		if err != nil {
			return err
		}
		_, err = w.o.RetryJobRun(tx, a, q, func(jobrun.Definition) error { return nil })
		return err
	}
}

func (w *world) stopJob(k store.AttemptKey) operation {
	return func(tx store.Tx) error {
		a, err := tx.Attempt(k)
		if err != nil {
			return err
		}
		return w.o.StopJobRun(tx, a)
	}
}

func (w *world) started(k store.AttemptKey) operation {
	return func(tx store.Tx) error { return w.o.AttemptStarted(tx, k, w.now, "cgroup") }
}

func (w *world) ended(k store.AttemptKey, e jobrun.End) operation {
	return func(tx store.Tx) error { return w.o.AttemptEnded(tx, k, e, w.now, w.now, "cgroup") }
}

// due does one timer that is due; false if there is none.
func (w *world) due(found *bool) operation {
	return func(tx store.Tx) error {
		timers, err := tx.DueTimers(w.now, 1)
		if *found = len(timers) > 0; err != nil || !*found {
			return err
		}
		return w.o.TimerDue(tx, timers[0])
	}
}

// view is everything that is stored and concerns runs, read at once.
type view struct {
	runs     []store.Run
	attempts []store.Attempt // by sequence
	effects  []store.Effect
	timers   []store.Timer
}

func (w *world) view() (v view) {
	w.t.Helper()
	w.read(func(tx store.Tx) error {
		for _, uid := range slices.Sorted(maps.Keys(w.jobs)) {
			all, err := tx.ListJobAttempts(uid, 0, 1_000_000)
			if err != nil {
				return err
			}
			v.attempts = append(v.attempts, all...)
		}
		slices.SortFunc(v.attempts, func(a, b store.Attempt) int { return int(a.Seq - b.Seq) })
		var err error
		if v.effects, err = tx.ListEffects(0, 1_000_000); err != nil {
			return err
		}
		if v.timers, err = tx.DueTimers(w.now.AddDate(10, 0, 0), 1_000_000); err != nil {
			return err
		}
		for _, a := range v.attempts {
			if _, known := w.names[a.Key.Base]; !known {
				w.count[a.Run.JobName]++
				w.names[a.Key.Base] = fmt.Sprintf("%s.%d", a.Run.JobName, w.count[a.Run.JobName])
			}
			if a.RunSeq != 0 && !slices.Contains(w.runs, a.RunSeq) {
				w.runs = append(w.runs, a.RunSeq)
			}
		}
		active, err := tx.ListActiveRuns(0, 1_000_000)
		if err != nil {
			return err
		}
		for _, r := range active {
			if !slices.Contains(w.runs, r.Seq) {
				w.runs = append(w.runs, r.Seq)
			}
		}
		slices.Sort(w.runs)
		for _, seq := range w.runs {
			r, err := tx.Run(seq)
			if err != nil {
				return err
			}
			v.runs = append(v.runs, r)
		}
		return nil
	})
	return v
}

func (w *world) name(k store.AttemptKey) string {
	if k.N == 0 {
		return w.names[k.Base]
	}
	return fmt.Sprintf("%s+%d", w.names[k.Base], k.N)
}

func (w *world) runNumber(seq int64) int { return slices.Index(w.runs, seq) + 1 }

func (w *world) find(name string) store.AttemptKey {
	w.t.Helper()
	for _, a := range w.view().attempts {
		if w.name(a.Key) == name {
			return a.Key
		}
	}
	w.t.Fatalf("there is no job run %s", name)
	return store.AttemptKey{}
}

// lines describes a view, one thing a line.
func (w *world) lines(v view) map[string]string {
	out := map[string]string{}
	for _, r := range v.runs {
		s := r.Head.Stats
		text := fmt.Sprintf("%s %s: %d total", r.Kind, r.Head.Status, s.Total)
		for _, n := range []struct {
			name  string
			count int
		}{{"succeeded", s.Succeeded}, {"failed", s.Failed}, {"timeout", s.Timeout}, {"stopped", s.Stopped}, {"errored", s.Errored}, {"running", s.Running}, {"waiting", s.Waiting}} {
			if n.count > 0 {
				text += fmt.Sprintf(", %d %s", n.count, n.name)
			}
		}
		if !r.Completed.IsZero() {
			text += ", over at " + r.Completed.Format("15:04:05")
		}
		out[fmt.Sprintf("1 run %d", w.runNumber(r.Seq))] = text
	}
	for _, a := range v.attempts {
		text := string(a.State)
		if a.Holds {
			text += ", holds a slot"
		}
		if a.RunSeq != 0 {
			text += fmt.Sprintf(", of run %d", w.runNumber(a.RunSeq))
		}
		if a.Run.TriggerName != "" {
			text += ", by " + a.Run.TriggerName
		}
		for _, p := range a.Run.Predecessors {
			k, _, err := store.ParseAttemptID(p.RunID)
			w.must(err)
			text += fmt.Sprintf(", after %s", w.name(k))
		}
		if a.Run.ErrorMessage != "" {
			text += ", error " + a.Run.ErrorMessage
		}
		if a.Run.StateDetail != "" {
			text += ", detail " + a.Run.StateDetail
		}
		out["2 "+w.name(a.Key)] = text
	}
	for _, e := range v.effects {
		low := ""
		if e.Low {
			low = " (low)"
		}
		out[fmt.Sprintf("3 order to %s %s", e.Kind, w.name(e.Attempt))] = "written" + low
	}
	for _, t := range v.timers {
		k, _, err := store.ParseAttemptID(t.Ref)
		w.must(err)
		out[fmt.Sprintf("4 timer %s of %s", t.Kind, w.name(k))] = "due at " + t.Due.Format("02 15:04:05")
	}
	return out
}

// parseTriggers reads one trigger a line, as in "t: any A=FAILED B=STOPPED -> C"
// or "s: on-demand -> A crawl:c"; "off" before the predicate deactivates it.
func parseTriggers(t tb, text string) (triggers []flow.Trigger) {
	t.Helper()
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		head, tail, ok := strings.Cut(rest, "->")
		words := strings.Fields(head)
		if !ok || len(words) == 0 {
			t.Fatalf("%q is no trigger", line)
		}
		tr := flow.Trigger{Name: strings.TrimSpace(name), Type: flow.Conditional, State: flow.Activated}
		if words[0] == "off" {
			tr.State, words = flow.Deactivated, words[1:]
		}
		if words[0] == "on-demand" {
			tr.Type, tr.State = flow.OnDemand, flow.Created
		} else {
			tr.Predicate = &flow.Predicate{Logical: map[string]flow.Logical{"all": flow.And, "any": flow.Any}[words[0]]}
			for _, word := range words[1:] {
				job, state, _ := strings.Cut(word, "=")
				tr.Predicate.Conditions = append(tr.Predicate.Conditions, flow.Condition{Operator: "EQUALS", Job: job, State: state})
			}
		}
		for _, word := range strings.Fields(tail) {
			if c, ok := strings.CutPrefix(word, "crawl:"); ok {
				tr.Actions = append(tr.Actions, flow.Action{Crawler: c})
			} else {
				tr.Actions = append(tr.Actions, flow.Action{Job: word})
			}
		}
		triggers = append(triggers, tr)
	}
	return triggers
}

// nodes returns the engine's view of a run's nodes.
func (w *world) nodes(r store.Run) (state engine.Run, nodes []engine.NodeState) {
	w.t.Helper()
	w.read(func(tx store.Tx) error {
		var err error
		if state, err = w.o.Load(tx, r); err != nil {
			return err
		}
		for n := range state.Graph.Nodes {
			s, err := state.Node(n)
			if err != nil {
				return err
			}
			nodes = append(nodes, *s)
		}
		return nil
	})
	return state, nodes
}
