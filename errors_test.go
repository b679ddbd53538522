package tenon

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"tenon/internal/launch/fake"
	"tenon/internal/orchestrate"
	"tenon/internal/store"
)

func startW(ctx context.Context, c *glue.Client) error {
	_, err := c.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: aws.String("W")})
	return err
}

// The six errors of StartWorkflowRun, each for its real cause (spec/workflows §3.1).
// Quotas are in TestQuotas, the store's deadline and failures below.
func TestStartWorkflowRunRefusals(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		must[*glue.CreateWorkflowOutput](t)(w.glue.CreateWorkflow(w.t.Context(), &glue.CreateWorkflowInput{Name: aws.String("empty")}))
		must[*glue.StartWorkflowRunOutput](t)(w.glue.StartWorkflowRun(w.t.Context(), &glue.StartWorkflowRunInput{Name: aws.String("W")}))
		w.settle()
		start := func(name string, properties map[string]string) func(context.Context, *glue.Client) error {
			return func(ctx context.Context, c *glue.Client) error {
				_, err := c.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: &name, RunProperties: properties})
				return err
			}
		}
		long := strings.Repeat("x", 256)
		w.refuses([]refusal{
			{
				"§3.1 row 1", start(long, nil), "ValidationException",
				"1 validation error detected: Value '" + long + "' at 'name' failed to satisfy constraint: Member must have length less than or equal to 255",
			},
			{"§3.1 row 1, key", start("W", map[string]string{long: ""}), "ValidationException", ""},
			{"§3.1 row 2", start("nowhere", nil), "EntityNotFoundException", "Entity not found"},
			{"§3.1 row 3", start("empty", nil), "InvalidInputException", "Workflow empty does not have a starting trigger"},
			{"§3.1 row 4", start("W", nil), "ConcurrentRunsExceededException", "Concurrent runs exceeded for workflow: W."},
		})
	})
}

// With the switch, a workflow without a start trigger runs and is over at once
// (spec/workflows §3.1, note on row 3).
func TestAllowEmptyWorkflowRun(t *testing.T) {
	inWorlds(t, func(c *Config) { c.AllowEmptyWorkflowRun = true }, func(w *world) {
		ctx := w.t.Context()
		must[*glue.CreateWorkflowOutput](w.t)(w.glue.CreateWorkflow(ctx, &glue.CreateWorkflowInput{Name: aws.String("W")}))
		started := must[*glue.StartWorkflowRunOutput](w.t)(w.glue.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: aws.String("W")}))
		run := must[*glue.GetWorkflowRunOutput](w.t)(w.glue.GetWorkflowRun(ctx, &glue.GetWorkflowRunInput{Name: aws.String("W"), RunId: started.RunId})).Run
		if run.Status != types.WorkflowRunStatusCompleted || run.Statistics.TotalActions != 0 || run.CompletedOn == nil {
			w.t.Errorf("the run is %+v", run)
		}
	})
}

// Every quota refuses the call that would pass it, in words that name the limit,
// and lets in what makes room (spec/workflows §2.2, §3.1 row 5, §4.6 row 22, §5.6).
func TestQuotas(t *testing.T) {
	limited := func(what, many string) string {
		return "The number of " + what + " has exceeded the limit. Your account is limited to " + many + " " + what + "."
	}
	workflow := func(name string) func(context.Context, *glue.Client) error {
		return func(ctx context.Context, c *glue.Client) error {
			_, err := c.CreateWorkflow(ctx, &glue.CreateWorkflowInput{Name: &name})
			return err
		}
	}
	trigger := func(name string) func(context.Context, *glue.Client) error {
		return func(ctx context.Context, c *glue.Client) error {
			_, err := c.CreateTrigger(ctx, &glue.CreateTriggerInput{Name: &name, Type: types.TriggerTypeOnDemand, Actions: starts("J")})
			return err
		}
	}
	job := func(name string) func(context.Context, *glue.Client) error {
		return func(ctx context.Context, c *glue.Client) error { _, err := c.CreateJob(ctx, shell(name)); return err }
	}
	startJob := func(ctx context.Context, c *glue.Client) error {
		_, err := c.StartJobRun(ctx, &glue.StartJobRunInput{JobName: aws.String("K")})
		return err
	}
	startAlone := func(ctx context.Context, c *glue.Client) error {
		_, err := c.StartTrigger(ctx, &glue.StartTriggerInput{Name: aws.String("go")})
		return err
	}
	cases := []struct {
		quota   string
		limit   int
		last    func(context.Context, *glue.Client) error // still fits
		over    func(context.Context, *glue.Client) error
		text    string
		release func(w *world)
	}{
		{"workflows", 2, workflow("V"), workflow("U"), limited("workflows", "2"), func(w *world) {
			must[*glue.DeleteWorkflowOutput](w.t)(w.glue.DeleteWorkflow(w.t.Context(), &glue.DeleteWorkflowInput{Name: aws.String("V")}))
		}},
		{"triggers", 4, trigger("four"), trigger("five"), limited("triggers", "4"), func(w *world) {
			must[*glue.DeleteTriggerOutput](w.t)(w.glue.DeleteTrigger(w.t.Context(), &glue.DeleteTriggerInput{Name: aws.String("four")}))
		}},
		{"jobs", 3, job("three"), job("four"), limited("jobs", "3"), func(w *world) {
			must[*glue.DeleteJobOutput](w.t)(w.glue.DeleteJob(w.t.Context(), &glue.DeleteJobInput{JobName: aws.String("three")}))
		}},
		{"active-workflow-runs", 1, startW, startAlone, limited("active workflow runs", "1"), func(w *world) { w.advance(time.Minute) }},
		{"active-job-runs", 1, startW, startJob, limited("active job runs", "1"), func(w *world) { w.advance(time.Minute) }},
	}
	for _, c := range cases {
		t.Run(c.quota, func(t *testing.T) {
			inWorlds(t, func(config *Config) { config.Quotas = map[string]int{c.quota: c.limit} }, func(w *world) {
				w.scene()
				must[*glue.UpdateWorkflowOutput](w.t)(w.glue.UpdateWorkflow(w.t.Context(), &glue.UpdateWorkflowInput{Name: aws.String("W"), MaxConcurrentRuns: aws.Int32(9)}))
				if err := c.last(w.t.Context(), w.glue); err != nil {
					w.t.Fatalf("the last that fits: %v", err)
				}
				w.settle()
				w.refuses([]refusal{{c.quota, c.over, "ResourceNumberLimitExceededException", c.text}})
				c.release(w)
				if err := c.over(w.t.Context(), w.glue); err != nil {
					w.t.Errorf("after there was room: %v", err)
				}
			})
		})
	}
	if len(cases)+1 != len(orchestrate.Quotas()) { // run-properties-bytes has a test of its own
		t.Error("a quota has no case")
	}
}

func TestQuotaOfRunProperties(t *testing.T) {
	inWorlds(t, func(c *Config) { c.Quotas = map[string]int{"run-properties-bytes": 10} }, func(w *world) {
		w.scene()
		started := must[*glue.StartWorkflowRunOutput](w.t)(w.glue.StartWorkflowRun(w.t.Context(), &glue.StartWorkflowRunInput{
			Name: aws.String("W"), RunProperties: map[string]string{"key": "1234567"},
		}))
		w.advance(time.Minute)
		const text = "The run properties have exceeded the limit. A workflow run is limited to 10 bytes of run properties."
		w.refuses([]refusal{
			{"start", func(ctx context.Context, c *glue.Client) error {
				_, err := c.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: aws.String("W"), RunProperties: map[string]string{"key": "12345678"}})
				return err
			}, "ResourceNumberLimitExceededException", text},
			{"put", func(ctx context.Context, c *glue.Client) error {
				_, err := c.PutWorkflowRunProperties(ctx, &glue.PutWorkflowRunPropertiesInput{Name: aws.String("W"), RunId: started.RunId, RunProperties: map[string]string{"k": ""}})
				return err
			}, "ResourceNumberLimitExceededException", text},
		})
		must[*glue.PutWorkflowRunPropertiesOutput](w.t)(w.glue.PutWorkflowRunProperties(w.t.Context(), &glue.PutWorkflowRunPropertiesInput{
			Name: aws.String("W"), RunId: started.RunId, RunProperties: map[string]string{"key": "7654321"},
		}))
	})
}

// Without a quota of its own a server bounds run properties at 256 KiB (spec/workflows §5.6).
func TestDefaultQuotaOfRunProperties(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		properties := map[string]string{"k": strings.Repeat("x", DefaultRunPropertiesBytes-1)}
		start := func(ctx context.Context, c *glue.Client) error {
			_, err := c.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: aws.String("W"), RunProperties: properties})
			return err
		}
		if err := start(w.t.Context(), w.glue); err != nil {
			w.t.Fatal(err)
		}
		w.advance(time.Minute)
		properties["k"] += "x"
		w.refuses([]refusal{{
			"start", start, "ResourceNumberLimitExceededException",
			"The run properties have exceeded the limit. A workflow run is limited to 262144 bytes of run properties.",
		}})
	})
}

// A quota that is met inside a run fails the node with a sentence, not the call.
func TestQuotaInsideARun(t *testing.T) {
	inWorlds(t, func(c *Config) { c.Quotas = map[string]int{"active-job-runs": 1} }, func(w *world) {
		w.scene()
		w.plan("K", fake.Outcome{Never: true})
		must[*glue.StartJobRunOutput](w.t)(w.glue.StartJobRun(w.t.Context(), &glue.StartJobRunInput{JobName: aws.String("K")}))
		if err := startW(w.t.Context(), w.glue); err != nil {
			w.t.Fatal(err)
		}
		runs := must[*glue.GetJobRunsOutput](w.t)(w.glue.GetJobRuns(w.t.Context(), &glue.GetJobRunsInput{JobName: aws.String("J")})).JobRuns
		if len(runs) != 1 || runs[0].JobRunState != types.JobRunStateFailed || aws.ToString(runs[0].ErrorMessage) != "The quota active-job-runs of 1 is reached." {
			w.t.Errorf("the job run is %+v", runs)
		}
	})
}

// The store's deadline passes while the call waits behind a write that does not
// end: OperationTimeoutException, and nothing is half written, now or later
// (spec/workflows §3.1 row 6).
func TestOperationTimeout(t *testing.T) {
	inWorlds(t, func(c *Config) { c.StoreTimeout = 3 * time.Second }, func(w *world) {
		w.scene()
		before := w.dump()
		taken, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			first := true // a function may run twice
			done <- w.server.parts.store.Write(context.Background(), func(store.Tx) error {
				if first {
					first = false
					close(taken)
				}
				<-release
				return nil
			})
		}()
		<-taken
		began := time.Now()
		for _, call := range []func(context.Context, *glue.Client) error{startW, func(ctx context.Context, c *glue.Client) error {
			_, err := c.CreateJob(ctx, shell("new"))
			return err
		}} {
			wantError(w.t, "while the store is busy", call(w.t.Context(), w.glue), "OperationTimeoutException", "The operation timed out.")
		}
		if took := time.Since(began); took != 6*time.Second {
			w.t.Errorf("two refusals took %s, not 3 s each", took)
		}
		close(release)
		if err := <-done; err != nil {
			w.t.Fatal(err)
		}
		w.advance(time.Minute)
		if after := w.dump(); after != before {
			w.t.Errorf("a call that timed out was done:\n%s", after)
		}
		if len(w.processes) > 0 {
			w.t.Errorf("processes were started: %v", w.processes)
		}
		if err := startW(w.t.Context(), w.glue); err != nil {
			w.t.Errorf("afterwards: %v", err)
		}
	})
}

// brittle is a store that can fail to commit.
type brittle struct {
	store.Store
	broken atomic.Bool
}

var errDisk = errors.New("no space left on device")

func (b *brittle) Write(ctx context.Context, fn func(store.Tx) error) error {
	return b.Store.Write(ctx, func(tx store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		if b.broken.Load() {
			return errDisk
		}
		return nil
	})
}

// The storage fails: InternalServiceException with the request's id, the cause in
// the log alone, no run, and none when the storage is well again (spec/workflows
// §3.1 row 7). A running job's end is written as soon as it can be.
func TestInternalServiceException(t *testing.T) {
	for _, kind := range []string{inMemory, onDisk} {
		t.Run(kind, func(t *testing.T) {
			disk := &brittle{}
			inWorldWith(t, kind, nil, func(s *Server) error {
				disk.Store = s.parts.store
				s.parts.store = disk
				return s.wire()
			}, func(w *world) {
				w.scene()
				w.plan("K", fake.Outcome{After: 5 * time.Second})
				must[*glue.StartJobRunOutput](w.t)(w.glue.StartJobRun(w.t.Context(), &glue.StartJobRunInput{JobName: aws.String("K")}))
				w.advance(time.Second)
				before := w.dump()
				disk.broken.Store(true)
				err := startW(w.t.Context(), w.glue)
				wantError(w.t, "no space left", err, "InternalServiceException", "")
				if text := err.Error(); strings.Contains(text, "space") || !strings.Contains(text, "Request id: ") {
					w.t.Errorf("the client is told: %s", text)
				}
				if res, _ := w.send(w.signed(w.call("StartWorkflowRun", `{"Name":"W"}`), "glue")); res.StatusCode != 500 {
					w.t.Errorf("status %d", res.StatusCode)
				}
				w.advance(10 * time.Second)
				if after := w.dump(); after != before {
					w.t.Errorf("something changed:\n%s", after)
				}
				disk.broken.Store(false)
				w.advance(10 * time.Second)
				if runs := must[*glue.GetWorkflowRunsOutput](w.t)(w.glue.GetWorkflowRuns(w.t.Context(), &glue.GetWorkflowRunsInput{Name: aws.String("W")})).Runs; len(runs) != 0 {
					w.t.Errorf("a run came to be: %+v", runs)
				}
				runs := must[*glue.GetJobRunsOutput](w.t)(w.glue.GetJobRuns(w.t.Context(), &glue.GetJobRunsInput{JobName: aws.String("K")})).JobRuns
				if runs[0].JobRunState != types.JobRunStateSucceeded || runs[0].ExecutionTime != 5 {
					w.t.Errorf("the end of the job that ran meanwhile is %s after %d s", runs[0].JobRunState, runs[0].ExecutionTime)
				}
				if err := startW(w.t.Context(), w.glue); err != nil {
					w.t.Errorf("afterwards: %v", err)
				}
			})
		})
	}
}

// A caller who goes away while it waits changes nothing either.
func TestCallerGoesAway(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		before := w.dump()
		taken, release := make(chan struct{}), make(chan struct{})
		go func() {
			first := true
			_ = w.server.parts.store.Write(context.Background(), func(store.Tx) error {
				if first {
					first = false
					close(taken)
				}
				<-release
				return nil
			})
		}()
		<-taken
		ctx, cancel := context.WithCancel(w.t.Context())
		gone := make(chan error, 1)
		go func() { gone <- startW(ctx, w.glue) }()
		synctest.Wait() // the call waits behind the other
		cancel()
		if err := <-gone; err == nil {
			w.t.Error("the call was answered")
		}
		synctest.Wait()
		close(release)
		w.advance(time.Minute)
		if after := w.dump(); after != before {
			w.t.Errorf("something changed:\n%s", after)
		}
	})
}
