package template

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

// GlueAPI is what of *glue.Client an apply uses.
type GlueAPI interface {
	GetWorkflow(context.Context, *glue.GetWorkflowInput, ...func(*glue.Options)) (*glue.GetWorkflowOutput, error)
	CreateWorkflow(context.Context, *glue.CreateWorkflowInput, ...func(*glue.Options)) (*glue.CreateWorkflowOutput, error)
	UpdateWorkflow(context.Context, *glue.UpdateWorkflowInput, ...func(*glue.Options)) (*glue.UpdateWorkflowOutput, error)
	DeleteWorkflow(context.Context, *glue.DeleteWorkflowInput, ...func(*glue.Options)) (*glue.DeleteWorkflowOutput, error)
	GetTrigger(context.Context, *glue.GetTriggerInput, ...func(*glue.Options)) (*glue.GetTriggerOutput, error)
	CreateTrigger(context.Context, *glue.CreateTriggerInput, ...func(*glue.Options)) (*glue.CreateTriggerOutput, error)
	UpdateTrigger(context.Context, *glue.UpdateTriggerInput, ...func(*glue.Options)) (*glue.UpdateTriggerOutput, error)
	DeleteTrigger(context.Context, *glue.DeleteTriggerInput, ...func(*glue.Options)) (*glue.DeleteTriggerOutput, error)
	GetJob(context.Context, *glue.GetJobInput, ...func(*glue.Options)) (*glue.GetJobOutput, error)
	CreateJob(context.Context, *glue.CreateJobInput, ...func(*glue.Options)) (*glue.CreateJobOutput, error)
	UpdateJob(context.Context, *glue.UpdateJobInput, ...func(*glue.Options)) (*glue.UpdateJobOutput, error)
	DeleteJob(context.Context, *glue.DeleteJobInput, ...func(*glue.Options)) (*glue.DeleteJobOutput, error)
	TagResource(context.Context, *glue.TagResourceInput, ...func(*glue.Options)) (*glue.TagResourceOutput, error)
	UntagResource(context.Context, *glue.UntagResourceInput, ...func(*glue.Options)) (*glue.UntagResourceOutput, error)
}

// S3API is what of *s3.Client an apply uses.
type S3API interface {
	HeadBucket(context.Context, *s3.HeadBucketInput, ...func(*s3.Options)) (*s3.HeadBucketOutput, error)
	CreateBucket(context.Context, *s3.CreateBucketInput, ...func(*s3.Options)) (*s3.CreateBucketOutput, error)
	DeleteBucket(context.Context, *s3.DeleteBucketInput, ...func(*s3.Options)) (*s3.DeleteBucketOutput, error)
}

// API is what an apply calls. Clients makes one of two SDK clients.
type API interface {
	GlueAPI
	S3API
}

// Clients joins a *glue.Client and an *s3.Client into an API.
type Clients struct {
	GlueAPI
	S3API
}

// code is the error code of a service's answer, or "".
func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

func isMissing(err error) bool {
	return slices.Contains([]string{"EntityNotFoundException", "NoSuchBucket", "NotFound"}, code(err))
}

func isExists(err error) bool {
	return slices.Contains([]string{"AlreadyExistsException", "IdempotentParameterMismatchException", "BucketAlreadyOwnedByYou",
		"BucketAlreadyExists"}, code(err))
}

// refused says that a service understood a call and did nothing. A timeout is no such answer, nor is an error on the way.
func refused(err error) bool {
	var e smithy.APIError
	return errors.As(err, &e) && e.ErrorFault() == smithy.FaultClient && e.ErrorCode() != "OperationTimeoutException"
}

func (a *applier) exists(ctx context.Context, r *Resource) (bool, error) {
	var err error
	switch r.Type {
	case TypeWorkflow:
		_, err = a.api.GetWorkflow(ctx, &glue.GetWorkflowInput{Name: &r.Name})
	case TypeTrigger:
		_, err = a.api.GetTrigger(ctx, &glue.GetTriggerInput{Name: &r.Name})
	case TypeJob:
		_, err = a.api.GetJob(ctx, &glue.GetJobInput{JobName: &r.Name})
	case TypeBucket:
		_, err = a.api.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &r.Name})
	}
	if isMissing(err) {
		return false, nil
	}
	return err == nil, err
}

// call makes the resource.
func (a *applier) call(ctx context.Context, r *Resource) (err error) {
	switch in := r.Input.(type) {
	case *glue.CreateWorkflowInput:
		_, err = a.api.CreateWorkflow(ctx, in)
	case *glue.CreateTriggerInput:
		_, err = a.api.CreateTrigger(ctx, in)
	case *glue.CreateJobInput:
		_, err = a.api.CreateJob(ctx, in)
	case *s3.CreateBucketInput:
		_, err = a.api.CreateBucket(ctx, in)
	default:
		err = fmt.Errorf("the input %T is not known", in)
	}
	return err
}

// redefine makes an existing resource what its create call says, apart from tags.
func (a *applier) redefine(ctx context.Context, r *Resource) (err error) {
	switch in := r.Input.(type) {
	case *glue.CreateWorkflowInput:
		_, err = a.api.UpdateWorkflow(ctx, workflowUpdate(in))
	case *glue.CreateTriggerInput:
		_, err = a.api.UpdateTrigger(ctx, &glue.UpdateTriggerInput{Name: in.Name, TriggerUpdate: &types.TriggerUpdate{
			Actions: in.Actions, Description: in.Description, EventBatchingCondition: in.EventBatchingCondition, Predicate: in.Predicate,
			Schedule: in.Schedule}})
	case *glue.CreateJobInput:
		_, err = a.api.UpdateJob(ctx, &glue.UpdateJobInput{JobName: in.Name, JobUpdate: jobUpdate(in)})
	}
	return err
}

// workflowUpdate sends empty members for absent ones, because UpdateWorkflow keeps what is absent (spec/workflows §2.3).
func workflowUpdate(in *glue.CreateWorkflowInput) *glue.UpdateWorkflowInput {
	up := &glue.UpdateWorkflowInput{Name: in.Name, Description: in.Description, DefaultRunProperties: in.DefaultRunProperties,
		MaxConcurrentRuns: in.MaxConcurrentRuns}
	if up.Description == nil {
		up.Description = new("")
	}
	if up.DefaultRunProperties == nil {
		up.DefaultRunProperties = map[string]string{}
	}
	return up
}

// jobUpdate copies by name: every member of JobUpdate is one of CreateJobInput with the same type, which a test asserts.
func jobUpdate(in *glue.CreateJobInput) *types.JobUpdate {
	up := new(types.JobUpdate)
	from, to := reflect.ValueOf(in).Elem(), reflect.ValueOf(up).Elem()
	for i := range to.NumField() {
		if f := to.Type().Field(i); f.IsExported() {
			to.Field(i).Set(from.FieldByName(f.Name))
		}
	}
	return up
}
