package store

import (
	"time"

	"tenon/internal/engine"
	"tenon/internal/flow"
	"tenon/internal/jobrun"
)

// Scope is the account and region that a resource belongs to.
type Scope struct{ Account, Region string }

// Hash is a SHA-256.
type Hash [32]byte

// Workflow is a workflow's definition. Version changes with every change of the
// workflow or of one of its triggers, because the trigger list is part of it
// (spec/workflows §2.4), and is never used twice.
type Workflow struct {
	Scope                Scope
	Name                 string
	UID                  int64
	Version              int64
	Created              time.Time
	Modified             time.Time
	Description          *string
	DefaultRunProperties map[string]string // nil when never set
	MaxConcurrentRuns    *int
	Tags                 map[string]string
}

// Trigger is a trigger's definition and state.
type Trigger struct {
	Scope    Scope
	UID      int64
	Version  int64
	Created  time.Time
	Modified time.Time
	// Definition holds name, workflow, type and state as well.
	Definition flow.Trigger
	Tags       map[string]string
}

// Kind names a kind of document.
type Kind string

// Kinds of document.
const (
	Jobs   Kind = "job"
	Stacks Kind = "stack"
)

// Document is a definition in its wire form.
type Document struct {
	Scope    Scope
	Kind     Kind
	Name     string
	UID      int64
	Version  int64
	Created  time.Time
	Modified time.Time
	Body     []byte
	Tags     map[string]string
}

// Run is the head of a workflow run or chain.
type Run struct {
	Seq     int64
	Rand    [24]byte // the part of its id that is not Seq
	Version int64
	Scope   Scope
	Kind    engine.Kind
	// Workflow is the workflow's uid, or the root trigger's for a chain;
	// WorkflowName its name at the start.
	Workflow     int64
	WorkflowName string
	Head         engine.Head
	Started      time.Time
	Completed    time.Time // zero while it runs
	Previous     string    // id of the run that this one resumes
	ErrorMessage string
	Snapshot     Hash // of the triggers
}

// AttemptKey names an attempt: the sequence number of its job run and the number
// of the retry, 0 for the first attempt.
type AttemptKey struct {
	Base int64
	N    int
}

// Attempt is one attempt of a job run.
type Attempt struct {
	Key     AttemptKey
	Rand    [24]byte // the part of its job run's id that is not Base
	Seq     int64    // order among all attempts of a job; Base for the first
	Version int64
	Scope   Scope
	Job     int64 // uid of the job; 0 if there was none
	State   jobrun.State
	// Holds says that the attempt holds a slot of its job: it is starting, running
	// or stopping, or it failed and its retry is due.
	Holds bool
	// RunSeq and Node place the attempt in a workflow run or chain; 0 outside.
	RunSeq int64
	Node   int
	// Boot is the boot id of the machine on which it was handed out for launch.
	Boot       string
	Definition Hash
	Run        jobrun.Run
}

// Waiting tells whether the attempt is queued.
func (a Attempt) Waiting() bool { return a.State == jobrun.Waiting }

// TimerKind says what a timer is for.
type TimerKind string

// Kinds of timer.
const (
	TimerRetry TimerKind = "retry" // start the retry of an attempt
	TimerQueue TimerKind = "queue" // expire a queued attempt
)

// Timer is something due at a time. Its key is kind and reference together.
type Timer struct {
	Kind TimerKind
	Ref  string
	Due  time.Time
}

// Key is the timer's unique key.
func (t Timer) Key() string { return string(t.Kind) + "/" + t.Ref }

// EffectKind says what an effect asks for.
type EffectKind string

// Kinds of effect.
const (
	EffectLaunch EffectKind = "launch" // start an attempt
	EffectStop   EffectKind = "stop"   // stop an attempt
)

// Effect is an order to the world, kept until it is done.
type Effect struct {
	Seq     int64
	Key     string // unique; kind and attempt
	Kind    EffectKind
	Attempt AttemptKey
	// Owner groups effects for fair scheduling: the run, or the attempt itself.
	Owner int64
	// Low marks work of lower priority (ExecutionClass FLEX).
	Low bool
}
