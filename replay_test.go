package tenon

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"tenon/internal/launch/fake"
)

// invoke sends a call with an invocation id, as an SDK does that tries again.
func (w *world) invoke(id, operation, body string) (int, string) {
	w.t.Helper()
	r := w.call(operation, body)
	if id != "" {
		r.Header.Set("Amz-Sdk-Invocation-Id", id)
	}
	res, out := w.send(w.signed(r, "glue"))
	return res.StatusCode, string(out)
}

func (w *world) runsOf(workflow string) []string {
	w.t.Helper()
	var out []string
	for _, r := range must[*glue.GetWorkflowRunsOutput](w.t)(w.glue.GetWorkflowRuns(w.t.Context(), &glue.GetWorkflowRunsInput{Name: &workflow})).Runs {
		out = append(out, *r.WorkflowRunId)
	}
	return out
}

// A call that is repeated acts once and is answered as the first time; another
// body, operation, caller or id is another call (DESIGN P5).
func TestReplay(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.advance(12 * time.Hour) // so that a day later is on the next one
		w.scene()
		ctx := w.t.Context()
		must[*glue.UpdateWorkflowOutput](w.t)(w.glue.UpdateWorkflow(ctx, &glue.UpdateWorkflowInput{Name: aws.String("W"), MaxConcurrentRuns: aws.Int32(100)}))
		const id, body = "11111111-2222-4333-8444-555555555555", `{"Name":"W"}`
		var first string
		same := func(what string, calls int) {
			w.t.Helper()
			for range calls {
				if status, got := w.invoke(id, "StartWorkflowRun", body); status != http.StatusOK || got != first {
					w.t.Errorf("%s: %d %s, want %s again", what, status, got, first)
				}
			}
		}
		_, first = w.invoke(id, "StartWorkflowRun", body)
		same("at once", 3)
		if runs := w.runsOf("W"); len(runs) != 1 || !strings.Contains(first, runs[0]) {
			w.t.Fatalf("runs: %v", runs)
		}
		for what, call := range map[string]func() (int, string){
			"another body": func() (int, string) { return w.invoke(id, "StartWorkflowRun", `{"Name": "W"}`) },
			"another id":   func() (int, string) { return w.invoke(id+"x", "StartWorkflowRun", body) },
			"no id":        func() (int, string) { return w.invoke("", "StartWorkflowRun", body) },
			"no id again":  func() (int, string) { return w.invoke("", "StartWorkflowRun", body) },
		} {
			before := len(w.runsOf("W"))
			if status, got := call(); status != http.StatusOK || got == first || len(w.runsOf("W")) != before+1 {
				w.t.Errorf("%s: %d %s", what, status, got)
			}
		}
		// Another operation with the same id and body, and another caller.
		if status, got := w.invoke(id, "DeleteTrigger", body); status != http.StatusOK || got != `{"Name":"W"}` {
			w.t.Errorf("another operation: %d %s", status, got)
		}
		added, err := w.server.keys.Add(DefaultAccount)
		if err != nil {
			w.t.Fatal(err)
		}
		key, secret := w.key, w.secret
		w.key, w.secret = added.AccessKeyID, added.Secret
		before := len(w.runsOf("W"))
		if status, got := w.invoke(id, "StartWorkflowRun", body); status != http.StatusOK || got == first || len(w.runsOf("W")) != before+1 {
			w.t.Errorf("another caller: %d %s", status, got)
		}
		w.key, w.secret = key, secret
		// boto3 and the AWS CLI set the header when they have signed already.
		r := w.signed(w.call("StartWorkflowRun", body), "glue")
		r.Header.Set("Amz-Sdk-Invocation-Id", id)
		if res, got := w.send(r); res.StatusCode != http.StatusOK || string(got) != first {
			w.t.Errorf("with the header unsigned: %d %s", res.StatusCode, got)
		}
		count := len(w.runsOf("W"))
		if w.kind == onDisk {
			w.restart()
			same("after a restart", 1)
		}
		w.advance(23 * time.Hour)
		same("within a day", 1)
		if got := len(w.runsOf("W")); got != count {
			w.t.Errorf("%d runs, want %d", got, count)
		}
	})
}

// Failures are not kept: what failed before can succeed (DESIGN P5).
func TestFailuresAreNotReplayed(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		const id = "one"
		if status, got := w.invoke(id, "StartWorkflowRun", `{"Name":"V"}`); status != http.StatusBadRequest {
			w.t.Fatalf("%d %s", status, got)
		}
		must[*glue.CreateWorkflowOutput](w.t)(w.glue.CreateWorkflow(w.t.Context(), &glue.CreateWorkflowInput{Name: aws.String("V")}))
		if status, got := w.invoke(id, "StartWorkflowRun", `{"Name":"V"}`); status != http.StatusBadRequest || !strings.Contains(got, "starting trigger") {
			w.t.Errorf("the old answer came again: %d %s", status, got)
		}
		// A limit that was met once is not met for ever.
		if status, got := w.invoke("two", "StartWorkflowRun", `{"Name":"W"}`); status != http.StatusOK {
			w.t.Fatalf("%d %s", status, got)
		}
		if status, got := w.invoke("three", "StartWorkflowRun", `{"Name":"W"}`); status != http.StatusBadRequest || !strings.Contains(got, "ConcurrentRunsExceeded") {
			w.t.Fatalf("%d %s", status, got)
		}
		w.advance(time.Minute)
		if status, got := w.invoke("three", "StartWorkflowRun", `{"Name":"W"}`); status != http.StatusOK {
			w.t.Errorf("%d %s", status, got)
		}
	})
}

// Every operation that changes something keeps its reply: creating what exists,
// starting what runs and stopping what is stopped are told as the first time.
func TestReplayOfEveryChange(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		_, started := w.invoke("start", "StartWorkflowRun", `{"Name":"W"}`)
		run := w.runsOf("W")[0]
		w.settle()
		for i, c := range []struct{ operation, body string }{
			{"CreateWorkflow", `{"Name":"n"}`},
			{"UpdateWorkflow", `{"Name":"n","Description":"x"}`},
			{"PutWorkflowRunProperties", `{"Name":"W","RunId":"` + run + `","RunProperties":{"a":"b"}}`},
			{"StopWorkflowRun", `{"Name":"W","RunId":"` + run + `"}`},
			{"DeleteWorkflow", `{"Name":"n"}`},
			{"CreateTrigger", `{"Name":"n","Type":"CONDITIONAL","Actions":[{"JobName":"J"}],"Predicate":{"Conditions":[{"LogicalOperator":"EQUALS","JobName":"K","State":"FAILED"}]}}`},
			{"StartTrigger", `{"Name":"n"}`},
			{"StopTrigger", `{"Name":"n"}`},
			{"UpdateTrigger", `{"Name":"n","TriggerUpdate":{"Description":"x","Actions":[{"JobName":"J"}],"Predicate":{"Conditions":[{"LogicalOperator":"EQUALS","JobName":"K","State":"FAILED"}]}}}`},
			{"StartTrigger", `{"Name":"alone"}`},
			{"DeleteTrigger", `{"Name":"n"}`},
			{"CreateJob", `{"Name":"n","Role":"r","Command":{"Name":"pythonshell","ScriptLocation":"s3://b/k"}}`},
			{"UpdateJob", `{"JobName":"n","JobUpdate":{"Role":"s","Command":{"Name":"pythonshell"}}}`},
			{"StartJobRun", `{"JobName":"n"}`},
			{"DeleteJob", `{"JobName":"n"}`},
			{"TagResource", `{"ResourceArn":"` + *arnOf("job", "J") + `","TagsToAdd":{"a":"b"}}`},
			{"UntagResource", `{"ResourceArn":"` + *arnOf("job", "J") + `","TagsToRemove":["a"]}`},
		} {
			id := c.operation + string(rune('a'+i))
			status, first := w.invoke(id, c.operation, c.body)
			w.settle()
			dump := w.dump()
			again, second := w.invoke(id, c.operation, c.body)
			w.settle()
			if status != http.StatusOK || again != http.StatusOK || sorted(w.t, first) != sorted(w.t, second) {
				w.t.Errorf("%s: %d %s, then %d %s", c.operation, status, first, again, second)
			}
			if after := w.dump(); after != dump {
				w.t.Errorf("%s acted twice:\n%s\nbecame\n%s", c.operation, dump, after)
			}
		}
		if _, again := w.invoke("start", "StartWorkflowRun", `{"Name":"W"}`); again != started || !slices.Equal(w.runsOf("W"), []string{run}) {
			w.t.Errorf("the start of a run that is over: %s, want %s", again, started)
		}
	})
}

// A call that acted and was refused in part is refused again, in the same words,
// and acts once: a standalone trigger starts what it can (spec/workflows §4.6).
func TestReplayOfAPartialRefusal(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		other  string // the job that cannot start
		want   string
	}{
		{"no such job", nil, "nowhere", `{"__type":"EntityNotFoundException","Message":"Failed to start job run due to missing metadata."}`},
		{"at its limit", nil, "J", `{"__type":"ConcurrentRunsExceededException","Message":"Concurrent runs exceeded for J"}`},
		{"quota", func(c *Config) { c.Quotas = map[string]int{"active-job-runs": 2} }, "L", `{"__type":"ResourceNumberLimitExceededException","Message":"The number of active job runs has exceeded the limit. Your account is limited to 2 active job runs."}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorlds(t, c.change, func(w *world) {
				w.scene()
				w.plan("J", fake.Outcome{Never: true})
				ctx := w.t.Context()
				must[*glue.CreateJobOutput](w.t)(w.glue.CreateJob(ctx, shell("L")))
				must[*glue.StartJobRunOutput](w.t)(w.glue.StartJobRun(ctx, &glue.StartJobRunInput{JobName: aws.String("J")}))
				must[*glue.CreateTriggerOutput](w.t)(w.glue.CreateTrigger(ctx, &glue.CreateTriggerInput{Name: aws.String("both"), Type: types.TriggerTypeOnDemand, Actions: starts("K", c.other)}))
				for range 3 {
					if status, got := w.invoke("one", "StartTrigger", `{"Name":"both"}`); status != http.StatusBadRequest || got != c.want {
						w.t.Errorf("%d %s, want %s", status, got, c.want)
					}
					w.settle()
				}
				if runs := must[*glue.GetJobRunsOutput](w.t)(w.glue.GetJobRuns(ctx, &glue.GetJobRunsInput{JobName: aws.String("K")})).JobRuns; len(runs) != 1 {
					w.t.Errorf("the other job was started %d times", len(runs))
				}
				if w.kind == onDisk {
					w.restart()
				}
				if status, got := w.invoke("one", "StartTrigger", `{"Name":"both"}`); status != http.StatusBadRequest || got != c.want {
					w.t.Errorf("after a restart: %d %s", status, got)
				}
			})
		})
	}
}
