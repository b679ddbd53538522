package orchestrate_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tenon/internal/engine"
	"tenon/internal/flow"
	"tenon/internal/jobrun"
	"tenon/internal/orchestrate"
	"tenon/internal/store"
)

// The definitions that the machine plays with: a queue, retries, limits, a job
// started by two triggers, a cycle, a job that is missing, standalone triggers.
var (
	machineJobs = []jobrun.Definition{
		{Name: "A", ExecutionProperty: &jobrun.ExecutionProperty{MaxConcurrentRuns: 2}, JobRunQueuingEnabled: yes(), MaxRetries: 1},
		{Name: "B", MaxRetries: 2},
		{Name: "C", ExecutionProperty: &jobrun.ExecutionProperty{MaxConcurrentRuns: 3}},
		{Name: "D", JobRunQueuingEnabled: yes()},
	}
	machineWorkflows = map[string]string{
		"wide":  "w0: on-demand -> A B C D\nw1: all A=SUCCEEDED B=SUCCEEDED -> C\nw2: any A=FAILED B=FAILED C=STOPPED D=TIMEOUT -> D missing",
		"cycle": "c0: on-demand -> A\nc1: any A=SUCCEEDED A=FAILED -> D D\nc2: any D=SUCCEEDED D=FAILED D=STOPPED -> A crawl:x",
	}
	machineChains = "root: on-demand -> A D\nnext: any A=SUCCEEDED D=FAILED -> C A2\nlast: all C=SUCCEEDED A=SUCCEEDED -> B"
)

func yes() *bool { b := true; return &b }

// machine is a world in which anything may happen at any time.
type machine struct {
	*world
	rt     *rapid.T
	config orchestrate.Config
	last   view
	heard  []store.Timer // every timer there ever was
}

// Whatever is asked and whatever is heard, in any order, with commits that fail
// and a server that starts again in between: the rows stay consistent after each
// step, and once nothing new is asked, everything ends.
func TestMachine(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		delay := rapid.SampledFrom([]time.Duration{0, jobrun.RetryDelay}).Draw(rt, "retry delay")
		m := &machine{rt: rt, config: orchestrate.Config{RetryDelay: delay, QueueMaxWait: time.Hour, Quotas: map[orchestrate.Quota]int{orchestrate.ActiveJobRuns: 9}}}
		m.world = newWorld(rt, m.config)
		for _, d := range machineJobs {
			m.job(d)
		}
		for _, name := range []string{"wide", "cycle"} {
			m.workflow(name, 4, nil, parseTriggers(rt, machineWorkflows[name]))
		}
		m.workflow("", 0, nil, parseTriggers(rt, machineChains))
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			m.step()
			m.check()
		}
		m.drain()
	})
}

// step draws an operation, lets it fail at its end now and then, and does it.
func (m *machine) step() {
	op, may := m.draw()
	if op == nil {
		return
	}
	if rapid.IntRange(0, 2).Draw(m.rt, "fails first") == 0 {
		m.fail(op)
	}
	if err := m.write(op); err != nil && !slices.ContainsFunc(may, func(e error) bool { return errors.Is(err, e) }) {
		var quota *orchestrate.QuotaError
		if !errors.As(err, &quota) {
			m.t.Fatalf("operation failed: %v", err)
		}
	}
}

// fail does an operation whose transaction breaks: at one of its calls, or at its
// commit. The error is told, and nothing of it is left.
func (m *machine) fail(op operation) {
	before := m.everything()
	left := rapid.IntRange(0, 40).Draw(m.rt, "calls before")
	err := m.write(func(tx store.Tx) error {
		faulty := &faultyTx{Tx: tx, left: left}
		err := op(faulty)
		if faulty.fired && !errors.Is(err, errDisk) {
			m.t.Fatalf("the store failed, and the operation said %v", err)
		}
		if err == nil {
			err = errDisk
		}
		return err
	})
	if err == nil {
		m.t.Fatalf("what failed was committed")
	}
	if diff := cmp.Diff(before, m.everything()); diff != "" {
		m.t.Fatalf("what failed left something:\n%s", diff)
	}
}

// everything is the whole of a view with its versions, as text.
func (m *machine) everything() []string {
	v := m.view()
	var out []string
	for _, r := range v.runs {
		_, nodes := m.nodes(r)
		out = append(out, fmt.Sprintf("%+v %+v", r, nodes))
	}
	for _, a := range v.attempts {
		out = append(out, fmt.Sprintf("%+v", a))
	}
	return append(out, fmt.Sprintf("%+v %+v", v.effects, v.timers))
}

func (m *machine) draw() (op operation, may []error) {
	v := m.view()
	job := func() string { return rapid.SampledFrom([]string{"A", "B", "C", "D"}).Draw(m.rt, "job") }
	attempt := func() store.AttemptKey {
		live := slices.DeleteFunc(slices.Clone(v.attempts), func(a store.Attempt) bool { return a.State.Terminal() && !a.Holds })
		if len(live) == 0 || rapid.IntRange(0, 9).Draw(m.rt, "stale") == 0 {
			live = v.attempts
		}
		return rapid.SampledFrom(live).Draw(m.rt, "attempt").Key
	}
	kind := rapid.IntRange(0, 22).Draw(m.rt, "operation")
	if kind >= 7 && kind <= 17 && len(v.attempts) == 0 {
		kind = 0
	}
	switch kind {
	case 0, 1, 2:
		name := rapid.SampledFrom([]string{"wide", "cycle"}).Draw(m.rt, "workflow")
		var run store.Run
		return m.startRun(name, nil, &run), []error{orchestrate.ErrConcurrentRuns, store.ErrNotFound}
	case 3:
		var refused error
		return m.fire("root", &refused), nil
	case 4, 5:
		return m.startJob(job(), jobrun.Request{}), []error{orchestrate.ErrConcurrentJob, orchestrate.ErrNoJob}
	case 6:
		name := job()
		if rapid.IntRange(0, 2).Draw(m.rt, "delete") == 0 {
			if err := m.deleteJob(name); err != nil && !errors.Is(err, store.ErrNotFound) {
				m.t.Fatalf("delete job: %v", err)
			}
		} else {
			m.job(machineJobs[strings.Index("ABCD", name)])
		}
		return nil, nil
	case 7, 8:
		return m.started(attempt()), nil
	case 9, 10, 11, 12, 13:
		return m.ended(attempt(), m.drawEnd()), nil
	case 14:
		return m.stopJob(attempt()), []error{orchestrate.ErrNotStoppable}
	case 15:
		return m.retryJob(attempt(), jobrun.Request{}), []error{orchestrate.ErrNotStoppable, orchestrate.ErrConcurrentJob, orchestrate.ErrNoJob}
	case 16:
		k := attempt()
		return func(tx store.Tx) error { return m.o.AttemptDetail(tx, k, jobrun.MsgLocalSlot) }, nil
	case 17:
		if len(m.runs) == 0 {
			return nil, nil
		}
		return m.stopRun(rapid.SampledFrom(m.runs).Draw(m.rt, "run")), []error{orchestrate.ErrRunState}
	case 18:
		// A new server on the same rows: nothing was kept in memory alone.
		m.config.Now, m.config.IDs, m.config.Boot = m.o.Now, m.o.IDs, m.o.Boot
		m.o = orchestrate.New(m.config)
		return nil, nil
	case 19:
		if rapid.IntRange(0, 5).Draw(m.rt, "delete") == 0 {
			if err := m.deleteWorkflow("cycle"); err != nil && !errors.Is(err, store.ErrNotFound) {
				m.t.Fatalf("delete workflow: %v", err)
			}
		}
		return nil, nil
	}
	if kind == 20 && len(m.heard) > 0 {
		// A timer that the dispatcher read before somebody else removed it.
		t := rapid.SampledFrom(m.heard).Draw(m.rt, "timer")
		if !slices.ContainsFunc(v.timers, func(x store.Timer) bool { return x.Key() == t.Key() }) {
			return func(tx store.Tx) error { return m.o.TimerDue(tx, t) }, nil
		}
	}
	m.now = m.now.Add(rapid.SampledFrom([]time.Duration{time.Second, 30 * time.Second, time.Hour}).Draw(m.rt, "later"))
	var found bool
	return m.due(&found), nil
}

func (m *machine) drawEnd() jobrun.End {
	return rapid.SampledFrom([]jobrun.End{
		{Cause: jobrun.ByItself}, {Cause: jobrun.ByItself}, {Cause: jobrun.ByItself, ExitCode: 1}, {Cause: jobrun.ByTimeout, Signal: 15},
		{Cause: jobrun.ByStop, Signal: 15}, {Cause: jobrun.Refused, Reason: "no"}, {Cause: jobrun.Lost, Reason: "gone"},
	}).Draw(m.rt, "end")
}

// drain asks nothing more and lets everything end.
func (m *machine) drain() {
	for steps := 0; ; steps++ {
		if steps > 2000 {
			m.t.Fatalf("it does not drain: %v", m.lines(m.view()))
		}
		v := m.view()
		i := slices.IndexFunc(v.attempts, func(a store.Attempt) bool {
			return a.State == jobrun.Starting || a.State == jobrun.Running || a.State == jobrun.Stopping
		})
		switch {
		case i >= 0:
			m.must(m.write(m.ended(v.attempts[i].Key, m.drawEnd())))
		case len(v.timers) > 0:
			m.now = v.timers[0].Due
			var found bool
			m.must(m.write(m.due(&found)))
		default:
			for _, r := range v.runs {
				if !r.Head.Status.Terminal() {
					m.t.Fatalf("run %d is left %s", m.runNumber(r.Seq), r.Head.Status)
				}
			}
			if len(v.effects) > 0 {
				m.t.Fatalf("orders are left: %+v", v.effects)
			}
			return
		}
		m.check()
	}
}

// check holds the invariants of spec/faults §4.2 on the rows.
func (m *machine) check() {
	v := m.view()
	m.checkAttempts(v)
	m.checkSlots(v)
	m.checkOutbox(v)
	for _, r := range v.runs {
		m.checkRun(v, r)
	}
	m.checkOrder(v)
	m.last = v
}

// checkAttempts: every live row has an owner or a wake-up (16), retries are
// numbered without gaps and bounded (26), what has ended stays as it is (5).
func (m *machine) checkAttempts(v view) {
	timers := map[string]bool{}
	for _, t := range v.timers {
		timers[t.Key()] = true
		if !slices.ContainsFunc(m.heard, func(x store.Timer) bool { return x.Key() == t.Key() }) {
			m.heard = append(m.heard, t)
		}
	}
	seen := map[store.AttemptKey]store.Attempt{}
	for _, a := range v.attempts {
		seen[a.Key] = a
	}
	for _, a := range v.attempts {
		live := a.State == jobrun.Starting || a.State == jobrun.Running || a.State == jobrun.Stopping
		retrying := timers[store.Timer{Kind: store.TimerRetry, Ref: a.ID()}.Key()]
		if a.Holds != (live || retrying) || retrying && a.State != jobrun.Failed {
			m.t.Fatalf("%s is %s, holds a slot: %v, retry is due: %v", m.name(a.Key), a.State, a.Holds, retrying)
		}
		if queued := timers[store.Timer{Kind: store.TimerQueue, Ref: a.ID()}.Key()]; queued != a.Waiting() {
			m.t.Fatalf("%s is %s, queue timer: %v", m.name(a.Key), a.State, queued)
		}
		if a.State.Terminal() == a.Run.CompletedOn.IsZero() {
			m.t.Fatalf("%s is %s, completed at %v", m.name(a.Key), a.State, a.Run.CompletedOn)
		}
		if a.Key.N > 0 {
			if before, ok := seen[store.AttemptKey{Base: a.Key.Base, N: a.Key.N - 1}]; !ok || !before.State.Terminal() || before.Holds {
				m.t.Fatalf("%s follows %+v", m.name(a.Key), before)
			}
		}
		if a.RunSeq != 0 && a.Key.N > a.Run.Settings.MaxRetries {
			m.t.Fatalf("%s is one retry too many", m.name(a.Key))
		}
	}
	for _, a := range m.last.attempts {
		now := seen[a.Key]
		if a.State.Terminal() && (now.State != a.State || now.Run.CompletedOn != a.Run.CompletedOn || now.Run.ErrorMessage != a.Run.ErrorMessage) {
			m.t.Fatalf("%s was %s and is %s", m.name(a.Key), a.State, now.State)
		}
	}
}

// checkSlots: a job never has more holders than slots, at any commit (25), and
// nobody waits while a slot is free (16).
func (m *machine) checkSlots(v view) {
	slots := map[string]int{}
	for _, d := range machineJobs {
		slots[d.Name] = d.Slots()
	}
	holding, waiting := map[int64]int{}, map[int64]int{}
	names := map[int64]string{}
	for _, a := range v.attempts {
		names[a.Job] = a.Run.JobName
		if a.Holds {
			holding[a.Job]++
		}
		if a.Waiting() {
			waiting[a.Job]++
		}
	}
	for uid, name := range names {
		if holding[uid] > slots[name] {
			m.t.Fatalf("%d runs of %s hold %d slots", holding[uid], name, slots[name])
		}
		if waiting[uid] > 0 && holding[uid] < slots[name] {
			m.t.Fatalf("%d runs of %s wait while only %d of %d slots are taken", waiting[uid], name, holding[uid], slots[name])
		}
	}
}

// checkOutbox: a launch belongs to an attempt that is not known to run yet, a
// stop to one that is stopping, and the other way round (P2, P3).
func (m *machine) checkOutbox(v view) {
	orders := map[store.AttemptKey][]store.EffectKind{}
	for _, e := range v.effects {
		orders[e.Attempt] = append(orders[e.Attempt], e.Kind)
	}
	for _, a := range v.attempts {
		launch := slices.Contains(orders[a.Key], store.EffectLaunch)
		stop := slices.Contains(orders[a.Key], store.EffectStop)
		unborn := (a.State == jobrun.Starting || a.State == jobrun.Stopping) && a.Run.RunningOn.IsZero()
		if launch != unborn || stop != (a.State == jobrun.Stopping) {
			m.t.Fatalf("%s is %s, running since %v, with orders %v", m.name(a.Key), a.State, a.Run.RunningOn, orders[a.Key])
		}
		delete(orders, a.Key)
	}
	if len(orders) > 0 {
		m.t.Fatalf("orders for attempts that do not exist: %v", orders)
	}
}

// checkRun: the run is over if and only if nothing is active (14), its
// statistics are those of its nodes (11), and its nodes are those of its attempts (12).
func (m *machine) checkRun(v view, r store.Run) {
	state, nodes := m.nodes(r)
	active, listed := 0, map[string]bool{}
	stats := engine.Statistics{}
	bySlot := map[engine.State]*int{engine.StateSucceeded: &stats.Succeeded, engine.StateFailed: &stats.Failed, engine.StateExpired: &stats.Failed, engine.StateTimeout: &stats.Timeout,
		engine.StateStopped: &stats.Stopped, engine.StateError: &stats.Errored, engine.StateActive: &stats.Running, engine.StateWaiting: &stats.Waiting}
	for n, node := range nodes {
		if state.Graph.Nodes[n].Type == flow.TriggerNode {
			continue
		}
		stats.Total++
		if shown := node.Shown(); shown != "" {
			*bySlot[shown]++
		}
		for _, x := range node.Runs {
			if state.Graph.Nodes[n].Type == flow.CrawlerNode {
				continue
			}
			if listed[x.ID] {
				m.t.Fatalf("%s is listed twice", x.ID)
			}
			listed[x.ID] = true
			if want := m.nodeState(v, x.ID); x.State != want {
				m.t.Fatalf("%s is %s for its run, but %s", x.ID, x.State, want)
			}
			if !x.State.Final() {
				active++
			}
		}
	}
	for _, a := range v.attempts {
		if a.RunSeq == r.Seq && a.Key.N == 0 && !listed[a.ID()] {
			m.t.Fatalf("%s is in no node of its run", m.name(a.Key))
		}
	}
	if r.Head.Status.Terminal() != (active == 0) || r.Head.Active != active || r.Completed.IsZero() != (active > 0) {
		m.t.Fatalf("run %d is %s, completed at %v, with %d active, in truth %d", m.runNumber(r.Seq), r.Head.Status, r.Completed, r.Head.Active, active)
	}
	if len(r.Head.Ready)+len(r.Head.Firing)+len(r.Head.Stops) > 0 {
		m.t.Fatalf("run %d was left with something to do: %+v", m.runNumber(r.Seq), r.Head)
	}
	if r.Head.Stats != stats {
		m.t.Fatalf("run %d: statistics %+v, counted %+v", m.runNumber(r.Seq), r.Head.Stats, stats)
	}
	i := slices.IndexFunc(m.last.runs, func(x store.Run) bool { return x.Seq == r.Seq })
	switch {
	case i < 0 || m.last.runs[i].Version != r.Version:
		m.checkCoding(r.Head, nodes)
	case !reflect.DeepEqual(m.last.runs[i], r):
		m.t.Fatalf("run %d changed and kept its version (22)", m.runNumber(r.Seq))
	}
	if i >= 0 && m.last.runs[i].Head.Status.Terminal() && m.last.runs[i].Version != r.Version {
		m.t.Fatalf("run %d was over and changed", m.runNumber(r.Seq))
	}
}

// nodeState is the state of a job run as its workflow run sees it: that of its
// latest attempt within the run, active while a retry is due.
func (m *machine) nodeState(v view, id string) engine.State {
	key, _, err := store.ParseAttemptID(id)
	m.must(err)
	var last store.Attempt
	for _, a := range v.attempts {
		if a.Key.Base == key.Base && a.RunSeq != 0 {
			last = a
		}
	}
	switch {
	case last.Waiting():
		return engine.StateWaiting
	case last.Holds:
		return engine.StateActive
	}
	return engine.State(last.State)
}

// checkCoding: a run is the same after it was written as JSON and read again.
func (m *machine) checkCoding(head engine.Head, nodes []engine.NodeState) {
	type run struct {
		Head  engine.Head
		Nodes []engine.NodeState
	}
	body, err := json.Marshal(run{head, nodes})
	m.must(err)
	var again run
	m.must(json.Unmarshal(body, &again))
	if !reflect.DeepEqual(run{head, nodes}, again) {
		m.t.Fatalf("JSON round trip of %s:\n%s", body, cmp.Diff(run{head, nodes}, again))
	}
}

// checkOrder: of those that waited before this step, whoever began did so before
// whoever still waits (18).
func (m *machine) checkOrder(v view) {
	now := map[store.AttemptKey]store.Attempt{}
	for _, a := range v.attempts {
		now[a.Key] = a
	}
	left := map[int64]bool{} // jobs with somebody who waits on
	for _, a := range m.last.attempts {
		if !a.Waiting() {
			continue
		}
		switch b := now[a.Key]; {
		case b.Waiting():
			left[a.Job] = true
		case b.Holds && left[a.Job]:
			m.t.Fatalf("%s overtook somebody in the queue", m.name(a.Key))
		}
	}
}
