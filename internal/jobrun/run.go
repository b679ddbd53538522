package jobrun

import "time"

// Definition is what a job run needs of its job: the wire form of the job, read
// once when the run starts, so that a later UpdateJob does not change it
// (spec/jobs §2.4).
type Definition struct {
	Name                    string
	Role                    string `json:",omitzero"`
	Command                 Command
	DefaultArguments        map[string]string     `json:",omitzero"`
	NonOverridableArguments map[string]string     `json:",omitzero"`
	MaxRetries              int                   `json:",omitzero"`
	Timeout                 *int                  `json:",omitzero"`
	ExecutionProperty       *ExecutionProperty    `json:",omitzero"`
	JobRunQueuingEnabled    *bool                 `json:",omitzero"`
	GlueVersion             string                `json:",omitzero"`
	MaxCapacity             *float64              `json:",omitzero"`
	WorkerType              string                `json:",omitzero"`
	NumberOfWorkers         *int                  `json:",omitzero"`
	SecurityConfiguration   string                `json:",omitzero"`
	NotificationProperty    *NotificationProperty `json:",omitzero"`
	ExecutionClass          string                `json:",omitzero"`
	JobMode                 string                `json:",omitzero"`
	MaintenanceWindow       string                `json:",omitzero"`
}

// Command is the Command of a job.
type Command struct {
	Name           string `json:",omitzero"`
	ScriptLocation string `json:",omitzero"`
	PythonVersion  string `json:",omitzero"`
	Runtime        string `json:",omitzero"`
}

// ExecutionProperty bounds concurrent runs of a job.
type ExecutionProperty struct {
	MaxConcurrentRuns int
}

// NotificationProperty is minutes after which a delay notice is due.
type NotificationProperty struct {
	NotifyDelayAfter *int `json:",omitzero"`
}

// Slots is the number of runs of the job that may be active at once; the
// default is 1 (spec/jobs §2.6).
func (d Definition) Slots() int {
	if d.ExecutionProperty == nil || d.ExecutionProperty.MaxConcurrentRuns == 0 {
		return 1
	}
	return d.ExecutionProperty.MaxConcurrentRuns
}

// Request is what a start adds to the job's definition: the members of
// StartJobRun, or the action of a trigger.
type Request struct {
	Arguments                  map[string]string
	Timeout                    *int
	MaxCapacity                *float64
	AllocatedCapacity          *int
	WorkerType                 string
	NumberOfWorkers            *int
	SecurityConfiguration      string
	NotifyDelayAfter           *int
	ExecutionClass             string
	Queuing                    *bool
	ExecutionRoleSessionPolicy string
}

// Run is one attempt of a job run, in the form in which it is stored. Its JSON
// names may be added to but never changed.
type Run struct {
	JobName      string            `json:"job"`
	State        State             `json:"-"` // a column of its own
	Attempt      int               `json:"-"` // part of its key
	StartedOn    time.Time         `json:"started"`
	RunningOn    time.Time         `json:"running,omitzero"` // the clock of ExecutionTime and Timeout begins here
	ModifiedOn   time.Time         `json:"modified,omitzero"`
	CompletedOn  time.Time         `json:"completed,omitzero"`
	Arguments    map[string]string `json:"args,omitzero"` // as given for this run (spec/jobs §3.1)
	ErrorMessage string            `json:"error,omitzero"`
	StateDetail  string            `json:"detail,omitzero"`
	TriggerName  string            `json:"trigger,omitzero"`
	Predecessors []Predecessor     `json:"preds,omitzero"`
	PreviousRun  string            `json:"prev,omitzero"`
	Workflow     string            `json:"wf,omitzero"`
	WorkflowRun  string            `json:"wr,omitzero"`
	Settings     Settings          `json:"set,omitzero"`
	// Definition is the hash of the job's definition as snapshotted.
	Definition string `json:"def,omitzero"`
	// InForce names the isolation the process ran under, for people.
	InForce string `json:"force,omitzero"`
}

// Predecessor is a run that satisfied a conditional trigger.
type Predecessor struct {
	JobName string `json:"job"`
	RunID   string `json:"id"`
}

// Settings are the effective settings of a run (spec/jobs §2.4, step 5).
type Settings struct {
	Timeout                    int     `json:"timeout,omitzero"` // minutes, 0 = none
	MaxRetries                 int     `json:"retries,omitzero"`
	MaxCapacity                float64 `json:"cap,omitzero"`
	WorkerType                 string  `json:"wt,omitzero"`
	NumberOfWorkers            int     `json:"workers,omitzero"`
	GlueVersion                string  `json:"glue,omitzero"`
	SecurityConfiguration      string  `json:"sec,omitzero"`
	NotifyDelayAfter           int     `json:"notify,omitzero"`
	Notify                     bool    `json:"notifyset,omitzero"`
	ExecutionClass             string  `json:"class,omitzero"`
	JobMode                    string  `json:"mode,omitzero"`
	Queuing                    bool    `json:"queue,omitzero"`
	MaintenanceWindow          string  `json:"window,omitzero"`
	ExecutionRoleSessionPolicy string  `json:"policy,omitzero"`
	LogGroupName               string  `json:"logs,omitzero"`
}

// Effective merges a job's definition and a request (spec/jobs §2.4). Sizes by
// workers and by capacity replace each other as a whole. The result was not
// checked; see CheckSize.
func Effective(d Definition, q Request) Settings {
	s := Settings{
		MaxRetries: d.MaxRetries, GlueVersion: d.GlueVersion, JobMode: d.JobMode,
		MaintenanceWindow: d.MaintenanceWindow, ExecutionRoleSessionPolicy: q.ExecutionRoleSessionPolicy,
		SecurityConfiguration: or(q.SecurityConfiguration, d.SecurityConfiguration),
		ExecutionClass:        or(q.ExecutionClass, d.ExecutionClass),
		Timeout:               deref(q.Timeout, deref(d.Timeout, 0)),
		Queuing:               deref(q.Queuing, deref(d.JobRunQueuingEnabled, false)),
	}
	s.WorkerType, s.NumberOfWorkers, s.MaxCapacity = size(d, q)
	if d.NotificationProperty != nil {
		s.Notify, s.NotifyDelayAfter = true, deref(d.NotificationProperty.NotifyDelayAfter, 0)
	}
	if q.NotifyDelayAfter != nil {
		s.Notify, s.NotifyDelayAfter = true, *q.NotifyDelayAfter
	}
	s.LogGroupName = logGroup(d, s.SecurityConfiguration)
	return s
}

// logGroup is fact 1 of spec/jobs §0, and §2.5 for runs with a security
// configuration.
func logGroup(d Definition, security string) string {
	group := "/aws-glue/jobs"
	if d.Command.Name == PythonShell {
		group = "/aws-glue/python-jobs"
	}
	if security != "" {
		group += "-" + roleName(d.Role) + "-" + security
	}
	return group
}

func roleName(arn string) string {
	for i := len(arn) - 1; i >= 0; i-- {
		if arn[i] == '/' {
			return arn[i+1:]
		}
	}
	return arn
}

// ExecutionTime is the time for which the run used resources, in whole seconds
// (spec/jobs §2.5); 0 until it ends.
func (r Run) ExecutionTime() int {
	if r.CompletedOn.IsZero() || r.RunningOn.IsZero() {
		return 0
	}
	return int(r.CompletedOn.Sub(r.RunningOn) / time.Second)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func deref[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}
