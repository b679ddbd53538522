package glueapi

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"tenon/internal/jobrun"
	"tenon/internal/orchestrate"
	"tenon/internal/store"
)

// StartJobRun starts a run of a job, or retries an earlier one (spec/jobs §2.4, §2.7).
func (s *Service) StartJobRun(ctx context.Context, in *glue.StartJobRunInput) (*glue.StartJobRunOutput, error) {
	if jobrun.ArgumentBytes(in.Arguments) > jobrun.MaxArgumentBytes {
		return nil, errArguments()
	}
	q := jobrun.Request{
		Arguments: in.Arguments, Timeout: narrow(in.Timeout), MaxCapacity: in.MaxCapacity, WorkerType: string(in.WorkerType),
		NumberOfWorkers: narrow(in.NumberOfWorkers), SecurityConfiguration: aws.ToString(in.SecurityConfiguration),
		ExecutionClass: string(in.ExecutionClass), Queuing: in.JobRunQueuingEnabled,
		ExecutionRoleSessionPolicy: aws.ToString(in.ExecutionRoleSessionPolicy),
	}
	if in.AllocatedCapacity != 0 {
		q.AllocatedCapacity = aws.Int(int(in.AllocatedCapacity))
	}
	if in.NotificationProperty != nil {
		q.NotifyDelayAfter = narrow(in.NotificationProperty.NotifyDelayAfter)
	}
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.StartJobRunOutput, error) {
		check := func(d jobrun.Definition) error { return checkRunSize(d, q) }
		var a store.Attempt
		var err error
		if in.JobRunId == nil {
			a, err = s.Orchestrator.StartJobRun(tx, scope, *in.JobName, q, check)
		} else {
			a, err = s.retry(tx, scope, *in.JobName, *in.JobRunId, q, check)
		}
		switch {
		case errors.Is(err, orchestrate.ErrNoJob):
			return nil, errStartMissingJob()
		case errors.Is(err, orchestrate.ErrConcurrentJob):
			return nil, errConcurrentJob(*in.JobName)
		case err != nil:
			return nil, err
		}
		return &glue.StartJobRunOutput{JobRunId: aws.String(a.ID())}, nil
	})
}

func (s *Service) retry(tx store.Tx, scope store.Scope, job, id string, q jobrun.Request, check func(jobrun.Definition) error) (store.Attempt, error) {
	if _, err := tx.Document(scope, store.Jobs, job); errors.Is(err, store.ErrNotFound) {
		return store.Attempt{}, orchestrate.ErrNoJob
	} else if err != nil {
		return store.Attempt{}, err
	}
	previous, err := attempt(tx, scope, job, id)
	if errors.Is(err, store.ErrNotFound) {
		return previous, errRetryOf(id)
	}
	if err != nil {
		return previous, err
	}
	a, err := s.Orchestrator.RetryJobRun(tx, previous, q, check)
	if errors.Is(err, orchestrate.ErrNotStoppable) {
		return a, errRetryOf(id)
	}
	return a, err
}

// checkRunSize checks what the call gave, seen together with the job
// (spec/jobs §2.4 step 2): the run's sizing replaces the job's as a whole.
func checkRunSize(d jobrun.Definition, q jobrun.Request) error {
	size := jobrun.Size{
		Command: d.Command.Name, GlueVersion: d.GlueVersion, MaxCapacity: q.MaxCapacity, AllocatedCapacity: q.AllocatedCapacity,
		WorkerType: q.WorkerType, NumberOfWorkers: q.NumberOfWorkers, Timeout: q.Timeout, ExecutionClass: q.ExecutionClass,
	}
	if size.WorkerType == "" && size.NumberOfWorkers != nil {
		size.WorkerType = d.WorkerType
	}
	if size.NumberOfWorkers == nil && size.WorkerType != "" {
		size.NumberOfWorkers = d.NumberOfWorkers
	}
	return sizeError(jobrun.CheckSize(size))
}

// GetJobRun returns one attempt. Runs of a deleted job stay readable (spec/jobs §1.6).
func (s *Service) GetJobRun(ctx context.Context, in *glue.GetJobRunInput) (*glue.GetJobRunOutput, error) {
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.GetJobRunOutput, error) {
		a, err := attempt(tx, scope, *in.JobName, *in.RunId)
		if errors.Is(err, store.ErrNotFound) {
			return nil, errJobRunNotFound()
		}
		if err != nil {
			return nil, err
		}
		run := showJobRun(&a)
		if in.PredecessorsIncluded {
			run.PredecessorRuns = showPredecessors(a.Run.Predecessors)
		}
		return &glue.GetJobRunOutput{JobRun: run}, nil
	})
}

// GetJobRuns returns the attempts of a job, newest first (spec/jobs §2.1).
func (s *Service) GetJobRuns(ctx context.Context, in *glue.GetJobRunsInput) (*glue.GetJobRunsOutput, error) {
	page, err := s.page(ctx, in.NextToken, in.MaxResults, 100, *in.JobName)
	if err != nil {
		return nil, err
	}
	below, err := page.seq()
	if err != nil {
		return nil, err
	}
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.GetJobRunsOutput, error) {
		doc, err := tx.Document(scope, store.Jobs, *in.JobName)
		if errors.Is(err, store.ErrNotFound) {
			return nil, errJobNotFound(*in.JobName)
		}
		if err != nil {
			return nil, err
		}
		rows, err := tx.ListJobAttempts(doc.UID, below, page.limit+1)
		if err != nil {
			return nil, err
		}
		rows, next := cut(page, rows, func(a store.Attempt) string { return strconv.FormatInt(a.Seq, 10) })
		out := &glue.GetJobRunsOutput{JobRuns: []types.JobRun{}, NextToken: next}
		for i := range rows {
			out.JobRuns = append(out.JobRuns, *showJobRun(&rows[i]))
		}
		return out, nil
	})
}

// BatchStopJobRun stops what it can and says of each run whether it did
// (spec/jobs §2.9).
func (s *Service) BatchStopJobRun(ctx context.Context, in *glue.BatchStopJobRunInput) (*glue.BatchStopJobRunOutput, error) {
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.BatchStopJobRunOutput, error) {
		out := &glue.BatchStopJobRunOutput{
			SuccessfulSubmissions: []types.BatchStopJobRunSuccessfulSubmission{}, Errors: []types.BatchStopJobRunError{},
		}
		for _, id := range distinct(in.JobRunIds) {
			a, err := attempt(tx, scope, *in.JobName, id)
			if err == nil {
				err = s.Orchestrator.StopJobRun(tx, a)
			}
			code, text := "", ""
			switch {
			case err == nil:
				out.SuccessfulSubmissions = append(out.SuccessfulSubmissions, types.BatchStopJobRunSuccessfulSubmission{JobName: in.JobName, JobRunId: aws.String(id)})
				continue
			case errors.Is(err, store.ErrNotFound):
				code, text = codeNotFound, textRunNotFound
			case errors.Is(err, orchestrate.ErrNotStoppable):
				code, text = codeCannotStop, textCannotStop
			default:
				return nil, err
			}
			out.Errors = append(out.Errors, types.BatchStopJobRunError{
				JobName: in.JobName, JobRunId: aws.String(id), ErrorDetail: &types.ErrorDetail{ErrorCode: &code, ErrorMessage: &text},
			})
		}
		return out, nil
	})
}

// attempt returns the attempt with this id if it is a run of a job of that name
// in the scope, else store.ErrNotFound.
func attempt(tx store.Tx, scope store.Scope, job, id string) (store.Attempt, error) {
	key, rand, err := store.ParseAttemptID(id)
	if err != nil {
		return store.Attempt{}, store.ErrNotFound
	}
	a, err := tx.Attempt(key)
	if err != nil {
		return store.Attempt{}, err
	}
	if a.Rand != rand || a.Scope != scope || a.Run.JobName != job {
		return store.Attempt{}, store.ErrNotFound
	}
	return a, nil
}

// showJobRun turns an attempt into the SDK's type (spec/jobs §2.5).
func showJobRun(a *store.Attempt) *types.JobRun {
	r, set := &a.Run, &a.Run.Settings
	out := &types.JobRun{
		Id: aws.String(a.ID()), Attempt: int32(a.Key.N), JobName: &r.JobName, JobRunState: types.JobRunState(a.State),
		StartedOn: &r.StartedOn, LastModifiedOn: when(r.ModifiedOn), CompletedOn: when(r.CompletedOn),
		ExecutionTime: int32(r.ExecutionTime()), Arguments: r.Arguments, ErrorMessage: optional(r.ErrorMessage),
		StateDetail: optional(r.StateDetail), TriggerName: optional(r.TriggerName), PreviousRunId: optional(r.PreviousRun),
		PredecessorRuns: []types.Predecessor{}, Timeout: minutes(set.Timeout), MaxCapacity: &set.MaxCapacity,
		AllocatedCapacity: int32(jobrun.Allocated(set.MaxCapacity)), WorkerType: types.WorkerType(set.WorkerType),
		NumberOfWorkers: minutes(set.NumberOfWorkers), GlueVersion: optional(set.GlueVersion),
		SecurityConfiguration: optional(set.SecurityConfiguration), ExecutionClass: types.ExecutionClass(set.ExecutionClass),
		JobMode: types.JobMode(set.JobMode), JobRunQueuingEnabled: aws.Bool(set.Queuing),
		MaintenanceWindow: optional(set.MaintenanceWindow), ExecutionRoleSessionPolicy: optional(set.ExecutionRoleSessionPolicy),
		LogGroupName: &set.LogGroupName,
	}
	if !r.CompletedOn.IsZero() { // they are equal on AWS
		out.LastModifiedOn = out.CompletedOn
	}
	if set.Notify {
		out.NotificationProperty = &types.NotificationProperty{NotifyDelayAfter: minutes(set.NotifyDelayAfter)}
	}
	return out
}

func showPredecessors(in []jobrun.Predecessor) []types.Predecessor {
	out := make([]types.Predecessor, len(in))
	for i := range in {
		out[i] = types.Predecessor{JobName: &in[i].JobName, RunId: &in[i].RunID}
	}
	return out
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
