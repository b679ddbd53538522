package sqlstore

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenon/internal/engine"
	"tenon/internal/flow"
	"tenon/internal/jobrun"
	"tenon/internal/store"
)

var update = flag.Bool("update", false, "write the database of this release into testdata")

// goldenFile is a database that the first release wrote. Later releases get files
// of their own beside it; none is ever replaced once it was released.
const goldenFile = "testdata/v1.db.gz"

func ref[T any](v T) *T { return &v }

var (
	goldenWorkflow = store.Workflow{
		Scope: benchScope, Name: "wf", UID: 1, Version: 2, Created: clock(), Modified: clock().AddDate(0, 0, 1), Description: ref("text"),
		DefaultRunProperties: map[string]string{"k": "v", "a": "b"}, MaxConcurrentRuns: ref(3), Tags: map[string]string{"t": "u"},
	}
	goldenTrigger = store.Trigger{
		Scope: benchScope, UID: 3, Version: 4, Created: clock(), Modified: clock(), Tags: map[string]string{"t": "u"},
		Definition: flow.Trigger{
			UID: 3, Name: "t", Workflow: "wf", Type: flow.Conditional, State: flow.Activated, Description: ref("text"), Schedule: ref("cron(0 1 * * ? *)"),
			Actions: []flow.Action{
				{Job: "j", Arguments: map[string]string{"--a": "b"}, Timeout: 5, Notify: true, NotifyDelayAfter: 6, SecurityConfiguration: "sec"}, {Crawler: "c"},
			},
			Predicate: &flow.Predicate{Logical: flow.Any, Conditions: []flow.Condition{{Operator: "EQUALS", Job: "i", State: "SUCCEEDED"}}},
		},
	}
	goldenDocument = store.Document{
		Scope: benchScope, Kind: store.Jobs, Name: "j", UID: 5, Version: 6, Created: clock(), Modified: clock(), Body: []byte(`{"Name":"j"}`), Tags: map[string]string{"t": "u"},
	}
	goldenRun = store.Run{
		Seq: 7, Rand: [24]byte{1, 2, 3}, Version: 8, Scope: benchScope, Kind: engine.WorkflowRun, Workflow: 1, WorkflowName: "wf",
		Head: engine.Head{
			Status: engine.Stopping, Active: 1, Stats: engine.Statistics{Total: 8, Succeeded: 1, Failed: 1, Timeout: 1, Stopped: 1, Errored: 1, Running: 1, Waiting: 2},
			Ready:  []engine.Ready{{Trigger: 1, Because: []engine.Predecessor{{Type: flow.JobNode, Name: "j", ID: "jr_1"}}}},
			Firing: []engine.Firing{{Trigger: 2, Next: 1}}, Stops: []engine.Ref{{Node: 1, ID: "jr_2"}},
		},
		Started: clock(), Completed: clock(), Previous: "wr_0", ErrorMessage: "text", Snapshot: store.Hash{9},
	}
	goldenAttempt = store.Attempt{
		Key: store.AttemptKey{Base: 9, N: 1}, Rand: [24]byte{4, 5, 6}, Seq: 10, Version: 11, Scope: benchScope, Job: 5, State: jobrun.Stopping, Holds: true,
		RunSeq: 7, Node: 3, Boot: "boot", Definition: store.Hash{8},
		Run: jobrun.Run{
			JobName: "j", State: jobrun.Stopping, Attempt: 1, StartedOn: clock(), RunningOn: clock(), ModifiedOn: clock(), CompletedOn: clock(),
			Arguments: map[string]string{"--a": "b"}, ErrorMessage: "text", StateDetail: "detail", TriggerName: "t",
			Predecessors: []jobrun.Predecessor{{JobName: "i", RunID: "jr_1"}}, PreviousRun: "jr_0", Workflow: "wf", WorkflowRun: "wr_7",
			Settings: jobrun.Settings{Timeout: 10, MaxRetries: 1, MaxCapacity: 0.0625, WorkerType: "G.1X", NumberOfWorkers: 2, GlueVersion: "5.0", Queuing: true},
			InForce:  "none",
		},
	}
	goldenTimer  = store.Timer{Kind: store.TimerRetry, Ref: "jr_9", Due: clock()}
	goldenEffect = store.Effect{Seq: 12, Key: "stop/jr_9", Kind: store.EffectStop, Attempt: store.AttemptKey{Base: 9, N: 1}, Owner: 7, Low: true}
)

func writeGolden(tx store.Tx) error {
	_, err := tx.PutSnapshot([]byte("snapshot"))
	_, ferr := tx.InsertFiring(3, "wr_7", clock())
	return errors.Join(err, ferr,
		tx.InsertWorkflow(goldenWorkflow), tx.InsertTrigger(goldenTrigger), tx.InsertDocument(goldenDocument), tx.InsertRun(goldenRun),
		tx.PutPart(7, 0, []byte("part")), tx.PutProperties(7, []byte("{}")), tx.InsertAttempt(goldenAttempt), tx.SetTimer(goldenTimer),
		tx.AddEffect(goldenEffect), tx.PutReply(store.Hash{7}, 20000, []byte("reply")),
		tx.InsertBucket(store.Bucket{Name: "b", Created: clock(), Body: []byte("b")}), tx.PutObject(store.Object{Bucket: "b", Key: "k\xff", Body: []byte("o")}),
		tx.InsertUpload(store.Upload{ID: "u", Bucket: "b", Key: "k", Body: []byte("u")}), tx.PutUploadPart(store.UploadPart{Upload: "u", Number: 1, Body: []byte("p")}),
		tx.AddContents([]string{"c"}),
	)
}

// TestGolden opens the database of each release, as an upgrade does.
func TestGolden(t *testing.T) {
	if *update {
		writeGoldenFile(t)
	}
	dir := t.TempDir()
	packed, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, databaseFile), plain, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir)
	if s.LastSeq() < 12 {
		t.Errorf("LastSeq is %d", s.LastSeq())
	}
	err = s.Read(t.Context(), func(tx store.Tx) error {
		same(t, goldenWorkflow)(tx.Workflow(benchScope, "wf"))
		same(t, goldenTrigger)(tx.Trigger(benchScope, "t"))
		same(t, goldenDocument)(tx.Document(benchScope, store.Jobs, "j"))
		same(t, goldenRun)(tx.Run(7))
		same(t, []byte("part"))(tx.Part(7, 0))
		same(t, []byte("{}"))(tx.Properties(7))
		same(t, goldenAttempt)(tx.Attempt(store.AttemptKey{Base: 9, N: 1}))
		same(t, []store.Timer{goldenTimer})(tx.DueTimers(clock(), 10))
		same(t, []store.Effect{goldenEffect})(tx.ListEffects(0, 10))
		same(t, []byte("reply"))(tx.Reply(store.Hash{7}, 20000))
		same(t, store.Object{Bucket: "b", Key: "k\xff", Body: []byte("o")})(tx.Object("b", "k\xff"))
		same(t, store.UploadPart{Upload: "u", Number: 1, Body: []byte("p")})(tx.UploadPart("u", 1))
		same(t, []string{"c"})(tx.KnownContents([]string{"c"}))
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	err = s.Write(t.Context(), func(tx store.Tx) error {
		fresh, err := tx.InsertFiring(3, "wr_7", clock())
		if fresh {
			t.Error("a firing was forgotten")
		}
		r := goldenRun
		r.Version = s.LastSeq() + 1
		return errors.Join(err, tx.UpdateRun(r, goldenRun.Version))
	})
	if err != nil {
		t.Error(err)
	}
	closeStore(t, s)
}

func same(t *testing.T, want any) func(any, error) {
	return func(got any, err error) {
		t.Helper()
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%v (-want +got)\n%s", err, d)
		}
	}
}

func writeGoldenFile(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	if err := s.Write(t.Context(), writeGolden); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	plain, err := os.ReadFile(filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(goldenFile, packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
