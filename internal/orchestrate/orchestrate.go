// Package orchestrate admits and applies: it turns requests and facts into
// changes of rows, inside one store transaction each. It guarantees that what a
// run needs next is decided, admitted and written in the very transaction that
// records what happened, so that no crash can lie between them; that a slot of a
// job is counted from rows and freed with the row that frees it; and that only
// launches and stops leave, as outbox rows.
//
// It does no input or output but through store.Tx, starts nothing itself, and
// speaks no AWS: errors here are typed, and the API finds the words.
package orchestrate

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"tenon/internal/engine"
	"tenon/internal/flow"
	"tenon/internal/store"
)

// Errors of admission that callers branch on.
var (
	ErrNoStartTrigger = errors.New("workflow has no start trigger")
	ErrConcurrentRuns = errors.New("workflow is at its MaxConcurrentRuns")
	ErrConcurrentJob  = errors.New("job is at its MaxConcurrentRuns")
	ErrNoJob          = errors.New("job does not exist")
	ErrNotStoppable   = errors.New("it cannot be stopped in its state")
	ErrRunState       = errors.New("workflow run is not running")
	ErrNotCompleted   = errors.New("workflow run is not completed")
	ErrNoNode         = errors.New("node does not exist in the run")
)

// Quota names a limit that an operator can set.
type Quota string

// The quotas (spec/workflows §7, spec/jobs §9).
const (
	Workflows     Quota = "workflows"
	Triggers      Quota = "triggers"
	JobQuota      Quota = "jobs"
	ActiveRuns    Quota = "active-workflow-runs"
	ActiveJobRuns Quota = "active-job-runs"
	RunProperties Quota = "run-properties-bytes"
)

// Quotas lists every quota.
func Quotas() []Quota {
	return []Quota{Workflows, Triggers, JobQuota, ActiveRuns, ActiveJobRuns, RunProperties}
}

// QuotaError says that a quota is reached.
type QuotaError struct {
	Quota Quota
	Limit int
}

// Error names the quota.
func (e *QuotaError) Error() string {
	return fmt.Sprintf("quota %s of %d is reached", e.Quota, e.Limit)
}

// RefusedError says that a job run could not start for an action of a trigger.
type RefusedError struct {
	Job string
	Err error // ErrNoJob, ErrConcurrentJob or a *QuotaError
}

// Error names the job.
func (e *RefusedError) Error() string { return "start job " + e.Job + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *RefusedError) Unwrap() error { return e.Err }

// Config holds what an Orchestrator needs; Now and IDs are injected.
type Config struct {
	Now func() time.Time
	IDs *store.IDs
	// Boot is the boot id of this machine; see store.Attempt.
	Boot string
	// Quotas that are absent or 0 do not limit.
	Quotas map[Quota]int
	// AllowEmptyRun lets workflows without a start trigger run, to be COMPLETED at
	// once (spec/workflows §3.1, note on 3).
	AllowEmptyRun bool
	RetryDelay    time.Duration
	QueueMaxWait  time.Duration
}

// Orchestrator applies requests and facts. It is safe for concurrent use.
type Orchestrator struct {
	Config
	cache cache
}

// New returns an Orchestrator.
func New(c Config) *Orchestrator { return &Orchestrator{Config: c} }

// Limit returns a quota, and whether it is set.
func (o *Orchestrator) Limit(q Quota) (int, bool) {
	n := o.Quotas[q]
	return n, n > 0
}

// CheckQuota returns a QuotaError if count has reached the quota.
func (o *Orchestrator) CheckQuota(q Quota, count func(limit int) (int, error)) error {
	limit, ok := o.Limit(q)
	if !ok {
		return nil
	}
	n, err := count(limit)
	if err != nil {
		return fmt.Errorf("count %s: %w", q, err)
	}
	if n >= limit {
		return &QuotaError{Quota: q, Limit: limit}
	}
	return nil
}

// unit is the work of one transaction: the runs it has loaded, the jobs that may
// have a free slot. Each run is loaded once, so that two facts about it meet.
type unit struct {
	*Orchestrator
	tx    store.Tx
	now   time.Time
	runs  map[int64]*liveRun
	order []*liveRun // in order of loading
	freed []freed
	// refused is the first refusal of a trigger that a caller fired by hand.
	refused error
}

type liveRun struct {
	row    store.Run
	old    int64 // version to replace; 0 for a new run
	state  engine.Run
	dirty  bool // the row is to be written
	asking bool // Advance is to be asked
}

// freed is a job that lost a holder of its slots, or whose queue grew; definition
// is used if the job is gone.
type freed struct {
	job        int64
	scope      store.Scope
	name       string
	definition store.Hash
}

func (o *Orchestrator) begin(tx store.Tx) *unit {
	return &unit{Orchestrator: o, tx: tx, now: o.Now().Truncate(time.Millisecond), runs: map[int64]*liveRun{}}
}

// finish advances every touched run and fills every freed slot until nothing is
// left to do, then writes the runs.
func (u *unit) finish() error {
	for {
		worked := false
		for i := 0; i < len(u.order); i++ {
			if r := u.order[i]; r.asking {
				worked = true
				if err := u.settle(r); err != nil {
					return fmt.Errorf("settle run %s: %w", r.row.ID(), err)
				}
			}
		}
		for len(u.freed) > 0 {
			worked = true
			f := u.freed[0]
			u.freed = u.freed[1:]
			if err := u.promote(f); err != nil {
				return fmt.Errorf("admit queued runs of %s: %w", f.name, err)
			}
		}
		if !worked {
			break
		}
	}
	for _, r := range u.order {
		if err := u.save(r); err != nil {
			return fmt.Errorf("save run %s: %w", r.row.ID(), err)
		}
	}
	return nil
}

// settle asks the engine what the run needs and applies it, until it needs nothing.
func (u *unit) settle(r *liveRun) error {
	r.asking = false
	for {
		plan := engine.Advance(r.state, u.now)
		if len(plan.Effects) == 0 {
			return nil
		}
		for _, e := range plan.Effects {
			fact, err := u.apply(r, e)
			if err != nil {
				return err
			}
			if fact == nil {
				continue
			}
			if err := u.record(r, fact); err != nil {
				return err
			}
		}
	}
}

// record folds a fact into a run that is loaded.
func (u *unit) record(r *liveRun, f engine.Fact) error {
	state, err := engine.Record(r.state, f)
	if err != nil {
		return fmt.Errorf("record %T: %w", f, err)
	}
	r.state, r.dirty = state, true
	return nil
}

// tell records a fact and has the run advanced later in this unit.
func (u *unit) tell(run int64, f engine.Fact) error {
	r, err := u.run(run)
	if err != nil {
		return err
	}
	r.asking = true
	return u.record(r, f)
}

// run returns a run, loading it the first time.
func (u *unit) run(seq int64) (*liveRun, error) {
	if r, ok := u.runs[seq]; ok {
		return r, nil
	}
	row, err := u.tx.Run(seq)
	if err != nil {
		return nil, fmt.Errorf("load run %d: %w", seq, err)
	}
	state, err := u.Load(u.tx, row)
	if err != nil {
		return nil, err
	}
	r := &liveRun{row: row, old: row.Version, state: state}
	u.hold(r)
	return r, nil
}

func (u *unit) hold(r *liveRun) {
	u.runs[r.row.Seq] = r
	u.order = append(u.order, r)
}

// Load returns the engine's view of a stored run. Parts are read when touched,
// through tx.
func (o *Orchestrator) Load(tx store.Tx, row store.Run) (engine.Run, error) {
	g, err := o.graph(tx, row)
	if err != nil {
		return engine.Run{}, err
	}
	return engine.Restore(row.Kind, g, row.Head, func(p int) ([]engine.NodeState, error) {
		body, err := tx.Part(row.Seq, p)
		if err != nil {
			return nil, err
		}
		var part nodePart
		if err := json.Unmarshal(body, &part); err != nil {
			return nil, fmt.Errorf("decode nodes: %w", err)
		}
		if part.V != encodingVersion {
			return nil, fmt.Errorf("decode nodes: version %d is not known", part.V)
		}
		return part.Nodes, nil
	}), nil
}

// encodingVersion is written into every document of a run; a golden file of each
// release's encoding is kept in testdata.
const encodingVersion = 1

type nodePart struct {
	V     int                `json:"v"`
	Nodes []engine.NodeState `json:"n"`
}

type triggerSnapshot struct {
	V        int            `json:"v"`
	Workflow string         `json:"workflow,omitzero"`
	Triggers []flow.Trigger `json:"triggers"`
}

func (u *unit) save(r *liveRun) error {
	if !r.dirty {
		return nil
	}
	for _, p := range r.state.Dirty() {
		body, err := json.Marshal(nodePart{V: encodingVersion, Nodes: r.state.Part(p)})
		if err != nil {
			return fmt.Errorf("encode nodes: %w", err)
		}
		if err := u.tx.PutPart(r.row.Seq, p, body); err != nil {
			return fmt.Errorf("write nodes: %w", err)
		}
	}
	r.state.Saved()
	r.row.Head = r.state.Head
	r.row.Version = u.IDs.Next()
	r.dirty = false
	if r.old == 0 {
		r.old = r.row.Version
		return u.tx.InsertRun(r.row)
	}
	old := r.old
	r.old = r.row.Version
	return u.tx.UpdateRun(r.row, old)
}

// apply does one effect and returns the fact that answers it; no fact means that
// the effect is not wanted any more.
func (u *unit) apply(r *liveRun, e engine.Effect) (engine.Fact, error) {
	switch e := e.(type) {
	case engine.FireTrigger:
		if !r.state.IsReady(e.Trigger) {
			return nil, nil // a watched node was started again by another effect of the plan
		}
		t := r.state.Graph.Triggers[e.Trigger]
		fresh, err := u.tx.InsertFiring(t.UID, r.row.ID(), u.now)
		if err != nil {
			return nil, fmt.Errorf("write firing of %s: %w", t.Name, err)
		}
		if !fresh {
			return nil, fmt.Errorf("trigger %s fired before in this run", t.Name)
		}
		return engine.TriggerFired{Trigger: e.Trigger}, nil
	case engine.StartJobRun:
		return u.startNode(r, e)
	case engine.StartCrawl:
		// Crawlers have no home yet: the node says so (spec/workflows §3.2).
		return engine.ActionRefused{Trigger: e.Trigger, Action: e.Action, ID: crawlID(u.IDs.Next()), State: engine.StateError}, nil
	case engine.StopJobRun:
		return u.stopNode(e.Ref)
	case engine.StopCrawl:
		return nil, errors.New("a crawl is active, but no crawler can run")
	case engine.EndRun:
		r.row.Completed = u.now
		return engine.RunEnded{Status: e.Status}, nil
	}
	return nil, fmt.Errorf("effect %T is not known", e)
}

// effectKey names an action of a run, once and for all; the job run's id is
// derived from it (DESIGN §3).
func effectKey(run string, trigger int64, action int) [24]byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "start\x00%s\x00%d\x00%d", run, trigger, action))
	return [24]byte(sum[:24])
}
