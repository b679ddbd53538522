package orchestrate

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"tenon/internal/engine"
	"tenon/internal/flow"
	"tenon/internal/jobrun"
)

var update = flag.Bool("update", false, "write the current encoding into testdata/encoding")

func text(s string) *string { return &s }

// What earlier releases stored can be read: each golden file holds every member
// of its kind. A file is never rewritten once it was released; a change of the
// encoding gets a new version and files of its own.
func TestStoredEncoding(t *testing.T) {
	conditions := []flow.Condition{{Operator: "EQUALS", Job: "A", State: "FAILED"}, {Operator: "EQUALS", Crawler: "c", CrawlState: "CANCELLED"}}
	golden(t, "triggers-v1.json", triggerSnapshot{V: 1, Workflow: "w", Triggers: []flow.Trigger{
		{
			UID: 7, Name: "start", Workflow: "w", Type: flow.Event, State: flow.Created, Description: text("d"), Schedule: text("cron(0 1 * * ? *)"),
			Actions: []flow.Action{
				{Job: "A", Arguments: map[string]string{"--k": "v"}, Timeout: 5, NotifyDelayAfter: 6, SecurityConfiguration: "s", Notify: true},
				{Crawler: "c"},
			},
			Batching: &flow.Batching{Size: 3, Window: 900},
		},
		{Name: "then", Type: flow.Conditional, State: flow.Activated, Actions: []flow.Action{{Job: "B"}}, Predicate: &flow.Predicate{Logical: flow.Any, Conditions: conditions}},
	}})
	golden(t, "nodes-v1.json", nodePart{V: 1, Nodes: []engine.NodeState{
		{},
		{Phase: engine.Fired, Met: 2},
		{Active: 1, Decided: 2, Runs: []engine.ActionRun{
			{ID: "jr_1", Trigger: 1, Action: 2, State: engine.StateActive},
			{ID: "jr_2", State: engine.StateFailed, Refused: true},
		}},
	}})
	preds := []engine.Predecessor{{Type: flow.JobNode, Name: "A", ID: "jr_1"}}
	golden(t, "head-v1.json", engine.Head{
		Status: engine.Running, Active: 9,
		Stats:  engine.Statistics{Total: 1, Succeeded: 2, Failed: 3, Timeout: 4, Stopped: 5, Errored: 6, Running: 7, Waiting: 8},
		Ready:  []engine.Ready{{Trigger: 1, Because: preds}},
		Firing: []engine.Firing{{Trigger: 2, Next: 3, Because: preds}},
		Stops:  []engine.Ref{{Node: 4, ID: "jr_2"}},
	})
	capacity, number, minutes, yes := 2.0, 3, 4, true
	golden(t, "job-v1.json", jobrun.Definition{
		Name: "A", Role: "r", Command: jobrun.Command{Name: "glueetl", ScriptLocation: "s3://b/k", PythonVersion: "3.9", Runtime: "Ray2.4"},
		DefaultArguments: map[string]string{"--a": "1"}, NonOverridableArguments: map[string]string{"--b": "2"}, MaxRetries: 1, Timeout: &minutes,
		ExecutionProperty: &jobrun.ExecutionProperty{MaxConcurrentRuns: 2}, JobRunQueuingEnabled: &yes, GlueVersion: "5.1", MaxCapacity: &capacity, WorkerType: "G.1X",
		NumberOfWorkers: &number, SecurityConfiguration: "s", NotificationProperty: &jobrun.NotificationProperty{NotifyDelayAfter: &minutes}, ExecutionClass: "FLEX", JobMode: "SCRIPT", MaintenanceWindow: "Sun:1",
	})
}

func golden[T any](t *testing.T, name string, value T) {
	t.Helper()
	path := filepath.Join("testdata", "encoding", name)
	body, err := json.Marshal(value, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, append(body, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(body)+"\n"); diff != "" {
		t.Errorf("%s is written differently now:\n%s", name, diff)
	}
	var read T
	if err := json.Unmarshal(want, &read); err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	if diff := cmp.Diff(value, read); diff != "" {
		t.Errorf("%s is read differently now:\n%s", name, diff)
	}
}

// The cache holds a bounded number of definitions, those used last.
func TestCache(t *testing.T) {
	var c cache
	if _, ok := c.get(workflowKey{0, 0}); ok {
		t.Error("an empty cache had something")
	}
	for i := range int64(cacheSize) {
		c.put(workflowKey{i, 0}, i)
	}
	c.put(workflowKey{1, 0}, int64(-1)) // replaced, and used last
	if v, ok := c.get(workflowKey{0, 0}); !ok || v != int64(0) {
		t.Errorf("the first is %v, %v", v, ok)
	}
	c.put(jobKey{2, 0}, "a job of the same numbers")
	if v, ok := c.get(workflowKey{2, 0}); ok {
		t.Errorf("the one used longest ago is still there: %v", v)
	}
	for key, want := range map[any]any{workflowKey{0, 0}: int64(0), workflowKey{1, 0}: int64(-1), jobKey{2, 0}: "a job of the same numbers", workflowKey{3, 0}: int64(3)} {
		if v, ok := c.get(key); !ok || v != want {
			t.Errorf("%v is %v, %v", key, v, ok)
		}
	}
	if len(c.entries) != cacheSize || c.recent.Len() != cacheSize {
		t.Errorf("%d entries, %d in order", len(c.entries), c.recent.Len())
	}
}

// A crawl's id holds its sequence number; nothing else is read as one.
func TestCrawlSeq(t *testing.T) {
	for _, seq := range []int64{1, 1714564800000000031} {
		if got := CrawlSeq(crawlID(seq)); got != seq {
			t.Errorf("CrawlSeq(%s) = %d, want %d", crawlID(seq), got, seq)
		}
	}
	for _, id := range []string{"", "crawl_", "crawl_xyz", "jr_0000000000000001", "0000000000000001"} {
		if got := CrawlSeq(id); got != 0 {
			t.Errorf("CrawlSeq(%q) = %d", id, got)
		}
	}
}
