package glueapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"tenon/internal/jobrun"
	"tenon/internal/orchestrate"
	"tenon/internal/store"
	"tenon/internal/wire/awsjson"
)

// CreateJob makes a job (spec/jobs §1.2–§1.4). Script, role, connections and
// security configuration are not looked up, as on AWS.
func (s *Service) CreateJob(ctx context.Context, in *glue.CreateJobInput) (*glue.CreateJobOutput, error) {
	job := types.Job{
		Name: in.Name, Role: in.Role, Command: in.Command, Description: in.Description, LogUri: in.LogUri,
		CodeGenConfigurationNodes: in.CodeGenConfigurationNodes, Connections: in.Connections, DefaultArguments: in.DefaultArguments,
		ExecutionClass: in.ExecutionClass, ExecutionProperty: in.ExecutionProperty, GlueVersion: in.GlueVersion, JobMode: in.JobMode,
		JobRunQueuingEnabled: in.JobRunQueuingEnabled, MaintenanceWindow: in.MaintenanceWindow, MaxCapacity: in.MaxCapacity,
		MaxRetries: in.MaxRetries, NonOverridableArguments: in.NonOverridableArguments, NotificationProperty: in.NotificationProperty,
		NumberOfWorkers: in.NumberOfWorkers, SecurityConfiguration: in.SecurityConfiguration,
		SourceControlDetails: in.SourceControlDetails, Timeout: in.Timeout, WorkerType: in.WorkerType,
	}
	if err := checkJob(job, in.AllocatedCapacity); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	s.fillJob(&job, in.AllocatedCapacity)
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.CreateJobOutput, error) {
		err := s.Orchestrator.CheckQuota(orchestrate.JobQuota, func(int) (int, error) { return tx.CountDocuments(scope, store.Jobs) })
		if err != nil {
			return nil, err
		}
		body, err := awsjson.Marshal(&job)
		if err != nil {
			return nil, fmt.Errorf("encode job: %w", err)
		}
		now := s.now()
		err = tx.InsertDocument(store.Document{
			Scope: scope, Kind: store.Jobs, Name: *in.Name, UID: s.IDs.Next(), Version: s.IDs.Next(),
			Created: now, Modified: now, Body: body, Tags: maps.Clone(in.Tags),
		})
		if errors.Is(err, store.ErrExists) {
			return nil, errJobExists()
		}
		return &glue.CreateJobOutput{Name: in.Name}, err
	})
}

// checkJob applies the rules of spec/jobs §1.4 to what the caller gave.
func checkJob(job types.Job, allocated int32) error {
	size := jobrun.Size{
		Command: aws.ToString(job.Command.Name), GlueVersion: aws.ToString(job.GlueVersion), MaxCapacity: job.MaxCapacity,
		WorkerType: string(job.WorkerType), NumberOfWorkers: narrow(job.NumberOfWorkers), Timeout: narrow(job.Timeout),
		ExecutionClass: string(job.ExecutionClass),
	}
	if allocated != 0 {
		size.AllocatedCapacity = aws.Int(int(allocated))
	}
	if size.GlueVersion == "" {
		size.GlueVersion = jobrun.DefaultGlueVersion
	}
	if err := jobrun.CheckSize(size); err != nil {
		return sizeError(err)
	}
	switch {
	case job.MaxRetries < 0 || job.MaxRetries > 10:
		return errMaxRetries()
	case job.ExecutionProperty != nil && job.ExecutionProperty.MaxConcurrentRuns < 0:
		return errJobConcurrency()
	case jobrun.ArgumentBytes(job.DefaultArguments)+jobrun.ArgumentBytes(job.NonOverridableArguments) > jobrun.MaxArgumentBytes:
		return errArguments()
	}
	return nil
}

func sizeError(err error) error {
	var e *jobrun.SizeError
	if errors.As(err, &e) {
		return sizing(e)
	}
	return err
}

// fillJob fills in what AWS fills in on reading a new job back (spec/jobs §1.3).
// What the user sent is echoed as it is (§1.5).
func (s *Service) fillJob(job *types.Job, allocated int32) {
	command := aws.ToString(job.Command.Name)
	shell := command == jobrun.PythonShell
	if job.GlueVersion == nil {
		job.GlueVersion = aws.String(s.defaultGlueVersion(shell))
	}
	if job.Timeout == nil {
		if t := jobrun.DefaultTimeout(command, *job.GlueVersion); t > 0 {
			job.Timeout = aws.Int32(int32(t))
		}
	}
	if job.ExecutionProperty == nil || job.ExecutionProperty.MaxConcurrentRuns == 0 {
		job.ExecutionProperty = &types.ExecutionProperty{MaxConcurrentRuns: 1}
	}
	if job.JobMode == "" {
		job.JobMode = types.JobModeScript
	}
	if job.JobRunQueuingEnabled == nil {
		job.JobRunQueuingEnabled = aws.Bool(false)
	}
	if job.Command.PythonVersion == nil {
		job.Command.PythonVersion = aws.String("2") // a relic of AWS, not the interpreter (fact 5)
		if shell {
			job.Command.PythonVersion = aws.String("3")
		}
	}
	switch {
	case job.WorkerType != "":
		job.MaxCapacity = aws.Float64(jobrun.Capacity(string(job.WorkerType), int(aws.ToInt32(job.NumberOfWorkers))))
	case job.MaxCapacity == nil && allocated != 0:
		job.MaxCapacity = aws.Float64(float64(allocated))
	case job.MaxCapacity == nil:
		job.MaxCapacity = aws.Float64(jobrun.DefaultCapacity(command))
	}
	job.AllocatedCapacity = int32(jobrun.Allocated(*job.MaxCapacity))
}

func (s *Service) defaultGlueVersion(shell bool) string {
	switch {
	case shell:
		return "1.0" // what AWS shows for jobs that never use it (spec/jobs §1.3)
	case s.GlueVersion != "":
		return s.GlueVersion
	}
	return jobrun.DefaultGlueVersion
}

// UpdateJob replaces a job's definition: what is absent falls back to its
// default, except GlueVersion, which is kept (spec/jobs §1.5).
func (s *Service) UpdateJob(ctx context.Context, in *glue.UpdateJobInput) (*glue.UpdateJobOutput, error) {
	up := in.JobUpdate
	if up.Role == nil || up.Command == nil {
		return nil, errJobUpdate()
	}
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.UpdateJobOutput, error) {
		doc, old, err := job(tx, scope, *in.JobName)
		if err != nil {
			return nil, err
		}
		command := *up.Command
		job := types.Job{
			Name: in.JobName, Role: up.Role, Command: &command, Description: up.Description, LogUri: up.LogUri,
			CodeGenConfigurationNodes: up.CodeGenConfigurationNodes, Connections: up.Connections, DefaultArguments: up.DefaultArguments,
			ExecutionClass: up.ExecutionClass, ExecutionProperty: up.ExecutionProperty, GlueVersion: up.GlueVersion, JobMode: up.JobMode,
			JobRunQueuingEnabled: up.JobRunQueuingEnabled, MaintenanceWindow: up.MaintenanceWindow, MaxCapacity: up.MaxCapacity,
			MaxRetries: up.MaxRetries, NonOverridableArguments: up.NonOverridableArguments, NotificationProperty: up.NotificationProperty,
			NumberOfWorkers: up.NumberOfWorkers, SecurityConfiguration: up.SecurityConfiguration,
			SourceControlDetails: up.SourceControlDetails, Timeout: up.Timeout, WorkerType: up.WorkerType,
		}
		if job.GlueVersion == nil {
			job.GlueVersion = old.GlueVersion
		}
		if err := checkJob(job, up.AllocatedCapacity); err != nil {
			return nil, err
		}
		s.fillJob(&job, up.AllocatedCapacity)
		body, err := awsjson.Marshal(&job)
		if err != nil {
			return nil, fmt.Errorf("encode job: %w", err)
		}
		doc.Body, doc.Modified = body, s.now()
		return &glue.UpdateJobOutput{JobName: in.JobName}, s.replaceDocument(tx, doc)
	})
}

func (s *Service) replaceDocument(tx store.Tx, doc store.Document) error {
	old := doc.Version
	doc.Version = s.IDs.Next()
	return tx.UpdateDocument(doc, old)
}

// DeleteJob removes a job; its runs go on and stay readable, and one that is
// missing is fine (spec/jobs §1.6).
func (s *Service) DeleteJob(ctx context.Context, in *glue.DeleteJobInput) (*glue.DeleteJobOutput, error) {
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.DeleteJobOutput, error) {
		out := &glue.DeleteJobOutput{JobName: in.JobName}
		doc, err := tx.Document(scope, store.Jobs, *in.JobName)
		if errors.Is(err, store.ErrNotFound) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		return out, tx.DeleteDocument(doc.UID, doc.Version)
	})
}

// GetJob returns a job.
func (s *Service) GetJob(ctx context.Context, in *glue.GetJobInput) (*glue.GetJobOutput, error) {
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.GetJobOutput, error) {
		_, job, err := job(tx, scope, *in.JobName)
		return &glue.GetJobOutput{Job: job}, err
	})
}

// BatchGetJobs returns jobs in the order asked for, each once.
func (s *Service) BatchGetJobs(ctx context.Context, in *glue.BatchGetJobsInput) (*glue.BatchGetJobsOutput, error) {
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.BatchGetJobsOutput, error) {
		out := &glue.BatchGetJobsOutput{Jobs: []types.Job{}, JobsNotFound: []string{}}
		for _, name := range distinct(in.JobNames) {
			doc, err := tx.Document(scope, store.Jobs, name)
			if errors.Is(err, store.ErrNotFound) {
				out.JobsNotFound = append(out.JobsNotFound, name)
				continue
			}
			if err != nil {
				return nil, err
			}
			job, err := readJob(doc)
			if err != nil {
				return nil, err
			}
			out.Jobs = append(out.Jobs, *job)
		}
		return out, nil
	})
}

// GetJobs returns jobs by name (spec/jobs §1.6).
func (s *Service) GetJobs(ctx context.Context, in *glue.GetJobsInput) (*glue.GetJobsOutput, error) {
	page, err := s.page(ctx, in.NextToken, in.MaxResults, 100)
	if err != nil {
		return nil, err
	}
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.GetJobsOutput, error) {
		docs, err := tx.ListDocuments(scope, store.Jobs, page.after, page.limit+1)
		if err != nil {
			return nil, err
		}
		docs, next := cut(page, docs, func(d store.Document) string { return d.Name })
		out := &glue.GetJobsOutput{Jobs: []types.Job{}, NextToken: next}
		for _, doc := range docs {
			job, err := readJob(doc)
			if err != nil {
				return nil, err
			}
			out.Jobs = append(out.Jobs, *job)
		}
		return out, nil
	})
}

// ListJobs returns names of jobs that carry all the tags (spec/jobs §1.6).
func (s *Service) ListJobs(ctx context.Context, in *glue.ListJobsInput) (*glue.ListJobsOutput, error) {
	page, err := s.page(ctx, in.NextToken, in.MaxResults, 100, tagFilter(in.Tags)...)
	if err != nil {
		return nil, err
	}
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.ListJobsOutput, error) {
		docs, err := scan(page.after, page.limit+1, func(d store.Document) bool { return hasTags(d.Tags, in.Tags) },
			func(after string, limit int) ([]store.Document, error) {
				return tx.ListDocuments(scope, store.Jobs, after, limit)
			}, func(d store.Document) string { return d.Name })
		if err != nil {
			return nil, err
		}
		docs, next := cut(page, docs, func(d store.Document) string { return d.Name })
		out := &glue.ListJobsOutput{JobNames: []string{}, NextToken: next}
		for _, d := range docs {
			out.JobNames = append(out.JobNames, d.Name)
		}
		return out, nil
	})
}

func job(tx store.Tx, scope store.Scope, name string) (store.Document, *types.Job, error) {
	doc, err := tx.Document(scope, store.Jobs, name)
	if errors.Is(err, store.ErrNotFound) {
		return doc, nil, errJobNotFound(name)
	}
	if err != nil {
		return doc, nil, err
	}
	j, err := readJob(doc)
	return doc, j, err
}

func readJob(doc store.Document) (*types.Job, error) {
	job := &types.Job{}
	if err := awsjson.Unmarshal(doc.Body, job); err != nil {
		return nil, fmt.Errorf("decode job %s: %w", doc.Name, err)
	}
	job.CreatedOn, job.LastModifiedOn = stamp(doc.Created), stamp(doc.Modified)
	return job, nil
}

func stamp(t time.Time) *time.Time { return &t }
