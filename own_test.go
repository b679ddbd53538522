package tenon

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/go-json-experiment/json/jsontext"

	"tenon/internal/launch/fake"
)

// answer is an own route's answer as one line.
func (w *world) answer(method, path, body string) string {
	w.t.Helper()
	status, out := w.own(method, path, []byte(body))
	text := jsontext.Value(out) // not decoded: versions have more digits than a float keeps
	if err := text.Compact(); err != nil {
		w.t.Fatalf("%s %s: %s: %v", method, path, out, err)
	}
	return fmt.Sprintf("%d %s", status, text)
}

// Stacks are stored by name under a version: who changes one names the version
// that was read, and is told when somebody else was quicker.
func TestStacks(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		version := func(answer string) string {
			_, v, _ := strings.Cut(strings.TrimSuffix(answer, "}"), `"version":`)
			return v
		}
		expect := func(want, got string) {
			w.t.Helper()
			if got != want {
				w.t.Errorf("got %s, want %s", got, want)
			}
		}
		const absent, conflict = `404 {"__type":"NotFound","message":"The stack does not exist."}`, `409 {"__type":"Conflict","message":"The stack was changed by somebody else."}`
		expect(`200 {"stacks":[]}`, w.answer("GET", "/_tenon/stacks", ""))
		expect(absent, w.answer("GET", "/_tenon/stacks/s", ""))
		expect(conflict, w.answer("PUT", "/_tenon/stacks/s", `{"version":1,"state":{}}`))
		first := w.answer("PUT", "/_tenon/stacks/s", `{"version":0,"state":{"a":[1,null]}}`)
		expect(`200 {"version":`+version(first)+`,"state":{"a":[1,null]}}`, w.answer("GET", "/_tenon/stacks/s", ""))
		expect(conflict, w.answer("PUT", "/_tenon/stacks/s", `{"version":0,"state":{}}`))
		second := w.answer("PUT", "/_tenon/stacks/s", `{"version":`+version(first)+`,"state":{"b":2}}`)
		expect(conflict, w.answer("PUT", "/_tenon/stacks/s", `{"version":`+version(first)+`,"state":{}}`))
		expect(`200 {"version":`+version(second)+`,"state":{"b":2}}`, w.answer("GET", "/_tenon/stacks/s", ""))
		for _, bad := range []string{``, `{}`, `[]`, `{"version":"x","state":{}}`, `{"version":0,"state":{}`, `nonsense`} {
			if got := w.answer("PUT", "/_tenon/stacks/t", bad); !strings.HasPrefix(got, `400 {"__type":"SerializationException"`) {
				w.t.Errorf("%s: %s", bad, got)
			}
		}
		w.answer("PUT", "/_tenon/stacks/a%2Fb", `{"version":0,"state":{}}`)
		expect(`200 {"stacks":["a/b","s"]}`, w.answer("GET", "/_tenon/stacks", ""))
		for range 2 { // deleting what is gone is fine
			expect(`200 {}`, w.answer("DELETE", "/_tenon/stacks/s", ""))
		}
		expect(absent, w.answer("GET", "/_tenon/stacks/s", ""))
		expect(`200 {"stacks":["a/b"]}`, w.answer("GET", "/_tenon/stacks", ""))
	})
}

// Explain says what a run waits for, and later why parts of it did not run.
func TestExplain(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		ctx := w.t.Context()
		must[*glue.CreateTriggerOutput](w.t)(w.glue.CreateTrigger(ctx, &glue.CreateTriggerInput{
			Name: aws.String("asleep"), WorkflowName: aws.String("W"), Type: types.TriggerTypeConditional, Actions: starts("L"),
			Predicate: &types.Predicate{Conditions: []types.Condition{watches("J", types.JobRunStateFailed)}},
		}))
		w.plan("J", fake.Outcome{After: 5 * time.Second, ExitCode: 1})
		run := *must[*glue.StartWorkflowRunOutput](w.t)(w.glue.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: aws.String("W")})).RunId
		w.settle()
		path := "/_tenon/explain?workflow=W&run=" + run
		want := `200 {"waiting":[` +
			`{"trigger":"then","inactive":false,"unmet":[{"type":"JOB","name":"J","wants":"SUCCEEDED","is":"RUNNING"}],"starts":["K"]},` +
			`{"trigger":"asleep","inactive":true,"unmet":[{"type":"JOB","name":"J","wants":"FAILED","is":"RUNNING"}],"starts":["L"]}],"unrun":[{"type":"JOB","name":"K","why":"a watched state did not occur"},{"type":"JOB","name":"L","why":"its trigger is not activated"}]}`
		if got := w.answer("GET", path, ""); got != want {
			w.t.Errorf("while it runs:\ngot  %s\nwant %s", got, want)
		}
		w.advance(time.Minute)
		want = `200 {"waiting":[` +
			`{"trigger":"then","inactive":false,"unmet":[{"type":"JOB","name":"J","wants":"SUCCEEDED","is":"FAILED"}],"starts":["K"]},` +
			`{"trigger":"asleep","inactive":true,"unmet":[],"starts":["L"]}],"unrun":[{"type":"JOB","name":"K","why":"a watched state did not occur"},{"type":"JOB","name":"L","why":"its trigger is not activated"}]}`
		if got := w.answer("GET", path, ""); got != want {
			w.t.Errorf("afterwards:\ngot  %s\nwant %s", got, want)
		}
		for query, want := range map[string]string{
			"":                        `400 {"__type":"ValidationException","message":"The parameters workflow and run are required."}`,
			"?workflow=W":             `400 {"__type":"ValidationException","message":"The parameters workflow and run are required."}`,
			"?workflow=V&run=" + run:  `400 {"__type":"EntityNotFoundException","Message":"Entity not found"}`,
			"?workflow=W&run=" + "x'": `400 {"__type":"EntityNotFoundException","Message":"Entity not found"}`,
		} {
			if got := w.answer("GET", "/_tenon/explain"+query, ""); got != want {
				w.t.Errorf("%s: %s, want %s", query, got, want)
			}
		}
	})
}

// Active runs are stopped by their id alone: runs, chains, and nothing else.
func TestStopActiveRun(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		ctx := w.t.Context()
		must[*glue.UpdateJobOutput](w.t)(w.glue.UpdateJob(ctx, &glue.UpdateJobInput{JobName: aws.String("J"), JobUpdate: &types.JobUpdate{
			Role: aws.String("r"), Command: &types.JobCommand{Name: aws.String("pythonshell")}, ExecutionProperty: &types.ExecutionProperty{MaxConcurrentRuns: 5},
		}}))
		w.plan("J", fake.Outcome{Never: true})
		must[*glue.StartTriggerOutput](w.t)(w.glue.StartTrigger(ctx, &glue.StartTriggerInput{Name: aws.String("alone")}))
		must[*glue.StartWorkflowRunOutput](w.t)(w.glue.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: aws.String("W")}))
		w.settle()
		runs := w.activeRuns()
		if len(runs) != 2 || runs[0].Kind != "chain" || runs[1].Kind != "workflow" || runs[0].Orphaned || runs[1].Orphaned {
			w.t.Fatalf("active: %+v", runs)
		}
		for _, r := range runs {
			if got := w.answer("POST", "/_tenon/runs/"+r.ID+"/stop", ""); got != "200 {}" {
				w.t.Errorf("%s: %s", r.Kind, got)
			}
		}
		w.advance(time.Minute)
		if left := w.activeRuns(); len(left) != 0 {
			w.t.Errorf("active: %+v", left)
		}
		for _, r := range must[*glue.GetJobRunsOutput](w.t)(w.glue.GetJobRuns(ctx, &glue.GetJobRunsInput{JobName: aws.String("J")})).JobRuns {
			if r.JobRunState != types.JobRunStateStopped {
				w.t.Errorf("%s is %s", *r.Id, r.JobRunState)
			}
		}
		for _, id := range []string{"x", "wr_1", runs[1].ID[:len(runs[1].ID)-1], strings.Replace(runs[1].ID, "wr_", "jr_", 1)} {
			if status, body := w.own(http.MethodPost, "/_tenon/runs/"+id+"/stop", nil); status != http.StatusBadRequest || !strings.Contains(string(body), "EntityNotFoundException") {
				w.t.Errorf("%s: %d %s", id, status, body)
			}
		}
	})
}
