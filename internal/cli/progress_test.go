package cli

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/google/go-cmp/cmp"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return t0.Add(time.Duration(seconds * float64(time.Second))) }

// wire builds a run as the server shows it, with nodes start → load → {good,
// bad} → join, in an order that is not the one to show.
func wire(status types.WorkflowRunStatus, runs map[string][]types.JobRun) *types.WorkflowRun {
	g := &types.WorkflowGraph{}
	for _, n := range []struct {
		kind types.NodeType
		name string
	}{{"TRIGGER", "done"}, {"JOB", "join"}, {"JOB", "good"}, {"TRIGGER", "start"}, {"JOB", "load"}, {"TRIGGER", "fork"}, {"JOB", "bad"}} {
		node := types.Node{Type: n.kind, Name: &n.name, UniqueId: &n.name}
		if len(runs[n.name]) > 0 {
			node.JobDetails = &types.JobNodeDetails{JobRuns: runs[n.name]}
		}
		g.Nodes = append(g.Nodes, node)
	}
	for _, e := range []string{"start load", "load fork", "fork good", "fork bad", "good done", "bad done", "done join"} {
		from, to, _ := strings.Cut(e, " ")
		g.Edges = append(g.Edges, types.Edge{SourceId: &from, DestinationId: &to})
	}
	return &types.WorkflowRun{Name: aws.String("etl"), WorkflowRunId: aws.String("wr_1"), Status: status, StartedOn: &t0, Graph: g}
}

func jobRun(id string, n int32, state types.JobRunState, began, ended float64, message string) types.JobRun {
	r := types.JobRun{Id: &id, Attempt: n, JobRunState: state, StartedOn: aws.Time(at(began))}
	if n > 0 {
		r.Id = aws.String(fmt.Sprintf("%s_attempt_%d", id, n))
	}
	if ended > 0 {
		r.CompletedOn = aws.Time(at(ended))
	}
	if message != "" {
		r.ErrorMessage = &message
	}
	return r
}

// story is a run as it is seen by and by.
func story() []struct {
	now float64
	run *types.WorkflowRun
} {
	type runs = map[string][]types.JobRun
	load := jobRun("jr_l", 0, "SUCCEEDED", 0.01, 1.234, "")
	waiting := jobRun("jr_b", 0, "STARTING", 1.24, 0, "")
	waiting.StateDetail = aws.String("waits for a local slot")
	failed := jobRun("jr_b", 0, "FAILED", 1.24, 2.5, "ValueError: \x1b[31mbad\nline")
	out := []struct {
		now float64
		run *types.WorkflowRun
	}{
		{0.01, wire("RUNNING", runs{"load": {jobRun("jr_l", 0, "STARTING", 0.01, 0, "")}})},
		{0.1, wire("RUNNING", runs{"load": {jobRun("jr_l", 0, "RUNNING", 0.01, 0, "")}})},
		{1.3, wire("RUNNING", runs{"load": {load}, "good": {jobRun("jr_g", 0, "RUNNING", 1.24, 0, "")}, "bad": {waiting}})},
		{1.4, wire("RUNNING", runs{"load": {load}, "good": {jobRun("jr_g", 0, "RUNNING", 1.24, 0, "")}, "bad": {waiting}})},
		{2.6, wire("RUNNING", runs{"load": {load}, "good": {jobRun("jr_g", 0, "SUCCEEDED", 1.24, 2.55, "")}, "bad": {failed, jobRun("jr_b", 1, "WAITING", 2.5, 0, "")}})},
		{33, wire("STOPPING", runs{"load": {load}, "good": {jobRun("jr_g", 0, "SUCCEEDED", 1.24, 2.55, "")}, "bad": {failed, jobRun("jr_b", 1, "RUNNING", 32.5, 0, "")}})},
		{75, wire("STOPPED", runs{"load": {load}, "good": {jobRun("jr_g", 0, "SUCCEEDED", 1.24, 2.55, "")}, "bad": {jobRun("jr_b", 1, "STOPPED", 32.5, 74.9, ""), failed}})},
	}
	out[len(out)-1].run.CompletedOn = aws.Time(at(74.95))
	return out
}

func TestChanges(t *testing.T) {
	var b strings.Builder
	var last snapshot
	for _, s := range story() {
		now := takeSnapshot(s.run)
		fmt.Fprintf(&b, "-- seen at %vs\n", s.now)
		for _, line := range changes(last, now, at(s.now)) {
			b.WriteString(line + "\n")
		}
		last = now
	}
	golden(t, "changes.txt", b.String())
}

func TestTables(t *testing.T) {
	var b strings.Builder
	for i, s := range story() {
		fmt.Fprintf(&b, "-- seen at %vs\n", s.now)
		width := 0
		if i%2 == 1 {
			width = 30
		}
		for _, line := range statusTable(takeSnapshot(s.run), at(s.now), width, 0) {
			b.WriteString(line + "\n")
		}
	}
	b.WriteString("-- at the end\n")
	for _, line := range finalTable(takeSnapshot(story()[6].run), unrun("join", whyMatterOfCourse), at(80)) {
		b.WriteString(line + "\n")
	}
	golden(t, "tables.txt", b.String())
}

func TestTableFits(t *testing.T) {
	s := snapshot{Workflow: "w", RunID: "wr_1", Status: "RUNNING", Started: t0}
	for i := range 30 {
		s.Nodes = append(s.Nodes, job(fmt.Sprintf("done%02d", i), "SUCCEEDED"))
	}
	s.Nodes = append(s.Nodes, job("broken", "FAILED"), job("busy", "RUNNING"), job("later"))
	got := statusTable(s, at(1), 0, 7)
	want := []string{"w  RUNNING  1.00s  wr_1", "  broken  FAILED", "  busy    RUNNING", "  later   –", "  … and 30 more"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTableIsDrawnOverItself(t *testing.T) {
	var out bytes.Buffer
	d := &tableDisplay{out: &out, size: func() (int, int) { return 40, 10 }}
	d.draw([]string{"one", "two"})
	d.draw([]string{"one"})
	d.note("hear")
	d.end()
	want := "one\x1b[K\ntwo\x1b[K\n\x1b[J" + "\r\x1b[2A" + "one\x1b[K\n\x1b[J" + "\r\x1b[1A\x1b[J" + "hear\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestActions: retries belong to one action, a second start is another.
func TestActions(t *testing.T) {
	got := actions([]types.JobRun{
		jobRun("jr_b", 1, "RUNNING", 9, 0, ""), jobRun("jr_b", 0, "FAILED", 5, 6, "no"), jobRun("jr_a", 0, "SUCCEEDED", 1, 2, ""),
	})
	if len(got) != 2 || got[0].ID != "jr_a" || got[1].ID != "jr_b" || len(got[1].Attempts) != 2 || got[1].last().ID != "jr_b_attempt_1" {
		t.Errorf("%+v", got)
	}
}

// TestInOrder: a node that waits for a short and a long way comes after both.
func TestInOrder(t *testing.T) {
	g := &types.WorkflowGraph{}
	for _, n := range []string{"end", "long2", "long1", "short", "start"} {
		g.Nodes = append(g.Nodes, types.Node{UniqueId: &n, Name: &n})
	}
	for _, e := range []string{"start short", "short end", "start long1", "long1 long2", "long2 end"} {
		from, to, _ := strings.Cut(e, " ")
		g.Edges = append(g.Edges, types.Edge{SourceId: &from, DestinationId: &to})
	}
	var got []string
	for _, n := range inOrder(g) {
		got = append(got, *n.Name)
	}
	if diff := cmp.Diff([]string{"start", "short", "long1", "long2", "end"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInOrderSurvivesCyclesAndGaps(t *testing.T) {
	a, b, c := "a", "b", "gone"
	g := &types.WorkflowGraph{
		Nodes: []types.Node{{UniqueId: &a, Name: &a}, {UniqueId: &b, Name: &b}},
		Edges: []types.Edge{{SourceId: &a, DestinationId: &b}, {SourceId: &b, DestinationId: &a}, {SourceId: &c, DestinationId: &a}},
	}
	if got := inOrder(g); len(got) != 2 {
		t.Errorf("%d nodes, want 2", len(got))
	}
	if got := inOrder(nil); got != nil {
		t.Errorf("no graph has nodes: %v", got)
	}
}
