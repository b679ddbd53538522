package sqlstore

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tenon/internal/engine"
	"tenon/internal/jobrun"
	"tenon/internal/store"
)

var benchScope = store.Scope{Account: "000000000000", Region: "us-east-1"}

// starter writes what orchestrate writes for one start of the workload in
// performance.md: a run, its nodes and properties, its firing, and two queued
// job runs with their timers; and reads what it reads.
type starter struct {
	s    *Store
	ids  *store.IDs
	now  time.Time
	seed atomic.Int64
}

func newStarter(tb testing.TB, dir string) *starter {
	s, err := Open(tb.Context(), Config{Dir: dir, Now: time.Now})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	b := &starter{s: s, now: time.Now().Truncate(time.Millisecond)}
	b.ids = store.NewIDs(time.Now, zeroReader{}, s.LastSeq())
	err = s.Write(tb.Context(), func(t store.Tx) error {
		for i := range 2 {
			if err := t.InsertDocument(store.Document{
				Scope: benchScope, Kind: store.Jobs, Name: fmt.Sprint("job", i), UID: int64(i + 1), Version: 1, Created: b.now,
				Modified: b.now, Body: []byte(`{"Name":"job","Role":"arn:aws:iam::000000000000:role/x","Command":{"Name":"pythonshell","ScriptLocation":"s3://b/k.py"}}`),
			}); err != nil {
				return err
			}
		}
		return t.InsertWorkflow(store.Workflow{Scope: benchScope, Name: "wf", UID: 3, Version: 1, Created: b.now, Modified: b.now})
	})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { return len(p), nil }

func (b *starter) start(t store.Tx) error {
	w, err := t.Workflow(benchScope, "wf")
	if err != nil {
		return err
	}
	hash, err := t.PutSnapshot([]byte(`{"v":1,"triggers":[]}`))
	if err != nil {
		return err
	}
	run := store.Run{
		Seq: b.ids.Next(), Version: b.ids.Next(), Scope: benchScope, Kind: engine.WorkflowRun, Workflow: w.UID, WorkflowName: w.Name,
		Head:    engine.Head{Status: engine.Running, Active: 2, Stats: engine.Statistics{Total: 2, Waiting: 2}},
		Started: b.now, Snapshot: hash,
	}
	binary.BigEndian.PutUint64(run.Rand[:], uint64(b.seed.Add(1))*0x9E3779B97F4A7C15)
	if err := t.PutProperties(run.Seq, []byte(`{"a":"b"}`)); err != nil {
		return err
	}
	if _, err := t.InsertFiring(7, run.ID(), b.now); err != nil {
		return err
	}
	nodes := `{"v":1,"n":[{"p":"fired"}`
	for i := range 2 {
		id, err := b.queue(t, run, i)
		if err != nil {
			return err
		}
		nodes += `,{"r":[{"id":"` + id + `","s":"WAITING"}],"a":1}`
	}
	if err := t.PutPart(run.Seq, 0, []byte(nodes+`]}`)); err != nil {
		return err
	}
	return t.InsertRun(run)
}

func (b *starter) queue(t store.Tx, run store.Run, i int) (string, error) {
	job, err := t.Document(benchScope, store.Jobs, fmt.Sprint("job", i))
	if err != nil {
		return "", err
	}
	definition, err := t.PutSnapshot(job.Body)
	if err != nil {
		return "", err
	}
	if _, err := t.CountHolding(job.UID, 1); err != nil {
		return "", err
	}
	if _, err := t.CountWaiting(job.UID, 1); err != nil {
		return "", err
	}
	seq := b.ids.Next()
	a := store.Attempt{
		Key: store.AttemptKey{Base: seq}, Rand: run.Rand, Seq: seq, Version: b.ids.Next(), Scope: benchScope, Job: job.UID,
		State: jobrun.Waiting, RunSeq: run.Seq, Node: i + 1, Definition: definition,
		Run: jobrun.Run{
			JobName: job.Name, StartedOn: b.now, ModifiedOn: b.now, StateDetail: jobrun.MsgQueued, TriggerName: "start", Workflow: "wf", WorkflowRun: run.ID(),
			Settings: jobrun.Settings{Timeout: 2880, MaxCapacity: 0.0625, GlueVersion: "3.0", Queuing: true, LogGroupName: "/aws-glue/python-jobs"},
		},
	}
	if err := t.SetTimer(store.Timer{Kind: store.TimerQueue, Ref: a.ID(), Due: b.now.Add(time.Hour)}); err != nil {
		return "", err
	}
	return a.ID(), t.InsertAttempt(a)
}

// reply keeps a reply as glueapi does for each call.
func (b *starter) reply(t store.Tx) error {
	var key store.Hash
	binary.BigEndian.PutUint64(key[:], uint64(b.seed.Add(1))*0x9E3779B97F4A7C15)
	for day := range int64(2) {
		if _, err := t.Reply(key, 20000-day); err != store.ErrNotFound {
			return fmt.Errorf("reply of an unknown call: %w", err)
		}
	}
	return t.PutReply(key, 20000, []byte(`{"RunId":"wr_0123456789012345678901234567890123456789012345678901234567890123"}`))
}

// written is the number of bytes that this process has handed to the system.
func written(tb testing.TB) (n int64) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "wchar: %d", &n); err == nil {
			return n
		}
	}
	tb.Fatal("no count of bytes")
	return 0
}

// BenchmarkStart measures durable starts with n callers at once, without and with
// the reply that is kept for repeated calls.
func BenchmarkStart(b *testing.B) {
	for _, reply := range []bool{false, true} {
		for _, callers := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("reply=%t/callers=%d", reply, callers), func(b *testing.B) {
				x := newStarter(b, b.TempDir())
				fn := x.start
				if reply {
					fn = func(t store.Tx) error {
						if err := x.reply(t); err != nil {
							return err
						}
						return x.start(t)
					}
				}
				var left atomic.Int64
				left.Store(int64(b.N))
				b.ReportAllocs()
				before := written(b)
				b.ResetTimer()
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						for left.Add(-1) >= 0 {
							if err := x.s.Write(b.Context(), fn); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "starts/s")
				b.ReportMetric(float64(written(b)-before)/float64(b.N)/1024, "KiB/start")
			})
		}
	}
}
