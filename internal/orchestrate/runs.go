package orchestrate

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"tenon/internal/engine"
	"tenon/internal/flow"
	"tenon/internal/store"
)

// StartRun starts a run of a workflow (spec/workflows §3): checks 3 to 5 of
// §3.1, the snapshot, the properties, and everything its start trigger starts.
// Errors: ErrNoStartTrigger, ErrConcurrentRuns, *QuotaError.
func (o *Orchestrator) StartRun(tx store.Tx, w store.Workflow, properties map[string]string) (store.Run, error) {
	u := o.begin(tx)
	snap, err := u.snapshotOf(w)
	if err != nil {
		return store.Run{}, err
	}
	start, ok := snap.graph.StartTrigger()
	if !ok && !o.AllowEmptyRun {
		return store.Run{}, ErrNoStartTrigger
	}
	if err := u.checkRunLimits(w); err != nil {
		return store.Run{}, err
	}
	merged := maps.Clone(w.DefaultRunProperties)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, properties)
	row, err := u.newRun(engine.WorkflowRun, w.Scope, w.UID, w.Name, snap)
	if err != nil {
		return store.Run{}, err
	}
	if err := o.PutProperties(tx, row.Seq, merged); err != nil {
		return store.Run{}, err
	}
	r := u.add(row, engine.New(engine.WorkflowRun, snap.graph, start))
	err = u.finish()
	return r.row, err
}

func (u *unit) checkRunLimits(w store.Workflow) error {
	if w.MaxConcurrentRuns != nil {
		n, err := u.tx.CountActiveRuns(w.Scope, w.UID, *w.MaxConcurrentRuns)
		if err != nil {
			return fmt.Errorf("count active runs: %w", err)
		}
		if n >= *w.MaxConcurrentRuns {
			return ErrConcurrentRuns
		}
	}
	return u.CheckQuota(ActiveRuns, func(limit int) (int, error) { return u.tx.CountActiveRuns(w.Scope, 0, limit) })
}

// ResumeRun starts a run that repeats nodes of a COMPLETED one and everything
// downstream of them, on the triggers and with the properties of that run
// (spec/workflows §5.8). kept are the ids of the nodes that start. Errors:
// ErrNotCompleted, ErrNoNode, engine.ErrNotAttempted, engine.ErrNotAnAction,
// ErrConcurrentRuns, *QuotaError; nothing is written then.
func (o *Orchestrator) ResumeRun(tx store.Tx, w store.Workflow, old store.Run, nodes []string) (row store.Run, kept []string, err error) {
	if old.Head.Status != engine.Completed {
		return row, nil, ErrNotCompleted
	}
	u := o.begin(tx)
	state, err := u.Load(tx, old)
	if err != nil {
		return row, nil, err
	}
	wanted := make([]int, len(nodes))
	for i, id := range nodes {
		if wanted[i] = slices.IndexFunc(state.Graph.Nodes, func(n flow.Node) bool { return n.ID == id }); wanted[i] < 0 {
			return row, nil, fmt.Errorf("%s: %w", id, ErrNoNode)
		}
	}
	resumed, starts, err := engine.Resume(state, wanted)
	if err != nil {
		return row, nil, err
	}
	if err := u.checkRunLimits(w); err != nil {
		return row, nil, err
	}
	for _, n := range starts {
		kept = append(kept, state.Graph.Nodes[n].ID)
	}
	properties, err := o.Properties(tx, old.Seq)
	if err != nil {
		return row, nil, err
	}
	rand, err := u.IDs.Rand()
	if err != nil {
		return row, nil, err
	}
	row = store.Run{
		Seq: u.IDs.Next(), Rand: rand, Scope: old.Scope, Kind: old.Kind, Workflow: old.Workflow, WorkflowName: old.WorkflowName,
		Started: u.now, Snapshot: old.Snapshot, Previous: old.ID(),
	}
	if err := o.PutProperties(tx, row.Seq, properties); err != nil {
		return row, nil, err
	}
	r := u.add(row, resumed)
	err = u.finish()
	return r.row, kept, err
}

func (u *unit) newRun(kind engine.Kind, s store.Scope, owner int64, name string, snap snapshot) (store.Run, error) {
	hash, err := u.tx.PutSnapshot(snap.body)
	if err != nil {
		return store.Run{}, fmt.Errorf("write triggers: %w", err)
	}
	rand, err := u.IDs.Rand()
	if err != nil {
		return store.Run{}, err
	}
	return store.Run{
		Seq: u.IDs.Next(), Rand: rand, Scope: s, Kind: kind, Workflow: owner, WorkflowName: name,
		Started: u.now, Snapshot: hash,
	}, nil
}

func (u *unit) add(row store.Run, state engine.Run) *liveRun {
	r := &liveRun{row: row, state: state, dirty: true, asking: true}
	u.hold(r)
	return r
}

// FireTrigger fires a standalone ON_DEMAND trigger: a chain with all standalone
// conditional triggers that can follow from it (spec/workflows §4.5). Actions
// that can start do; the first that could not is returned as refused, a
// *RefusedError, though the chain is written (§4.6).
func (o *Orchestrator) FireTrigger(tx store.Tx, t store.Trigger) (run store.Run, refused, err error) {
	u := o.begin(tx)
	rows, err := tx.WorkflowTriggers(t.Scope, "")
	if err != nil {
		return run, nil, fmt.Errorf("read triggers: %w", err)
	}
	all := make([]flow.Trigger, len(rows))
	for i, r := range rows {
		all[i] = r.Definition
	}
	snap, err := makeSnapshot("", followers(t.Definition, all))
	if err != nil {
		return run, nil, err
	}
	row, err := u.newRun(engine.Chain, t.Scope, t.UID, "", snap)
	if err != nil {
		return run, nil, err
	}
	r := u.add(row, engine.New(engine.Chain, snap.graph, 0))
	err = u.finish()
	return r.row, u.refused, err
}

// followers returns the root and the activated conditional triggers that watch
// something which it, or another follower, starts.
func followers(root flow.Trigger, all []flow.Trigger) []flow.Trigger {
	out := []flow.Trigger{root}
	started := map[string]bool{}
	mark := func(t flow.Trigger) {
		for _, a := range t.Actions {
			typ, name := a.Target()
			started[string(typ)+"\x00"+name] = true
		}
	}
	mark(root)
	taken := map[int64]bool{root.UID: true}
	for grown := true; grown; {
		grown = false
		for _, t := range all {
			if taken[t.UID] || t.Type != flow.Conditional || t.State != flow.Activated {
				continue
			}
			if slices.ContainsFunc(t.Predicate.Conditions, func(c flow.Condition) bool {
				typ, name, _ := c.Watched()
				return started[string(typ)+"\x00"+name]
			}) {
				taken[t.UID], grown = true, true
				out = append(out, t)
				mark(t)
			}
		}
	}
	return out
}

// StopRun stops a run (spec/workflows §5.7). A run that is not RUNNING is
// ErrRunState.
func (o *Orchestrator) StopRun(tx store.Tx, row store.Run) error {
	if row.Head.Status != engine.Running {
		return ErrRunState
	}
	u := o.begin(tx)
	if err := u.tell(row.Seq, engine.StopRequested{}); err != nil {
		return err
	}
	return u.finish()
}

// PutProperties replaces the properties of a run. A map over the quota is a
// *QuotaError.
func (o *Orchestrator) PutProperties(tx store.Tx, run int64, p map[string]string) error {
	size := 0
	for k, v := range p {
		size += len(k) + len(v)
	}
	if limit, ok := o.Limit(RunProperties); ok && size > limit {
		return &QuotaError{Quota: RunProperties, Limit: limit}
	}
	body, err := json.Marshal(p, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("encode run properties: %w", err)
	}
	if err := tx.PutProperties(run, body); err != nil {
		return fmt.Errorf("write run properties: %w", err)
	}
	return nil
}

// Properties returns the properties of a run; never nil.
func (o *Orchestrator) Properties(tx store.Tx, run int64) (map[string]string, error) {
	p := map[string]string{}
	body, err := tx.Properties(run)
	if errors.Is(err, store.ErrNotFound) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read run properties: %w", err)
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, fmt.Errorf("decode run properties: %w", err)
	}
	return p, nil
}

const crawlPrefix = "crawl_"

func crawlID(seq int64) string { return fmt.Sprintf("%s%016x", crawlPrefix, seq) }

// CrawlSeq returns the sequence number in a crawl's id, which is its time of
// start in nanoseconds; 0 for anything else.
func CrawlSeq(id string) int64 {
	s, ok := strings.CutPrefix(id, crawlPrefix)
	seq, err := strconv.ParseInt(s, 16, 64)
	if !ok || err != nil {
		return 0
	}
	return seq
}
