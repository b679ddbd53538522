package store

import (
	"context"
	"errors"
	"time"
)

// Errors that callers branch on.
var (
	ErrNotFound = errors.New("row not found")
	ErrExists   = errors.New("row exists already")
	ErrStale    = errors.New("row was changed by somebody else")
	ErrTimeout  = errors.New("store deadline passed before the write was taken")
	ErrUnknown  = errors.New("outcome of the commit is unknown")
	ErrClosed   = errors.New("store is closed")
)

// Store is a durable, transactional store of rows.
type Store interface {
	// Write runs fn in a transaction and commits it; see the guarantees above. fn's
	// own error is returned as it is.
	Write(ctx context.Context, fn func(Tx) error) error
	// Read runs fn on a consistent snapshot that includes every commit before the
	// call. Writing through it is an error.
	Read(ctx context.Context, fn func(Tx) error) error
	// Subscribe registers a function that is called after each commit that left
	// something to do. It must not block. It is to be called before the first Write.
	Subscribe(func(Committed))
	// LastSeq is the highest sequence number that was stored before the store was
	// opened; new ones must be above it.
	LastSeq() int64
	// Close waits for running writes and closes the store.
	Close() error
}

// Committed says what a commit left to do.
type Committed struct {
	Effects  []Effect     // in order of their transactions
	Wake     time.Time    // the earliest timer among those set; zero if none
	Runs     []int64      // runs that were inserted or changed
	Attempts []AttemptKey // attempts that were inserted or changed
}

// Tx is a transaction. Rows that it returns are the caller's own. It is used by
// one goroutine, within the function it was given to.
type Tx interface {
	Workflows
	Triggers
	Documents
	Snapshots
	Runs
	Attempts
	Firings
	Timers
	Outbox
	Replies
	Objects
}

// Workflows holds workflow definitions.
type Workflows interface {
	Workflow(s Scope, name string) (Workflow, error)
	InsertWorkflow(Workflow) error // ErrExists
	// UpdateWorkflow replaces the row of w.UID if its version is still old.
	UpdateWorkflow(w Workflow, old int64) error
	DeleteWorkflow(uid, version int64) error
	// ListWorkflows returns names after the given one, in byte order.
	ListWorkflows(s Scope, after string, limit int) ([]string, error)
	CountWorkflows(s Scope) (int, error)
}

// Triggers holds trigger definitions.
type Triggers interface {
	Trigger(s Scope, name string) (Trigger, error)
	InsertTrigger(Trigger) error
	UpdateTrigger(t Trigger, old int64) error
	DeleteTrigger(uid, version int64) error
	ListTriggers(s Scope, after string, limit int) ([]Trigger, error)
	// WorkflowTriggers returns the triggers of a workflow, by its name, in order of
	// creation. An empty name returns the standalone triggers.
	WorkflowTriggers(s Scope, workflow string) ([]Trigger, error)
	CountTriggers(s Scope) (int, error)
}

// Documents holds definitions without behaviour of their own, by kind: jobs,
// crawlers, stacks.
type Documents interface {
	Document(s Scope, kind Kind, name string) (Document, error)
	InsertDocument(Document) error
	UpdateDocument(d Document, old int64) error
	DeleteDocument(uid, version int64) error
	ListDocuments(s Scope, kind Kind, after string, limit int) ([]Document, error)
	CountDocuments(s Scope, kind Kind) (int, error)
}

// Snapshots holds immutable texts by the hash of their content, so that runs
// that started from equal definitions share them.
type Snapshots interface {
	PutSnapshot(body []byte) (Hash, error)
	Snapshot(Hash) ([]byte, error)
}

// Runs holds workflow runs and chains. A run's nodes lie in parts, its
// properties in a row of their own.
type Runs interface {
	InsertRun(Run) error
	Run(seq int64) (Run, error)
	UpdateRun(r Run, old int64) error
	// ListRuns returns runs of a workflow, newest first, below the given sequence
	// number (0 = from the newest). Chains are not listed.
	ListRuns(workflow, below int64, limit int) ([]Run, error)
	// CountActiveRuns counts runs that have not ended, up to limit. With workflow 0
	// it counts all workflow runs of the scope.
	CountActiveRuns(s Scope, workflow int64, limit int) (int, error)
	// ListActiveRuns returns runs of every scope that have not ended, above the
	// given sequence number, oldest first.
	ListActiveRuns(above int64, limit int) ([]Run, error)
	Part(run int64, part int) ([]byte, error)
	PutPart(run int64, part int, body []byte) error
	Properties(run int64) ([]byte, error)
	PutProperties(run int64, body []byte) error
}

// Attempts holds job runs, one row per attempt.
type Attempts interface {
	InsertAttempt(Attempt) error
	Attempt(AttemptKey) (Attempt, error)
	// AttemptsOf returns the attempts of a job run by its base, in order.
	AttemptsOf(base int64) ([]Attempt, error)
	UpdateAttempt(a Attempt, old int64) error
	// ListJobAttempts returns attempts of a job, newest first, below the given
	// sequence number (0 = from the newest).
	ListJobAttempts(job, below int64, limit int) ([]Attempt, error)
	// CountHolding counts attempts of a job that hold one of its slots, up to
	// limit; CountWaiting those that are queued.
	CountHolding(job int64, limit int) (int, error)
	CountWaiting(job int64, limit int) (int, error)
	// CountActiveAttempts counts attempts of the scope that hold a slot or wait, up
	// to limit.
	CountActiveAttempts(s Scope, limit int) (int, error)
	// FirstWaiting returns the attempt of the job that has waited longest.
	FirstWaiting(job int64) (Attempt, error)
	// ListActiveAttempts returns attempts of every scope that hold a slot, above the
	// given key, in order of key.
	ListActiveAttempts(above AttemptKey, limit int) ([]Attempt, error)
}

// Firings records that a trigger fired for a cause, once (DESIGN P2).
type Firings interface {
	// InsertFiring reports whether the firing is new.
	InsertFiring(trigger int64, cause string, at time.Time) (bool, error)
}

// Timers holds everything that is due at a time.
type Timers interface {
	// SetTimer sets or moves a timer.
	SetTimer(Timer) error
	// DeleteTimer removes a timer; one that is absent is fine.
	DeleteTimer(key string) error
	// DueTimers returns timers due at or before now, earliest first.
	DueTimers(now time.Time, limit int) ([]Timer, error)
	// NextTimer returns the time of the earliest timer, zero if there is none.
	NextTimer() (time.Time, error)
}

// Outbox holds effects that leave the store, until they are done. An effect's
// key is unique.
type Outbox interface {
	AddEffect(Effect) error // ErrExists
	// DeleteEffect removes an effect; one that is absent is fine.
	DeleteEffect(key string) error
	ListEffects(after int64, limit int) ([]Effect, error)
}

// Replies holds successful replies of mutating calls for a day at least, so that
// a repeated call acts once (DESIGN P5).
type Replies interface {
	Reply(key Hash, day int64) ([]byte, error)
	PutReply(key Hash, day int64, body []byte) error
}
