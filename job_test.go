package tenon

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tenon/internal/launch/fake"
)

var sdkJob = cmpopts.IgnoreUnexported(types.Job{}, types.JobCommand{}, types.ExecutionProperty{}, types.NotificationProperty{}, types.ConnectionsList{})

// What the service fills in, read back right after CreateJob (spec/jobs §1.3, §1.4).
func TestJobDefaults(t *testing.T) {
	job := func(command, python, version string, capacity float64, timeout int32) types.Job {
		j := types.Job{
			Command:     &types.JobCommand{Name: &command, ScriptLocation: aws.String("s3://s/x.py"), PythonVersion: &python},
			GlueVersion: &version, MaxCapacity: &capacity, AllocatedCapacity: int32(capacity), JobMode: types.JobModeScript,
			JobRunQueuingEnabled: aws.Bool(false), ExecutionProperty: &types.ExecutionProperty{MaxConcurrentRuns: 1},
		}
		if timeout > 0 {
			j.Timeout = &timeout
		}
		return j
	}
	with := func(j types.Job, change func(*types.Job)) types.Job { change(&j); return j }
	cases := []struct {
		name    string
		command types.JobCommand
		change  func(*glue.CreateJobInput)
		want    types.Job
	}{
		{"glueetl, nothing declared", types.JobCommand{Name: aws.String("glueetl")}, nil, job("glueetl", "2", "5.1", 10, 480)},
		{"glueetl of an older version", types.JobCommand{Name: aws.String("glueetl")}, func(in *glue.CreateJobInput) { in.GlueVersion = aws.String("4.0") }, job("glueetl", "2", "4.0", 10, 2880)},
		{"gluestreaming", types.JobCommand{Name: aws.String("gluestreaming")}, nil, job("gluestreaming", "2", "5.1", 10, 0)},
		{"pythonshell, nothing declared", types.JobCommand{Name: aws.String("pythonshell")}, nil, job("pythonshell", "3", "1.0", 0.0625, 2880)},
		{"pythonshell as in the table", types.JobCommand{Name: aws.String("pythonshell"), PythonVersion: aws.String("3.9")}, func(in *glue.CreateJobInput) {
			in.MaxCapacity, in.GlueVersion = aws.Float64(0.0625), aws.String("4.0")
		}, job("pythonshell", "3.9", "4.0", 0.0625, 2880)},
		{"pythonshell of one unit", types.JobCommand{Name: aws.String("pythonshell")}, func(in *glue.CreateJobInput) { in.MaxCapacity = aws.Float64(1) }, job("pythonshell", "3", "1.0", 1, 2880)},
		{"sized by workers", types.JobCommand{Name: aws.String("glueetl")}, func(in *glue.CreateJobInput) {
			in.WorkerType, in.NumberOfWorkers = types.WorkerTypeG1x, aws.Int32(10)
		}, with(job("glueetl", "2", "5.1", 10, 480), func(j *types.Job) {
			j.WorkerType, j.NumberOfWorkers = types.WorkerTypeG1x, aws.Int32(10)
		})},
		{"sized by small workers", types.JobCommand{Name: aws.String("gluestreaming")}, func(in *glue.CreateJobInput) {
			in.WorkerType, in.NumberOfWorkers = types.WorkerTypeG025x, aws.Int32(2)
		}, with(job("gluestreaming", "2", "5.1", 0.5, 0), func(j *types.Job) {
			j.WorkerType, j.NumberOfWorkers = types.WorkerTypeG025x, aws.Int32(2)
		})},
		{"AllocatedCapacity alone", types.JobCommand{Name: aws.String("glueetl")}, func(in *glue.CreateJobInput) { in.AllocatedCapacity = 4 }, job("glueetl", "2", "5.1", 4, 480)},
		{"everything else echoed", types.JobCommand{Name: aws.String("glueetl"), PythonVersion: aws.String("3")}, func(in *glue.CreateJobInput) {
			in.Description, in.LogUri = aws.String("two\nlines"), aws.String("s3://logs/")
			in.DefaultArguments = map[string]string{"--a": "1"}
			in.NonOverridableArguments = map[string]string{"--b": "2"}
			in.Connections = &types.ConnectionsList{Connections: []string{"c"}}
			in.MaxRetries, in.Timeout = 10, aws.Int32(10080)
			in.NotificationProperty = &types.NotificationProperty{NotifyDelayAfter: aws.Int32(1)}
			in.SecurityConfiguration, in.ExecutionClass = aws.String("sec"), types.ExecutionClassFlex
			in.ExecutionProperty = &types.ExecutionProperty{MaxConcurrentRuns: 7}
			in.JobMode, in.JobRunQueuingEnabled = types.JobModeNotebook, aws.Bool(true)
			in.MaintenanceWindow = aws.String("Sun:3")
		}, with(job("glueetl", "3", "5.1", 10, 10080), func(j *types.Job) {
			j.Description, j.LogUri = aws.String("two\nlines"), aws.String("s3://logs/")
			j.DefaultArguments = map[string]string{"--a": "1"}
			j.NonOverridableArguments = map[string]string{"--b": "2"}
			j.Connections = &types.ConnectionsList{Connections: []string{"c"}}
			j.MaxRetries = 10
			j.NotificationProperty = &types.NotificationProperty{NotifyDelayAfter: aws.Int32(1)}
			j.SecurityConfiguration, j.ExecutionClass = aws.String("sec"), types.ExecutionClassFlex
			j.ExecutionProperty = &types.ExecutionProperty{MaxConcurrentRuns: 7}
			j.JobMode, j.JobRunQueuingEnabled = types.JobModeNotebook, aws.Bool(true)
			j.MaintenanceWindow = aws.String("Sun:3")
		})},
	}
	inWorlds(t, nil, func(w *world) {
		for _, c := range cases {
			c.command.ScriptLocation = aws.String("s3://s/x.py")
			in := &glue.CreateJobInput{Name: aws.String(c.name), Role: aws.String("no/such/role"), Command: &c.command}
			if c.change != nil {
				c.change(in)
			}
			must[*glue.CreateJobOutput](w.t)(w.glue.CreateJob(w.t.Context(), in))
			got := must[*glue.GetJobOutput](w.t)(w.glue.GetJob(w.t.Context(), &glue.GetJobInput{JobName: in.Name})).Job
			now := time.Now()
			c.want.Name, c.want.Role, c.want.CreatedOn, c.want.LastModifiedOn = in.Name, in.Role, &now, &now
			if diff := gocmp.Diff(c.want, *got, sdkJob, cmpopts.EquateApproxTime(0)); diff != "" {
				w.t.Errorf("%s (-want +got):\n%s", c.name, diff)
			}
		}
	})
}

// UpdateJob replaces everything but the name, the tags, the date of creation and
// the version of Glue (spec/jobs §1.5).
func TestUpdateJob(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		ctx := w.t.Context()
		created := time.Now()
		must[*glue.CreateJobOutput](w.t)(w.glue.CreateJob(ctx, shell("J", func(in *glue.CreateJobInput) {
			in.GlueVersion, in.Timeout, in.MaxRetries, in.Description = aws.String("3.0"), aws.Int32(5), 2, aws.String("old")
			in.DefaultArguments, in.Tags = map[string]string{"--a": "1"}, map[string]string{"team": "data"}
			in.ExecutionProperty = &types.ExecutionProperty{MaxConcurrentRuns: 4}
			in.JobRunQueuingEnabled = aws.Bool(true)
		})))
		w.advance(time.Minute)
		modified := time.Now()
		update := func(u types.JobUpdate) func(context.Context, *glue.Client) error {
			return func(ctx context.Context, c *glue.Client) error {
				_, err := c.UpdateJob(ctx, &glue.UpdateJobInput{JobName: aws.String("J"), JobUpdate: &u})
				return err
			}
		}
		command := &types.JobCommand{Name: aws.String("glueetl"), ScriptLocation: aws.String("s3://new/y.py")}
		const text = "JobUpdate must have a Role and a Command"
		w.refuses([]refusal{
			{"§1.5 no command", update(types.JobUpdate{Role: aws.String("r")}), "InvalidInputException", text},
			{"§1.5 no role", update(types.JobUpdate{Command: command}), "InvalidInputException", text},
			{"§1.4 in an update", update(types.JobUpdate{Role: aws.String("r"), Command: command, WorkerType: types.WorkerTypeG1x}), "InvalidInputException", "Please set both Worker Type and Number of Workers."},
			{"§1.6 missing", func(ctx context.Context, c *glue.Client) error {
				_, err := c.UpdateJob(ctx, &glue.UpdateJobInput{JobName: aws.String("nowhere"), JobUpdate: &types.JobUpdate{Role: aws.String("r"), Command: command}})
				return err
			}, "EntityNotFoundException", "Job with name: nowhere not found."},
		})
		if err := update(types.JobUpdate{Role: aws.String("new"), Command: command})(ctx, w.glue); err != nil {
			w.t.Fatal(err)
		}
		got := must[*glue.GetJobOutput](w.t)(w.glue.GetJob(ctx, &glue.GetJobInput{JobName: aws.String("J")})).Job
		want := types.Job{
			Name: aws.String("J"), Role: aws.String("new"), CreatedOn: &created, LastModifiedOn: &modified,
			Command:     &types.JobCommand{Name: aws.String("glueetl"), ScriptLocation: aws.String("s3://new/y.py"), PythonVersion: aws.String("2")},
			GlueVersion: aws.String("3.0"), Timeout: aws.Int32(2880), MaxCapacity: aws.Float64(10), AllocatedCapacity: 10, JobMode: types.JobModeScript,
			JobRunQueuingEnabled: aws.Bool(false), ExecutionProperty: &types.ExecutionProperty{MaxConcurrentRuns: 1},
		}
		if diff := gocmp.Diff(want, *got, sdkJob, cmpopts.EquateApproxTime(0)); diff != "" {
			w.t.Errorf("after the update (-want +got):\n%s", diff)
		}
		tags := must[*glue.GetTagsOutput](w.t)(w.glue.GetTags(ctx, &glue.GetTagsInput{ResourceArn: arnOf("job", "J")})).Tags
		if tags["team"] != "data" {
			w.t.Errorf("tags after the update: %v", tags)
		}
	})
}

// Rows of spec/jobs §1.2, §1.4, §1.6 and §2.7 that refuse a job.
func TestJobRules(t *testing.T) {
	create := func(command string, change func(*glue.CreateJobInput)) func(context.Context, *glue.Client) error {
		return func(ctx context.Context, c *glue.Client) error {
			in := shell("new", change)
			in.Command.Name = &command
			_, err := c.CreateJob(ctx, in)
			return err
		}
	}
	capacity := func(n float64) func(*glue.CreateJobInput) {
		return func(in *glue.CreateJobInput) { in.MaxCapacity = &n }
	}
	workers := func(typ types.WorkerType, n int32) func(*glue.CreateJobInput) {
		return func(in *glue.CreateJobInput) { in.WorkerType, in.NumberOfWorkers = typ, &n }
	}
	both := func(changes ...func(*glue.CreateJobInput)) func(*glue.CreateJobInput) {
		return func(in *glue.CreateJobInput) {
			for _, c := range changes {
				c(in)
			}
		}
	}
	const invalid = "InvalidInputException"
	const exclusive = "Please do not set Max Capacity if using Worker Type and Number of Workers."
	const flex = "Execution class FLEX is supported for glueetl jobs of Glue version 3.0 and later only"
	const spark = "For Spark jobs, Max Capacity must be a whole number between 2 and 100."
	cases := []refusal{
		{"workers and capacity", create("glueetl", both(capacity(10), workers(types.WorkerTypeG1x, 2))), invalid, exclusive},
		{"worker type and capacity", create("glueetl", both(capacity(10), func(in *glue.CreateJobInput) { in.WorkerType = types.WorkerTypeG1x })), invalid, exclusive},
		{"both capacities", create("glueetl", both(capacity(10), func(in *glue.CreateJobInput) { in.AllocatedCapacity = 10 })), invalid, "Please set only Allocated Capacity or Max Capacity."},
		{"type alone", create("glueetl", func(in *glue.CreateJobInput) { in.WorkerType = types.WorkerTypeG1x }), invalid, "Please set both Worker Type and Number of Workers."},
		{"number alone", create("glueetl", func(in *glue.CreateJobInput) { in.NumberOfWorkers = aws.Int32(2) }), invalid, "Please set both Worker Type and Number of Workers."},
		{"workers on pythonshell", create("pythonshell", workers(types.WorkerTypeG1x, 2)), invalid, "Worker Type is not supported for Job Command pythonshell"},
		{"too few workers", create("glueetl", workers(types.WorkerTypeG1x, 1)), invalid, "To use Worker Type G.1X, minimum allowed value of Number of Workers is 2."},
		{"too many workers", create("gluestreaming", workers(types.WorkerTypeG025x, 300)), invalid, "To use Worker Type G.025X, maximum allowed value of Number of Workers is 299."},
		{"pythonshell capacity", create("pythonshell", capacity(0.5)), invalid, "For Python shell jobs, Max Capacity must be 0.0625 or 1.0."},
		{"spark capacity, fraction", create("glueetl", capacity(2.5)), invalid, spark},
		{"spark capacity, small", create("glueetl", capacity(1)), invalid, spark},
		{"spark capacity, large", create("gluestreaming", capacity(101)), invalid, spark},
		{"timeout", create("pythonshell", func(in *glue.CreateJobInput) { in.Timeout = aws.Int32(10081) }), invalid, "Timeout must not exceed 10080 minutes"},
		{"FLEX on pythonshell", create("pythonshell", func(in *glue.CreateJobInput) { in.ExecutionClass = types.ExecutionClassFlex }), invalid, flex},
		{"FLEX on an old version", create("glueetl", func(in *glue.CreateJobInput) {
			in.ExecutionClass, in.GlueVersion = types.ExecutionClassFlex, aws.String("2.0")
		}), invalid, flex},
		{"arguments", create("pythonshell", func(in *glue.CreateJobInput) {
			in.DefaultArguments = map[string]string{"--a": strings.Repeat("x", 200<<10)}
			in.NonOverridableArguments = map[string]string{"--b": strings.Repeat("x", 70<<10)}
		}), invalid, "The arguments of the job exceed the limit of 266240 bytes"},
		{"retries", create("pythonshell", func(in *glue.CreateJobInput) { in.MaxRetries = 11 }), invalid, "MaxRetries must be between 0 and 10"},
		{"negative retries", create("pythonshell", func(in *glue.CreateJobInput) { in.MaxRetries = -1 }), invalid, "MaxRetries must be between 0 and 10"},
		{"concurrency", create("pythonshell", func(in *glue.CreateJobInput) {
			in.ExecutionProperty = &types.ExecutionProperty{MaxConcurrentRuns: -1}
		}), invalid, "MaxConcurrentRuns must be a positive integer"},
		{"timeout of 0", create("pythonshell", func(in *glue.CreateJobInput) { in.Timeout = aws.Int32(0) }), "ValidationException", ""},
		{"maintenance window", create("pythonshell", func(in *glue.CreateJobInput) { in.MaintenanceWindow = aws.String("Sunday:3") }), "ValidationException", ""},
		{"name with a line break", func(ctx context.Context, c *glue.Client) error {
			_, err := c.CreateJob(ctx, shell("two\nlines"))
			return err
		}, "ValidationException", ""},
		{"exists", func(ctx context.Context, c *glue.Client) error { _, err := c.CreateJob(ctx, shell("J")); return err }, "AlreadyExistsException", "Job already exists."},
		{"§1.6 missing", func(ctx context.Context, c *glue.Client) error {
			_, err := c.GetJob(ctx, &glue.GetJobInput{JobName: aws.String("nowhere")})
			return err
		}, "EntityNotFoundException", "Job with name: nowhere not found."},
	}
	inWorlds(t, nil, func(w *world) {
		w.scene()
		w.refuses(cases)
		ctx := w.t.Context()
		for range 2 { // deleting what is gone is fine
			out := must[*glue.DeleteJobOutput](w.t)(w.glue.DeleteJob(ctx, &glue.DeleteJobInput{JobName: aws.String("J")}))
			if aws.ToString(out.JobName) != "J" {
				w.t.Errorf("DeleteJob answered %v", out)
			}
		}
		must[*glue.CreateJobOutput](w.t)(w.glue.CreateJob(ctx, shell("J")))
		batch := must[*glue.BatchGetJobsOutput](w.t)(w.glue.BatchGetJobs(ctx, &glue.BatchGetJobsInput{JobNames: []string{"nowhere", "K", "J", "K"}}))
		if len(batch.Jobs) != 2 || *batch.Jobs[0].Name != "K" || *batch.Jobs[1].Name != "J" || !slices.Equal(batch.JobsNotFound, []string{"nowhere"}) {
			w.t.Errorf("BatchGetJobs: %+v", batch)
		}
	})
}

// StartJobRun's checks, and what a run takes from its job and from the call
// (spec/jobs §2.4, §2.5, §3.1, U1).
func TestStartJobRun(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		ctx := w.t.Context()
		must[*glue.CreateJobOutput](w.t)(w.glue.CreateJob(ctx, shell("J", func(in *glue.CreateJobInput) {
			in.DefaultArguments = map[string]string{"--a": "job", "--b": "job", "--c": "job"}
			in.NonOverridableArguments = map[string]string{"--c": "fixed"}
			in.Role, in.SecurityConfiguration = aws.String("arn:aws:iam::1:role/path/runner"), aws.String("sec")
			in.ExecutionProperty = &types.ExecutionProperty{MaxConcurrentRuns: 9}
		})))
		start := func(in glue.StartJobRunInput) func(context.Context, *glue.Client) error {
			in.JobName = aws.String(cmp.Or(aws.ToString(in.JobName), "J"))
			return func(ctx context.Context, c *glue.Client) error { _, err := c.StartJobRun(ctx, &in); return err }
		}
		w.refuses([]refusal{
			{"§2.4 step 1", start(glue.StartJobRunInput{JobName: aws.String("nowhere")}), "EntityNotFoundException", "Failed to start job run due to missing metadata."},
			{"§2.4 step 2", start(glue.StartJobRunInput{WorkerType: types.WorkerTypeG1x, NumberOfWorkers: aws.Int32(2)}), "InvalidInputException", "Worker Type is not supported for Job Command pythonshell"},
			{"§2.4 step 2, capacity", start(glue.StartJobRunInput{MaxCapacity: aws.Float64(3)}), "InvalidInputException", "For Python shell jobs, Max Capacity must be 0.0625 or 1.0."},
			{"§1.4 arguments", start(glue.StartJobRunInput{Arguments: map[string]string{"--a": strings.Repeat("x", 261<<10)}}), "InvalidInputException", "The arguments of the job exceed the limit of 266240 bytes"},
			{"§2.7 unknown run", start(glue.StartJobRunInput{JobRunId: aws.String("jr_1")}), "InvalidInputException", "Job run jr_1 cannot be retried: it does not exist or has not ended"},
			{"§1.6 missing run", func(ctx context.Context, c *glue.Client) error {
				_, err := c.GetJobRun(ctx, &glue.GetJobRunInput{JobName: aws.String("J"), RunId: aws.String("jr_1")})
				return err
			}, "EntityNotFoundException", "Job run not found."},
			{"§1.6 runs of a missing job", func(ctx context.Context, c *glue.Client) error {
				_, err := c.GetJobRuns(ctx, &glue.GetJobRunsInput{JobName: aws.String("nowhere")})
				return err
			}, "EntityNotFoundException", "Job with name: nowhere not found."},
		})
		began := time.Now()
		id := must[*glue.StartJobRunOutput](w.t)(w.glue.StartJobRun(ctx, &glue.StartJobRunInput{
			JobName: aws.String("J"), Arguments: map[string]string{"--b": "run", "--c": "run", "--d": "run"}, Timeout: aws.Int32(7), MaxCapacity: aws.Float64(1),
			NotificationProperty: &types.NotificationProperty{NotifyDelayAfter: aws.Int32(2)}, JobRunQueuingEnabled: aws.Bool(true),
			ExecutionRoleSessionPolicy: aws.String("{}"),
		})).JobRunId
		// A later change of the job does not touch the run (§2.4 step 4).
		must[*glue.UpdateJobOutput](w.t)(w.glue.UpdateJob(ctx, &glue.UpdateJobInput{JobName: aws.String("J"), JobUpdate: &types.JobUpdate{
			Role: aws.String("other"), Command: &types.JobCommand{Name: aws.String("pythonshell"), ScriptLocation: aws.String("s3://other")},
		}}))
		w.advance(2 * time.Second)
		if p := w.process(*id); !slices.Equal(p.Argv, []string{"/job/J", "--a", "job", "--b", "run", "--c", "fixed", "--d", "run"}) || p.Timeout != 7*time.Minute {
			w.t.Errorf("the process is %v for %s", p.Argv, p.Timeout)
		}
		ended := began.Add(time.Second)
		want := types.JobRun{
			Id: id, JobName: aws.String("J"), JobRunState: types.JobRunStateSucceeded, StartedOn: &began, CompletedOn: &ended, LastModifiedOn: &ended,
			ExecutionTime: 1, Arguments: map[string]string{"--b": "run", "--c": "run", "--d": "run"}, PredecessorRuns: []types.Predecessor{},
			Timeout: aws.Int32(7), MaxCapacity: aws.Float64(1), AllocatedCapacity: 1, GlueVersion: aws.String("1.0"), JobMode: types.JobModeScript,
			SecurityConfiguration: aws.String("sec"), NotificationProperty: &types.NotificationProperty{NotifyDelayAfter: aws.Int32(2)},
			JobRunQueuingEnabled: aws.Bool(true), ExecutionRoleSessionPolicy: aws.String("{}"), LogGroupName: aws.String("/aws-glue/python-jobs-runner-sec"),
		}
		got := must[*glue.GetJobRunOutput](w.t)(w.glue.GetJobRun(ctx, &glue.GetJobRunInput{JobName: aws.String("J"), RunId: id, PredecessorsIncluded: true})).JobRun
		sdk := cmpopts.IgnoreUnexported(types.JobRun{}, types.NotificationProperty{}, types.Predecessor{})
		if diff := gocmp.Diff(want, *got, sdk, cmpopts.EquateApproxTime(0)); diff != "" {
			w.t.Errorf("GetJobRun (-want +got):\n%s", diff)
		}
		if _, err := w.glue.GetJobRun(ctx, &glue.GetJobRunInput{JobName: aws.String("K"), RunId: id}); err == nil {
			w.t.Error("the run is found under another job")
		}
	})
}

// StartJobRun with JobRunId makes the next attempt of an ended run, with its
// arguments overlaid by those of the call (spec/jobs §2.7).
func TestRetryByHand(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		ctx := w.t.Context()
		must[*glue.CreateJobOutput](w.t)(w.glue.CreateJob(ctx, shell("J", func(in *glue.CreateJobInput) {
			in.ExecutionProperty = &types.ExecutionProperty{MaxConcurrentRuns: 9}
		})))
		w.plan("J", fake.Outcome{After: 5 * time.Second, ExitCode: 1}, fake.Outcome{After: time.Second})
		first := must[*glue.StartJobRunOutput](w.t)(w.glue.StartJobRun(ctx, &glue.StartJobRunInput{JobName: aws.String("J"), Arguments: map[string]string{"--a": "1", "--b": "1"}})).JobRunId
		w.advance(time.Second)
		again := &glue.StartJobRunInput{JobName: aws.String("J"), JobRunId: first, Arguments: map[string]string{"--b": "2"}}
		w.refuses([]refusal{{"§2.7 running", func(ctx context.Context, c *glue.Client) error { _, err := c.StartJobRun(ctx, again); return err },
			"InvalidInputException", "Job run " + *first + " cannot be retried: it does not exist or has not ended"}})
		w.advance(10 * time.Second)
		second := must[*glue.StartJobRunOutput](w.t)(w.glue.StartJobRun(ctx, again)).JobRunId
		if *second != *first+"_attempt_1" {
			w.t.Errorf("the retry is %s", *second)
		}
		w.advance(10 * time.Second)
		got := must[*glue.GetJobRunOutput](w.t)(w.glue.GetJobRun(ctx, &glue.GetJobRunInput{JobName: aws.String("J"), RunId: second})).JobRun
		if got.Attempt != 1 || aws.ToString(got.PreviousRunId) != *first || got.JobRunState != types.JobRunStateSucceeded || got.Arguments["--a"] != "1" || got.Arguments["--b"] != "2" {
			w.t.Errorf("the retry is %+v", got)
		}
	})
}
