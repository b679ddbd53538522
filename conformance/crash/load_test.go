//go:build linux

package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
)

// job is a job of the load.
type job struct {
	name    string
	wait    time.Duration
	fail    int // how many attempts fail
	retries int
	limit   int // MaxConcurrentRuns; 0 means 1
}

// trigger is a trigger of the load; one that watches nothing is the first.
type trigger struct {
	watches []watch // all must hold
	starts  []string
}

type watch struct {
	job   string
	state types.JobRunState
}

// shape is a workflow of the load.
type shape struct {
	name     string
	jobs     []job
	triggers []trigger
	stopped  bool // runs are stopped midway
}

const (
	succeeded = types.JobRunStateSucceeded
	failed    = types.JobRunStateFailed
)

// brief is how long most jobs run: long enough to be killed meanwhile.
const brief = 20 * time.Millisecond

// shapes are the workflows of the load. Jobs are shared by all runs of a shape,
// so that runs wait for each other in the jobs' queues.
var shapes = []shape{
	{
		name: "chain",
		jobs: []job{{name: "chain-a", wait: brief}, {name: "chain-b", wait: brief, retries: 1}, {name: "chain-c"}},
		triggers: []trigger{
			{starts: []string{"chain-a"}},
			{watches: []watch{{"chain-a", succeeded}}, starts: []string{"chain-b"}},
			{watches: []watch{{"chain-b", succeeded}}, starts: []string{"chain-c"}},
		},
	},
	{
		name: "join",
		jobs: []job{
			{name: "join-l", wait: brief, limit: 3}, {name: "join-m", limit: 2}, {name: "join-r", wait: 2 * brief, retries: 1, limit: 3},
			{name: "join-end"},
		},
		triggers: []trigger{
			{starts: []string{"join-l", "join-m", "join-r"}},
			{watches: []watch{{"join-l", succeeded}, {"join-m", succeeded}, {"join-r", succeeded}}, starts: []string{"join-end"}},
		},
	},
	{
		name: "retry",
		jobs: []job{
			{name: "retry-flaky", wait: brief, fail: 1, retries: 2}, {name: "retry-broken", fail: 9, retries: 1},
			{name: "retry-then"}, {name: "retry-else"},
		},
		triggers: []trigger{
			{starts: []string{"retry-flaky", "retry-broken"}},
			{watches: []watch{{"retry-flaky", succeeded}}, starts: []string{"retry-then"}},
			{watches: []watch{{"retry-broken", failed}}, starts: []string{"retry-else"}},
		},
	},
	{
		name:    "stop",
		jobs:    []job{{name: "stop-slow", wait: time.Second, limit: 4}, {name: "stop-never"}},
		stopped: true,
		triggers: []trigger{
			{starts: []string{"stop-slow"}},
			{watches: []watch{{"stop-slow", succeeded}}, starts: []string{"stop-never"}},
		},
	},
}

// define creates shapes. script is where their jobs say that their script is.
func (r *rig) define(script string, list ...shape) {
	r.Helper()
	for _, s := range list {
		for _, j := range s.jobs {
			limit := max(j.limit, 1)
			must(r, r.glue.CreateJob, &glue.CreateJobInput{
				Name: &j.name, Role: aws.String("arn:aws:iam::123456789012:role/r"), MaxRetries: int32(j.retries),
				Command:              &types.JobCommand{Name: aws.String("pythonshell"), ScriptLocation: &script, PythonVersion: aws.String("3.9")},
				ExecutionProperty:    &types.ExecutionProperty{MaxConcurrentRuns: int32(limit)},
				JobRunQueuingEnabled: aws.Bool(true),
				DefaultArguments: map[string]string{
					"--name": j.name, "--for": fmt.Sprintf("%gs", j.wait.Seconds()), "--fail": strconv.Itoa(j.fail), "--limit": strconv.Itoa(limit), "--evidence": r.evidence,
				},
			})
		}
		must(r, r.glue.CreateWorkflow, &glue.CreateWorkflowInput{Name: &s.name})
		for i, t := range s.triggers {
			in := &glue.CreateTriggerInput{Name: aws.String(fmt.Sprintf("%s-%d", s.name, i)), WorkflowName: &s.name, Type: types.TriggerTypeOnDemand}
			if len(t.watches) > 0 {
				in.Type, in.StartOnCreation = types.TriggerTypeConditional, true
				in.Predicate = &types.Predicate{Logical: types.LogicalAnd}
				for _, w := range t.watches {
					in.Predicate.Conditions = append(in.Predicate.Conditions, types.Condition{
						JobName: &w.job, State: w.state, LogicalOperator: types.LogicalOperatorEquals,
					})
				}
			}
			for _, name := range t.starts {
				in.Actions = append(in.Actions, types.Action{JobName: &name})
			}
			must(r, r.glue.CreateTrigger, in)
		}
	}
}

// must makes a call that has to succeed, however often the server dies under it.
func must[In, Out any](r *rig, call func(context.Context, In, ...func(*glue.Options)) (Out, error), in In) Out {
	r.Helper()
	out, err := try(r, call, in)
	if err != nil {
		r.Fatalf("%T: %v", in, err)
	}
	return out
}

// try makes a call and goes on until the server answers.
func try[In, Out any](r *rig, call func(context.Context, In, ...func(*glue.Options)) (Out, error), in In) (Out, error) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	return call(ctx, in)
}

// load starts runs, waits for each to end, and starts others, until it is asked
// to finish.
type load struct {
	r      *rig
	shapes []shape
	quit   chan struct{}
	once   sync.Once
	work   sync.WaitGroup
}

// newLoad lets workers loose. It is finished before the test ends.
func (r *rig) newLoad(workers int, prefix string, seed uint64, list ...shape) *load {
	l := &load{r: r, shapes: list, quit: make(chan struct{})}
	for w := range workers {
		rng := rand.New(rand.NewPCG(seed, uint64(w)))
		l.work.Go(func() {
			for i := 0; ; i++ {
				s := l.shapes[(w+i)%len(l.shapes)]
				if err := l.one(s, fmt.Sprintf("%s-%d-%d", prefix, w, i), rng); err != nil {
					if r.Context().Err() != nil {
						return // the test has failed already
					}
					r.Errorf("run of %s: %v", s.name, err)
					return
				}
				select {
				case <-l.quit:
					return
				default:
				}
			}
		})
	}
	r.Cleanup(l.finish)
	return l
}

// finish starts no more runs and waits until those that were started have ended.
func (l *load) finish() {
	l.once.Do(func() { close(l.quit) })
	l.work.Wait()
}

// one starts one run and sees it to its end. The ticket among its properties
// tells which call it came from.
func (l *load) one(s shape, ticket string, rng *rand.Rand) error {
	started, err := try(l.r, l.r.glue.StartWorkflowRun, &glue.StartWorkflowRunInput{Name: &s.name, RunProperties: map[string]string{"ticket": ticket}})
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	l.r.mu.Lock()
	l.r.acked[ticket] = acked{workflow: s.name, run: *started.RunId}
	l.r.mu.Unlock()
	// Half of the stops meet a launch on its way, the other half a process.
	stopAt := time.Now().Add(time.Duration(rng.IntN([]int{10, 200}[rng.IntN(2)])) * time.Millisecond)
	stop := s.stopped
	var last *types.WorkflowRun
	var failure error
	ended := waitFor(func() bool {
		var got *glue.GetWorkflowRunOutput
		if got, failure = try(l.r, l.r.glue.GetWorkflowRun, &glue.GetWorkflowRunInput{Name: &s.name, RunId: started.RunId}); failure != nil {
			failure = fmt.Errorf("%s was acknowledged: %w", *started.RunId, failure)
			return true
		}
		if last = got.Run; over(last.Status) {
			return true
		}
		if stop && time.Now().After(stopAt) {
			stop = false
			_, failure = try(l.r, l.r.glue.StopWorkflowRun, &glue.StopWorkflowRunInput{Name: &s.name, RunId: started.RunId})
			var late *types.IllegalWorkflowStateException
			if errors.As(failure, &late) {
				failure = nil // it has ended meanwhile
			}
		}
		return failure != nil
	})
	if !ended {
		return fmt.Errorf("%s did not end within %s: %s, %+v", *started.RunId, patience, last.Status, *last.Statistics)
	}
	return failure
}

func over(s types.WorkflowRunStatus) bool {
	return s == types.WorkflowRunStatusCompleted || s == types.WorkflowRunStatusStopped || s == types.WorkflowRunStatusError
}
