package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/go-json-experiment/json"

	"tenon/bench/drive"
)

const (
	account   = "123456789012"
	bucket    = "bench"
	script    = "s3://" + bucket + "/nothing.py"
	sleeper   = "s3://" + bucket + "/sleep.py"
	sleepTime = 24 * time.Hour
)

// properties are given to each measured start, as a caller would.
var properties = map[string]string{"date": "2026-11-22", "source": "s3://bench/in/", "target": "s3://bench/out/", "mode": "full"}

// upload makes the bucket and the scripts of the jobs.
func upload(ctx context.Context, s drive.Server) error {
	client := s3Client(s)
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		return fmt.Errorf("make bucket: %w", err)
	}
	for key, text := range map[string]string{"nothing.py": "pass\n", "sleep.py": "import time\ntime.sleep(" + fmt.Sprint(sleepTime.Seconds()) + ")\n"} {
		_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader(text)})
		if err != nil {
			return fmt.Errorf("upload script: %w", err)
		}
	}
	return nil
}

// builder makes workflows through the API.
type builder struct {
	glue *glue.Client
}

// job makes a Python-shell job.
func (b builder) job(ctx context.Context, name, location string, queue bool) error {
	in := &glue.CreateJobInput{
		Name: aws.String(name), Role: aws.String("arn:aws:iam::" + account + ":role/bench"),
		Command:           &types.JobCommand{Name: aws.String("pythonshell"), ScriptLocation: aws.String(location)},
		ExecutionProperty: &types.ExecutionProperty{MaxConcurrentRuns: 1}, MaxRetries: 0,
	}
	if queue {
		in.JobRunQueuingEnabled = aws.Bool(true)
	}
	if _, err := b.glue.CreateJob(ctx, in); err != nil {
		return fmt.Errorf("create job: %w", err)
	}
	return nil
}

// trigger makes a trigger of workflow that starts jobs: at once, or when the job
// after has succeeded.
func (b builder) trigger(ctx context.Context, workflow, name, after string, jobs ...string) error {
	in := &glue.CreateTriggerInput{Name: aws.String(name), WorkflowName: aws.String(workflow), Type: types.TriggerTypeOnDemand}
	for _, j := range jobs {
		in.Actions = append(in.Actions, types.Action{JobName: aws.String(j)})
	}
	if after != "" {
		in.Type, in.StartOnCreation = types.TriggerTypeConditional, true
		in.Predicate = &types.Predicate{Conditions: []types.Condition{{
			JobName: aws.String(after), LogicalOperator: types.LogicalOperatorEquals, State: types.JobRunStateSucceeded,
		}}}
	}
	if _, err := b.glue.CreateTrigger(ctx, in); err != nil {
		return fmt.Errorf("create trigger: %w", err)
	}
	return nil
}

func (b builder) workflow(ctx context.Context, name string) error {
	if _, err := b.glue.CreateWorkflow(ctx, &glue.CreateWorkflowInput{Name: aws.String(name)}); err != nil {
		return fmt.Errorf("create workflow: %w", err)
	}
	return nil
}

// waiting makes the workflow behind the measured start: two queued jobs whose
// only slot is held by a run that sleeps. A start writes the run, its firing, its
// nodes and two waiting job runs, and starts no process.
func (b builder) waiting(ctx context.Context, name string) error {
	jobs := []string{name + "-a", name + "-b"}
	for _, j := range jobs {
		if err := b.job(ctx, j, sleeper, true); err != nil {
			return err
		}
		if _, err := b.glue.StartJobRun(ctx, &glue.StartJobRunInput{JobName: aws.String(j)}); err != nil {
			return fmt.Errorf("start sleeping run: %w", err)
		}
	}
	if err := b.workflow(ctx, name); err != nil {
		return err
	}
	return b.trigger(ctx, name, name+"-start", "", jobs...)
}

// chain makes a workflow of n jobs one after the other: 2·n nodes.
func (b builder) chain(ctx context.Context, name string, n int, queue bool) error {
	if err := b.workflow(ctx, name); err != nil {
		return err
	}
	after := ""
	for i := range n {
		job := fmt.Sprintf("%s-%d", name, i+1)
		if err := b.job(ctx, job, script, queue); err != nil {
			return err
		}
		if err := b.trigger(ctx, name, job+"-when", after, job); err != nil {
			return err
		}
		after = job
	}
	return nil
}

// fan makes a workflow of n jobs at once.
func (b builder) fan(ctx context.Context, name string, n int) error {
	if err := b.workflow(ctx, name); err != nil {
		return err
	}
	var jobs []string
	for i := range n {
		jobs = append(jobs, fmt.Sprintf("%s-%d", name, i+1))
		if err := b.job(ctx, jobs[i], script, false); err != nil {
			return err
		}
	}
	return b.trigger(ctx, name, name+"-start", "", jobs...)
}

// startBody is the body of the measured StartWorkflowRun.
func startBody(workflow string) ([]byte, error) {
	return json.Marshal(map[string]any{"Name": workflow, "RunProperties": properties}, json.Deterministic(true))
}

// getBody is the body of the measured GetWorkflowRun.
func getBody(workflow, run string, graph bool) ([]byte, error) {
	return json.Marshal(map[string]any{"Name": workflow, "RunId": run, "IncludeGraph": graph}, json.Deterministic(true))
}

// pollEvery is how exact the time of a whole run is. Asking without a pause would
// take the CPU that the run needs.
const pollEvery = time.Millisecond

// runTime bounds one whole run.
const runTime = 2 * time.Minute

// whole starts a run, follows it to its end, and returns how long that took.
func whole(c *drive.Conn, workflow string, actions int) (time.Duration, error) {
	body, err := startBody(workflow)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	answer, err := c.Call("StartWorkflowRun", body)
	if err != nil {
		return 0, err
	}
	var started struct{ RunId string }
	if err := json.Unmarshal(answer, &started); err != nil {
		return 0, fmt.Errorf("read answer: %w", err)
	}
	ask, err := getBody(workflow, started.RunId, false)
	if err != nil {
		return 0, err
	}
	for {
		answer, err := c.Call("GetWorkflowRun", ask)
		took := time.Since(began)
		if err != nil {
			return 0, err
		}
		var got struct {
			Run struct {
				Status     string
				Statistics struct{ SucceededActions int }
			}
		}
		if err := json.Unmarshal(answer, &got); err != nil {
			return 0, fmt.Errorf("read answer: %w", err)
		}
		switch {
		case got.Run.Status == "COMPLETED" && got.Run.Statistics.SucceededActions == actions:
			return took, nil
		case got.Run.Status != "RUNNING":
			return 0, fmt.Errorf("run of %s ended %s with %d of %d actions", workflow, got.Run.Status, got.Run.Statistics.SucceededActions, actions)
		case took > runTime:
			return 0, errors.New("run of " + workflow + " does not end")
		}
		time.Sleep(pollEvery)
	}
}
