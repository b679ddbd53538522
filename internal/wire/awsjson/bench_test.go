package awsjson

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
)

var startBody = []byte(`{"Name":"nightly-etl","RunProperties":{"bucket":"landing","date":"2026-01-31","full":"false"}}`)

// graphOutput is what a console polls: ten job nodes, each with one run and the
// trigger that started it.
func graphOutput() *glue.GetWorkflowRunOutput {
	at := aws.Time(time.UnixMilli(1578556843049).UTC())
	graph := &types.WorkflowGraph{}
	for i := range 10 {
		id, name := fmt.Sprintf("wnode_%064d", i), fmt.Sprintf("job-%d", i)
		graph.Nodes = append(graph.Nodes, types.Node{Type: types.NodeTypeJob, Name: &name, UniqueId: &id,
			JobDetails: &types.JobNodeDetails{JobRuns: []types.JobRun{{
				Id: &id, JobName: &name, TriggerName: aws.String("t"), StartedOn: at, LastModifiedOn: at, CompletedOn: at,
				JobRunState: types.JobRunStateSucceeded, Arguments: map[string]string{"--day": "31", "--month": "1"},
				MaxCapacity: aws.Float64(0.0625), GlueVersion: aws.String("5.1"), LogGroupName: aws.String("/aws-glue/python-jobs"), ExecutionTime: 12}}}})
		if i > 0 {
			graph.Edges = append(graph.Edges, types.Edge{SourceId: graph.Nodes[i-1].UniqueId, DestinationId: &id})
		}
	}
	return &glue.GetWorkflowRunOutput{Run: &types.WorkflowRun{Name: aws.String("nightly-etl"), WorkflowRunId: aws.String("wr_1"),
		StartedOn: at, Status: types.WorkflowRunStatusRunning, Graph: graph, Statistics: &types.WorkflowRunStatistics{TotalActions: 10},
		WorkflowRunProperties: map[string]string{"date": "2026-01-31"}}}
}

func BenchmarkUnmarshalStartWorkflowRun(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var in glue.StartWorkflowRunInput
		if err := Unmarshal(startBody, &in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendStartWorkflowRun(b *testing.B) {
	out := &glue.StartWorkflowRunOutput{RunId: aws.String("wr_0123456789abcdef")}
	benchmarkAppend(b, out)
}

func BenchmarkAppendGetWorkflowRun(b *testing.B) { benchmarkAppend(b, graphOutput()) }

func benchmarkAppend(b *testing.B, v any) {
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		var err error
		if buf, err = Append(buf[:0], v); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkUnmarshalGetWorkflowRun(b *testing.B) {
	body, err := Marshal(graphOutput())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var out glue.GetWorkflowRunOutput
		if err := Unmarshal(body, &out); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFirstUse is what the first request of a process pays for its plan,
// after the model is parsed (model's BenchmarkParse).
func BenchmarkFirstUse(b *testing.B) {
	for b.Loop() {
		ready.Clear()
		clear(built)
		if _, err := Marshal(&glue.GetWorkflowRunOutput{}); err != nil {
			b.Fatal(err)
		}
	}
}
