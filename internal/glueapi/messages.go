package glueapi

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"tenon/internal/flow"
	"tenon/internal/jobrun"
	"tenon/internal/orchestrate"
)

// This file holds every sentence that the API answers with, each with the row of
// the specification that it comes from. Where AWS's own words are unknown the
// row names our choice; when somebody sees the real ones, they go here.

func invalid(format string, args ...any) error {
	return &types.InvalidInputException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func notFound(format string, args ...any) error {
	return &types.EntityNotFoundException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func exists(format string, args ...any) error {
	return &types.AlreadyExistsException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func concurrent(format string, args ...any) error {
	return &types.ConcurrentRunsExceededException{Message: aws.String(fmt.Sprintf(format, args...))}
}

// keptError makes an error again that a call was answered with before.
func keptError(code, message string) error {
	switch code {
	case "EntityNotFoundException":
		return &types.EntityNotFoundException{Message: &message}
	case "ConcurrentRunsExceededException":
		return &types.ConcurrentRunsExceededException{Message: &message}
	case "ResourceNumberLimitExceededException":
		return &types.ResourceNumberLimitExceededException{Message: &message}
	}
	return fmt.Errorf("kept answer %s: %s", code, message)
}

// Workflows.
func errEntity() error { return notFound("Entity not found") } // spec/workflows §2.3, §3.1 row 2, §5.5

func errWorkflowExists(name string) error { // spec/workflows §2.2
	return exists("Workflow with name: %s already exists", name)
}

func errMaxConcurrentRuns() error { // spec/workflows §2.2
	return invalid("MaxConcurrentRuns must be a positive integer")
}

func errNoStartTrigger(name string) error { // spec/workflows §3.1 row 3
	return invalid("Workflow %s does not have a starting trigger", name)
}

func errConcurrentWorkflow(name string) error { // spec/workflows §3.1 row 4
	return concurrent("Concurrent runs exceeded for workflow: %s.", name)
}

func errNotStoppable(run, status string) error { // spec/workflows §5.7
	return &types.IllegalWorkflowStateException{
		Message: aws.String(fmt.Sprintf("Workflow run %s is in state %s and cannot be stopped", run, status)),
	}
}

func errNotResumable(run, status string) error { // spec/workflows §5.8
	return &types.IllegalWorkflowStateException{
		Message: aws.String(fmt.Sprintf("Workflow run %s is in state %s; only COMPLETED runs can be resumed", run, status)),
	}
}

func errNoNodes() error { return invalid("NodeIds cannot be null or empty") } // spec/workflows §5.8: our words

func errResumeNode(err error) error { // spec/workflows §5.8: our words
	return invalid("The workflow run cannot be resumed from this node: %v", err)
}

func errOperationTimeout() error { // spec/workflows §3.1 row 6
	return &types.OperationTimeoutException{Message: aws.String("The operation timed out.")}
}

var quotaWords = map[orchestrate.Quota]string{
	orchestrate.Workflows:     "workflows",
	orchestrate.Triggers:      "triggers",
	orchestrate.JobQuota:      "jobs",
	orchestrate.ActiveRuns:    "active workflow runs",
	orchestrate.ActiveJobRuns: "active job runs",
}

func errQuota(e *orchestrate.QuotaError) error { // spec/workflows §2.2, §3.1 row 5, §5.6
	text := fmt.Sprintf("The number of %s has exceeded the limit. Your account is limited to %d %[1]s.", quotaWords[e.Quota], e.Limit)
	if e.Quota == orchestrate.RunProperties {
		text = fmt.Sprintf("The run properties have exceeded the limit. A workflow run is limited to %d bytes of run properties.", e.Limit)
	}
	return &types.ResourceNumberLimitExceededException{Message: &text}
}

// Triggers.
func errTriggerExists(name string) error { // spec/workflows §4.6 row 2
	return exists("Trigger with name: %s already exists", name)
}

func errTriggerNotFound(name string) error { // spec/workflows §4.6, after the table
	return notFound("Trigger with name: %s not found.", name)
}

func errSecondStart(workflow, trigger string) error { // spec/workflows §4.6 row 4
	return invalid("Workflow %s already has a starting trigger: %s", workflow, trigger)
}

func errTriggerState(s flow.TriggerState) error { // spec/workflows §4.3
	return invalid("The operation is not allowed when trigger is in state: %s", s)
}

func errEventStart() error { return invalid("Trigger Type EVENT cannot be started") } // spec/workflows §3.4

func errSchedule(expr string) error { // spec/workflows §4.6 row 16
	return invalid("Schedule expression is not valid: %s", expr)
}

func errScheduleTooFast() error { // spec/workflows §4.6 row 17
	return invalid("Schedule cannot be more frequent than every 5 minutes")
}

// violation finds the sentence of a broken rule of spec/workflows §4.6. Where a
// condition or action is at fault, its place is appended to AWS's words (§8 row 8).
func violation(v *flow.Violation) error {
	at := ""
	switch v.Rule {
	case flow.OperatorMissing, flow.CrawlStateMissing, flow.JobStateMissing, flow.ConditionAmbiguous:
		at = fmt.Sprintf(" (condition %d)", v.Index+1)
	}
	switch v.Rule {
	case flow.PredicateMissing:
		return invalid("Predicate cannot be null or empty")
	case flow.OperatorMissing:
		return invalid("Logical operator cannot be null or empty%s", at)
	case flow.CrawlStateMissing:
		return invalid("State cannot be null or empty, choose from one of the following crawler state: [SUCCEEDED, FAILED, CANCELLED]%s", at)
	case flow.JobStateMissing:
		return invalid("State cannot be null or empty, choose from one of the following job state: [SUCCEEDED, STOPPED, TIMEOUT, FAILED]%s", at)
	case flow.ConditionAmbiguous:
		return invalid("Each condition must specify either a job or a crawler%s", at)
	case flow.LogicalMissing:
		return invalid("Logical cannot be null or empty when multiple conditions are listed")
	case flow.JobWatchedAndStarted:
		return invalid("Job cannot be a Predicate and Action for Conditional Trigger.")
	case flow.CrawlerWatchedAndStart:
		return invalid("Crawler cannot be a Predicate and Action for Conditional Trigger.")
	case flow.TooManyCrawlers:
		return invalid("Actions cannot contain more than two crawlers")
	case flow.ActionsMissing:
		return invalid("Actions cannot be null or empty")
	case flow.ActionAmbiguous:
		return invalid("Each action must specify either a job or a crawler")
	case flow.ScheduleMissing:
		return invalid("Schedule cannot be null or empty")
	case flow.StartOnCreationRefused:
		return invalid("StartOnCreation is not supported for trigger type %s", v.Name)
	case flow.WorkflowMissing:
		return invalid("WorkflowName is required for EVENT triggers")
	case flow.TooManyJobs:
		return &types.ResourceNumberLimitExceededException{
			Message: aws.String(fmt.Sprintf("The number of jobs in one trigger has exceeded the limit. A trigger is limited to %d jobs.", flow.MaxJobActions)),
		}
	}
	return fmt.Errorf("no sentence for rule %q", v.Rule)
}

// Jobs.
func errJobExists() error { return exists("Job already exists.") } // spec/jobs U14

func errJobNotFound(name string) error { // spec/jobs §1.6
	return notFound("Job with name: %s not found.", name)
}

func errStartMissingJob() error { // spec/jobs §2.4 step 1
	return notFound("Failed to start job run due to missing metadata.")
}

func errJobRunNotFound() error { return notFound("Job run not found.") } // spec/jobs U5

func errConcurrentJob(name string) error { // spec/jobs §0 fact 11
	return concurrent("Concurrent runs exceeded for %s", name)
}

func errJobUpdate() error { // spec/jobs §1.5
	return invalid("JobUpdate must have a Role and a Command")
}

func errArguments() error { // spec/jobs §1.4, §2.8: our words
	return invalid("The arguments of the job exceed the limit of %d bytes", jobrun.MaxArgumentBytes)
}

func errMaxRetries() error { // spec/jobs §2.7
	return invalid("MaxRetries must be between 0 and 10")
}

func errJobConcurrency() error { // spec/jobs §1.2: our words
	return invalid("MaxConcurrentRuns must be a positive integer")
}

func errRetryOf(id string) error { // spec/jobs §2.7
	return invalid("Job run %s cannot be retried: it does not exist or has not ended", id)
}

// Texts of BatchStopJobRun's per-run errors (spec/jobs §2.9).
const (
	codeCannotStop  = "JobRunCannotBeStoppedException"
	textCannotStop  = "Job Run cannot be stopped in current state."
	codeNotFound    = "EntityNotFoundException"
	textRunNotFound = "Job run not found."
)

// sizing finds the sentence of a broken rule of spec/jobs §1.4.
func sizing(e *jobrun.SizeError) error {
	switch e.Rule {
	case jobrun.WorkersAndCapacity:
		return invalid("Please do not set Max Capacity if using Worker Type and Number of Workers.")
	case jobrun.BothCapacities:
		return invalid("Please set only Allocated Capacity or Max Capacity.")
	case jobrun.HalfWorkers:
		return invalid("Please set both Worker Type and Number of Workers.")
	case jobrun.WorkersOnShell:
		return invalid("Worker Type is not supported for Job Command pythonshell")
	case jobrun.TooFewWorkers:
		return invalid("To use Worker Type %s, minimum allowed value of Number of Workers is %d.", e.WorkerType, e.Limit)
	case jobrun.TooManyWorkers:
		return invalid("To use Worker Type %s, maximum allowed value of Number of Workers is %d.", e.WorkerType, e.Limit)
	case jobrun.ShellCapacity:
		return invalid("For Python shell jobs, Max Capacity must be 0.0625 or 1.0.")
	case jobrun.SparkCapacity:
		return invalid("For Spark jobs, Max Capacity must be a whole number between 2 and 100.")
	case jobrun.TimeoutTooLong:
		return invalid("Timeout must not exceed %d minutes", e.Limit)
	case jobrun.FlexUnsupported:
		return invalid("Execution class FLEX is supported for glueetl jobs of Glue version 3.0 and later only")
	}
	return fmt.Errorf("no sentence for rule %q", e.Rule)
}

// Tags, paging, and operations that are not built.
func errTagPrefix(key string) error { // spec/workflows §4.11
	return invalid("Tag keys and values must not start with aws: %s", key)
}

func errTooManyTags() error { return invalid("A resource can have at most %d tags", maxTags) } // spec/workflows §4.11

func errARN(text string) error { return invalid("Resource ARN is not valid: %s", text) } // spec/workflows §4.11

func errToken() error { return invalid("Invalid next token") } // spec/workflows §1.7

func errUnsupported(op string) string {
	return op + " is not supported by this Tenon server yet. Nothing was changed. GET /_tenon/capabilities lists what is."
}
