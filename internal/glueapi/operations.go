package glueapi

import (
	"context"
	"slices"

	"tenon/internal/wire/awsjson"
	"tenon/internal/wire/model"
)

// Support says what an operation does here.
type Support string

// Acts: the operation does what it does on AWS. Stores: it keeps what it is
// given, and what should follow does not follow yet. Refuses: it answers with an
// error and changes nothing (DESIGN P8).
const (
	Acts    Support = "acts"
	Stores  Support = "stores"
	Refuses Support = "refuses"
)

// Operation is an operation of the Glue API as this server has it.
type Operation struct {
	Name    string
	Support Support
	// Note says what is missing, for people.
	Note   string
	handle func(ctx context.Context, body []byte) (any, error)
}

// Handle decodes a body, checks it against the API's model and serves it. The
// reply is a pointer to an output struct of the SDK.
func (o Operation) Handle(ctx context.Context, body []byte) (any, error) { return o.handle(ctx, body) }

// serve makes a handler of a method.
func serve[In, Out any](name string, method func(context.Context, *In) (*Out, error)) func(context.Context, []byte) (any, error) {
	return func(ctx context.Context, body []byte) (any, error) {
		in := new(In)
		if err := awsjson.Unmarshal(body, in); err != nil {
			return nil, err
		}
		if err := model.Check(name, in); err != nil {
			return nil, err
		}
		out, err := method(ctx, in)
		if err != nil {
			return nil, err
		}
		return out, nil
	}
}

// Operations returns every operation of the API by name: those of the service,
// and refusals for the rest.
func (s *Service) Operations() map[string]Operation {
	all := map[string]Operation{}
	for _, o := range s.registered() {
		all[o.Name] = o
	}
	for _, name := range model.Operations() {
		if _, ok := all[name]; !ok {
			all[name] = refused(name)
		}
	}
	return all
}

func refused(name string) Operation {
	return Operation{Name: name, Support: Refuses, Note: "not built yet", handle: func(context.Context, []byte) (any, error) {
		return nil, &awsjson.Error{Code: "UnsupportedOperationException", Message: errUnsupported(name)}
	}}
}

func acts[In, Out any](name string, method func(context.Context, *In) (*Out, error)) Operation {
	return Operation{Name: name, Support: Acts, handle: serve(name, method)}
}

// noted says of an operation what does not follow from it yet.
func (o Operation) noted(note string) Operation { o.Note = note; return o }

// registered lists the operations that are built, one line each.
func (s *Service) registered() []Operation {
	const clock = "SCHEDULED and EVENT triggers are stored and checked; they do not fire yet"
	return slices.Clip([]Operation{
		acts("CreateWorkflow", s.CreateWorkflow),
		acts("UpdateWorkflow", s.UpdateWorkflow),
		acts("DeleteWorkflow", s.DeleteWorkflow),
		acts("GetWorkflow", s.GetWorkflow),
		acts("BatchGetWorkflows", s.BatchGetWorkflows),
		acts("ListWorkflows", s.ListWorkflows),
		acts("StartWorkflowRun", s.StartWorkflowRun),
		acts("StopWorkflowRun", s.StopWorkflowRun),
		acts("ResumeWorkflowRun", s.ResumeWorkflowRun),
		acts("GetWorkflowRun", s.GetWorkflowRun),
		acts("GetWorkflowRuns", s.GetWorkflowRuns),
		acts("GetWorkflowRunProperties", s.GetWorkflowRunProperties),
		acts("PutWorkflowRunProperties", s.PutWorkflowRunProperties),

		acts("CreateTrigger", s.CreateTrigger).noted(clock),
		acts("UpdateTrigger", s.UpdateTrigger).noted(clock),
		acts("DeleteTrigger", s.DeleteTrigger),
		acts("StartTrigger", s.StartTrigger).noted(clock),
		acts("StopTrigger", s.StopTrigger),
		acts("GetTrigger", s.GetTrigger),
		acts("BatchGetTriggers", s.BatchGetTriggers),
		acts("GetTriggers", s.GetTriggers),
		acts("ListTriggers", s.ListTriggers),

		acts("CreateJob", s.CreateJob),
		acts("UpdateJob", s.UpdateJob),
		acts("DeleteJob", s.DeleteJob),
		acts("GetJob", s.GetJob),
		acts("BatchGetJobs", s.BatchGetJobs),
		acts("GetJobs", s.GetJobs),
		acts("ListJobs", s.ListJobs),
		acts("StartJobRun", s.StartJobRun).noted("pythonshell runs; other commands end FAILED with a message"),
		acts("GetJobRun", s.GetJobRun),
		acts("GetJobRuns", s.GetJobRuns),
		acts("BatchStopJobRun", s.BatchStopJobRun),

		acts("TagResource", s.TagResource),
		acts("UntagResource", s.UntagResource),
		acts("GetTags", s.GetTags),
	})
}
