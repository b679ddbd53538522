package orchestrate_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tenon/internal/flow"
	"tenon/internal/jobrun"
	"tenon/internal/orchestrate"
	"tenon/internal/store"
)

func (w *world) attempt(name string) store.Attempt {
	w.t.Helper()
	k := w.find(name)
	for _, a := range w.view().attempts {
		if a.Key == k {
			return a
		}
	}
	return store.Attempt{}
}

func (w *world) start(workflow string, properties map[string]string) (run store.Run) {
	w.t.Helper()
	w.must(w.write(w.startRun(workflow, properties, &run)))
	w.runs = append(w.runs, run.Seq)
	return run
}

// What an action gives its job run (spec/workflows §4.1, spec/jobs §2.4), and
// what the workflow run says of itself there.
func TestActionOfTrigger(t *testing.T) {
	w := newWorld(t, orchestrate.Config{})
	minutes := 60
	w.job(jobrun.Definition{Name: "A", Timeout: &minutes, ExecutionClass: "FLEX", DefaultArguments: map[string]string{"--d": "default"}})
	w.workflow("w", 0, nil, []flow.Trigger{{Name: "s", Type: flow.OnDemand, State: flow.Created, Actions: []flow.Action{
		{Job: "A", Arguments: map[string]string{"--a": "1"}, Timeout: 7, Notify: true, NotifyDelayAfter: 3, SecurityConfiguration: "sec"},
	}}})
	run := w.start("w", nil)
	a := w.attempt("A.1")
	if diff := cmp.Diff(map[string]string{"--a": "1"}, a.Run.Arguments); diff != "" {
		t.Errorf("arguments are those of the run alone (spec/jobs §3.1):\n%s", diff)
	}
	s := a.Run.Settings
	if s.Timeout != 7 || !s.Notify || s.NotifyDelayAfter != 3 || s.SecurityConfiguration != "sec" || s.ExecutionClass != "FLEX" {
		t.Errorf("settings %+v", s)
	}
	if a.Run.Workflow != "w" || a.Run.WorkflowRun != run.ID() || a.Run.TriggerName != "s" || len(a.Run.Predecessors) != 0 || a.Run.StartedOn != epoch || a.Boot != "boot" {
		t.Errorf("run %+v", a.Run)
	}
	effects := w.view().effects
	if len(effects) != 1 || !effects[0].Low || effects[0].Owner != run.Seq || effects[0].Attempt != a.Key {
		t.Errorf("orders %+v", effects)
	}

	// The job changes; the run keeps what it began with (spec/jobs §2.4, step 4).
	w.job(jobrun.Definition{Name: "A", DefaultArguments: map[string]string{"--d": "changed"}})
	w.read(func(tx store.Tx) error {
		d, err := w.o.Definition(tx, a.Definition)
		if err == nil && d.DefaultArguments["--d"] != "default" {
			t.Errorf("definition %+v", d)
		}
		return err
	})
}

// An action without settings leaves those of the job.
func TestActionLeavesSettings(t *testing.T) {
	w := newWorld(t, orchestrate.Config{})
	minutes, notify := 60, 9
	w.job(jobrun.Definition{Name: "A", Timeout: &minutes, SecurityConfiguration: "sec", NotificationProperty: &jobrun.NotificationProperty{NotifyDelayAfter: &notify}})
	w.workflow("w", 0, nil, parseTriggers(t, "s: on-demand -> A"))
	w.start("w", nil)
	if s := w.attempt("A.1").Run.Settings; s.Timeout != 60 || s.NotifyDelayAfter != 9 || s.SecurityConfiguration != "sec" {
		t.Errorf("settings %+v", s)
	}
}

// The id of a job run follows from its run, its trigger and its place among the
// actions (DESIGN §3); those started by hand differ all the same.
func TestIDsDiffer(t *testing.T) {
	w := newWorld(t, orchestrate.Config{})
	w.job(jobrun.Definition{Name: "A", ExecutionProperty: &jobrun.ExecutionProperty{MaxConcurrentRuns: 9}})
	w.workflow("w", 0, nil, parseTriggers(t, "s: on-demand -> A A"))
	w.start("w", nil)
	w.start("w", nil)
	w.must(w.write(w.startJob("A", jobrun.Request{})))
	seen := map[[24]byte]bool{}
	for _, a := range w.view().attempts {
		if seen[a.Rand] || a.Rand == [24]byte{} {
			t.Errorf("%s has the digits of another", a.ID())
		}
		seen[a.Rand] = true
		if k, r, err := store.ParseAttemptID(a.ID()); err != nil || k != a.Key || r != a.Rand {
			t.Errorf("%s: %+v, %v", a.ID(), k, err)
		}
	}
	if len(seen) != 5 {
		t.Errorf("%d job runs", len(seen))
	}
}

// When a process ran, and under what (spec/jobs §2.5).
func TestTimesOfAttempt(t *testing.T) {
	w := newWorld(t, orchestrate.Config{})
	w.job(jobrun.Definition{Name: "A"})
	w.must(w.write(w.startJob("A", jobrun.Request{})))
	k := w.find("A.1")
	began := epoch.Add(1500*time.Millisecond + 1)
	w.must(w.write(func(tx store.Tx) error { return w.o.AttemptDetail(tx, k, jobrun.MsgLocalSlot) }))
	if d := w.attempt("A.1").Run.StateDetail; d != jobrun.MsgLocalSlot {
		t.Errorf("detail %q", d)
	}
	w.must(w.write(func(tx store.Tx) error { return w.o.AttemptStarted(tx, k, began, "cgroup") }))
	if a := w.attempt("A.1"); a.State != jobrun.Running || a.Run.RunningOn != began.Truncate(time.Millisecond) || a.Run.InForce != "cgroup" || a.Run.StateDetail != "" {
		t.Errorf("%+v", a.Run)
	}
	// Heard again, with another time: the clock of a running attempt does not move.
	w.must(w.write(func(tx store.Tx) error { return w.o.AttemptStarted(tx, k, began.Add(time.Hour), "none") }))
	w.must(w.write(func(tx store.Tx) error { return w.o.AttemptDetail(tx, k, jobrun.MsgLocalSlot) }))
	w.must(w.write(func(tx store.Tx) error {
		return w.o.AttemptEnded(tx, k, jobrun.End{}, began.Add(time.Hour), began.Add(9*time.Second), "none")
	}))
	if a := w.attempt("A.1"); a.Run.RunningOn != began.Truncate(time.Millisecond) || a.Run.InForce != "cgroup" || a.Run.ExecutionTime() != 9 || a.Run.StateDetail != "" {
		t.Errorf("%+v", a.Run)
	}

	// The start was never heard of: it comes with the end.
	w.must(w.write(w.startJob("A", jobrun.Request{})))
	k2 := w.find("A.2")
	w.must(w.write(func(tx store.Tx) error {
		return w.o.AttemptEnded(tx, k2, jobrun.End{}, began, began.Add(3*time.Second), "rlimits")
	}))
	if a := w.attempt("A.2"); a.Run.ExecutionTime() != 3 || a.Run.InForce != "rlimits" {
		t.Errorf("%+v", a.Run)
	}

	// It never ran.
	w.must(w.write(w.startJob("A", jobrun.Request{})))
	k = w.find("A.3")
	w.must(w.write(func(tx store.Tx) error {
		return w.o.AttemptEnded(tx, k, jobrun.End{Cause: jobrun.Refused, Reason: "no script"}, time.Time{}, began, "")
	}))
	if a := w.attempt("A.3"); a.State != jobrun.Failed || !a.Run.RunningOn.IsZero() || a.Run.ExecutionTime() != 0 || a.Run.ErrorMessage != "no script" {
		t.Errorf("%+v", a.Run)
	}
}

// A retry has the arguments, sizing and links of the first attempt, and its own
// times (spec/jobs §2.7).
func TestRetryCopies(t *testing.T) {
	w := newWorld(t, orchestrate.Config{RetryDelay: time.Minute})
	w.job(jobrun.Definition{Name: "A", MaxRetries: 1})
	w.workflow("w", 0, nil, []flow.Trigger{{Name: "s", Type: flow.OnDemand, State: flow.Created, Actions: []flow.Action{{Job: "A", Arguments: map[string]string{"--a": "1"}, Timeout: 7}}}})
	w.start("w", nil)
	w.must(w.write(w.started(w.find("A.1"))))
	w.must(w.write(w.ended(w.find("A.1"), jobrun.End{ExitCode: 1})))
	w.job(jobrun.Definition{Name: "A", MaxRetries: 5, Role: "changed"})
	w.now = w.now.Add(time.Minute)
	var found bool
	w.must(w.write(w.due(&found)))
	before, after := w.attempt("A.1"), w.attempt("A.1+1")
	want := before.Run
	want.State, want.Attempt, want.PreviousRun = jobrun.Starting, 1, before.ID()
	want.StartedOn, want.ModifiedOn, want.RunningOn, want.CompletedOn = w.now, w.now, time.Time{}, time.Time{}
	want.ErrorMessage, want.InForce = "", ""
	if diff := cmp.Diff(want, after.Run); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if after.Definition != before.Definition || after.RunSeq != before.RunSeq || after.Node != before.Node || after.Rand != before.Rand || after.ID() != before.ID()+"_attempt_1" {
		t.Errorf("%+v follows %+v", after, before)
	}
}

// StartJobRun with JobRunId: the arguments of that run, overlaid by those of the
// call (spec/jobs §2.7); MaxRetries of the job do not number it.
func TestRetryByHand(t *testing.T) {
	w := newWorld(t, orchestrate.Config{})
	w.job(jobrun.Definition{Name: "A"})
	given := map[string]string{"--a": "1", "--b": "1"}
	w.must(w.write(w.startJob("A", jobrun.Request{Arguments: maps.Clone(given)})))
	w.must(w.write(w.ended(w.find("A.1"), jobrun.End{ExitCode: 1})))
	w.must(w.write(w.retryJob(w.find("A.1"), jobrun.Request{Arguments: map[string]string{"--b": "2"}})))
	again := w.attempt("A.1+1")
	if diff := cmp.Diff(map[string]string{"--a": "1", "--b": "2"}, again.Run.Arguments); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(given, w.attempt("A.1").Run.Arguments); diff != "" {
		t.Errorf("the first attempt changed:\n%s", diff)
	}
	if again.Run.PreviousRun != w.attempt("A.1").ID() || again.Run.Attempt != 1 {
		t.Errorf("%+v", again.Run)
	}
}

// What the caller's check refuses is not written.
func TestCheckOfCaller(t *testing.T) {
	w := newWorld(t, orchestrate.Config{})
	w.job(jobrun.Definition{Name: "A", Role: "r"})
	wrong := errors.New("wrong size")
	err := w.write(func(tx store.Tx) error {
		_, err := w.o.StartJobRun(tx, w.scope, "A", jobrun.Request{}, func(d jobrun.Definition) error {
			if d.Role != "r" {
				t.Errorf("checked %+v", d)
			}
			return wrong
		})
		return err
	})
	if !errors.Is(err, wrong) || len(w.view().attempts) > 0 {
		t.Errorf("%v, %v", err, w.view().attempts)
	}
}

// Properties of a run: the workflow's defaults overlaid by those of the call
// (spec/workflows §5.6), within the quota.
func TestProperties(t *testing.T) {
	w := newWorld(t, orchestrate.Config{Quotas: map[orchestrate.Quota]int{orchestrate.RunProperties: 10}})
	w.workflow("w", 0, map[string]string{"a": "1", "b": "1"}, parseTriggers(t, "s: on-demand -> A"))
	get := func(seq int64) (p map[string]string) {
		w.read(func(tx store.Tx) (err error) { p, err = w.o.Properties(tx, seq); return err })
		return p
	}
	run := w.start("w", map[string]string{"b": "2", "c": ""})
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "2", "c": ""}, get(run.Seq)); diff != "" {
		t.Error(diff)
	}
	if again := w.start("w", nil); len(get(again.Seq)) != 2 {
		t.Errorf("the defaults changed: %v", get(again.Seq))
	}
	if p := get(12345); p == nil || len(p) > 0 {
		t.Errorf("properties of no run: %v", p)
	}
	before := len(w.view().runs)
	var refused store.Run
	err := w.write(w.startRun("w", map[string]string{"c": strings.Repeat("x", 6)}, &refused))
	var quota *orchestrate.QuotaError
	if !errors.As(err, &quota) || quota.Quota != orchestrate.RunProperties || quota.Limit != 10 {
		t.Errorf("11 bytes: %v", err)
	}
	if got := len(w.view().runs); got != before {
		t.Errorf("%d runs, had %d", got, before)
	}
	w.must(w.write(func(tx store.Tx) error {
		return w.o.PutProperties(tx, run.Seq, map[string]string{"c": strings.Repeat("x", 9)})
	}))
}

// A row written by a newer release is refused, not misread.
func TestUnknownEncoding(t *testing.T) {
	w := newWorld(t, orchestrate.Config{})
	w.job(jobrun.Definition{Name: "A"})
	w.workflow("w", 0, nil, parseTriggers(t, "s: on-demand -> A"))
	run := w.start("w", nil)
	for _, body := range []string{`{"v":2,"n":[{},{}]}`, `{"v":1,"n":[{}]}`, `{"v":1`} {
		w.must(w.write(func(tx store.Tx) error { return tx.PutPart(run.Seq, 0, []byte(body)) }))
		if err := w.write(w.ended(w.find("A.1"), jobrun.End{})); err == nil {
			t.Errorf("%s was read", body)
		}
	}
}

// Every quota that an operator can set is listed once, and limits nothing unless set.
func TestQuotas(t *testing.T) {
	w := newWorld(t, orchestrate.Config{Quotas: map[orchestrate.Quota]int{orchestrate.Workflows: 2, orchestrate.Triggers: 0}})
	if len(orchestrate.Quotas()) != 6 {
		t.Errorf("%v", orchestrate.Quotas())
	}
	for _, q := range orchestrate.Quotas() {
		for _, n := range []int{0, 1, 2, 3} {
			err := w.o.CheckQuota(q, func(int) (int, error) { return n, nil })
			if refused := q == orchestrate.Workflows && n >= 2; (err != nil) != refused {
				t.Errorf("%s at %d: %v", q, n, err)
			}
		}
	}
	broken := errors.New("disk is gone")
	if err := w.o.CheckQuota(orchestrate.Workflows, func(int) (int, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}
