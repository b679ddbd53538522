// Package flow says what a workflow is: its triggers, their predicates and
// actions, whether they are valid, and the graph that follows from them. It
// guarantees that equal triggers give an equal graph, on every machine and in
// every run.
//
// It does not know runs: what has happened and what comes next is package
// engine's. It holds no sentences for people either: a rule that is broken is
// named by a [Rule], and the API turns it into AWS's words.
package flow

import "time"

// TriggerType is a trigger's type as on the wire (spec/workflows §4.2).
type TriggerType string

// The four types of trigger.
const (
	OnDemand    TriggerType = "ON_DEMAND"
	Scheduled   TriggerType = "SCHEDULED"
	Conditional TriggerType = "CONDITIONAL"
	Event       TriggerType = "EVENT"
)

// Starts tells whether a trigger of this type is a workflow's start trigger.
func (t TriggerType) Starts() bool { return t == OnDemand || t == Scheduled || t == Event }

// Activates tells whether triggers of this type can be ACTIVATED at all;
// ON_DEMAND and EVENT triggers stay CREATED for life (spec/workflows §4.2).
func (t TriggerType) Activates() bool { return t == Scheduled || t == Conditional }

// TriggerState is a trigger's state as on the wire. Only the stable states
// exist here, because every transition is synchronous (spec/workflows §4.3).
type TriggerState string

// The stable states of a trigger.
const (
	Created     TriggerState = "CREATED"
	Activated   TriggerState = "ACTIVATED"
	Deactivated TriggerState = "DEACTIVATED"
)

// Logical joins the conditions of a predicate.
type Logical string

// The two ways to join conditions. No Logical with one condition means And.
const (
	And Logical = "AND"
	Any Logical = "ANY"
)

// Trigger is the definition of a trigger. Its JSON form is what runs keep as
// their snapshot, so names of members may be added but never changed.
type Trigger struct {
	UID         int64        `json:"uid,omitzero"`
	Name        string       `json:"name"`
	Workflow    string       `json:"workflow,omitzero"`
	Type        TriggerType  `json:"type"`
	State       TriggerState `json:"state"`
	Description *string      `json:"description,omitzero"`
	Schedule    *string      `json:"schedule,omitzero"`
	Actions     []Action     `json:"actions"`
	Predicate   *Predicate   `json:"predicate,omitzero"`
	Batching    *Batching    `json:"batching,omitzero"`
}

// Action is one thing that a trigger starts: a job or a crawler.
type Action struct {
	Job       string            `json:"job,omitzero"`
	Crawler   string            `json:"crawler,omitzero"`
	Arguments map[string]string `json:"arguments,omitzero"`
	// Timeout and NotifyDelayAfter are minutes; 0 means not given.
	Timeout               int    `json:"timeout,omitzero"`
	NotifyDelayAfter      int    `json:"notifyDelayAfter,omitzero"`
	SecurityConfiguration string `json:"securityConfiguration,omitzero"`
	// Notify says that a NotificationProperty was given, be it empty.
	Notify bool `json:"notify,omitzero"`
}

// Predicate is what a conditional trigger waits for.
type Predicate struct {
	Logical    Logical     `json:"logical,omitzero"`
	Conditions []Condition `json:"conditions,omitzero"`
}

// Condition watches one job or crawler for one final state.
type Condition struct {
	Operator   string `json:"operator,omitzero"`
	Job        string `json:"job,omitzero"`
	State      string `json:"state,omitzero"`
	Crawler    string `json:"crawler,omitzero"`
	CrawlState string `json:"crawlState,omitzero"`
}

// Batching is the EventBatchingCondition of a trigger. Window is in seconds; 0
// means not given.
type Batching struct {
	Size   int `json:"size"`
	Window int `json:"window,omitzero"`
}

// Holds tells whether met satisfied conditions are enough for the predicate. A
// predicate without conditions never holds.
func (p *Predicate) Holds(met int) bool {
	switch {
	case p == nil || len(p.Conditions) == 0:
		return false
	case p.Logical == Any:
		return met > 0
	default:
		return met == len(p.Conditions)
	}
}

// Watched returns the node that the condition watches and the state it waits for.
func (c Condition) Watched() (t NodeType, name, state string) {
	if c.Job != "" {
		return JobNode, c.Job, c.State
	}
	return CrawlerNode, c.Crawler, c.CrawlState
}

// Target returns the node that the action starts.
func (a Action) Target() (t NodeType, name string) {
	if a.Job != "" {
		return JobNode, a.Job
	}
	return CrawlerNode, a.Crawler
}

// MinScheduleInterval is the fastest schedule Glue takes (spec/workflows §4.7).
const MinScheduleInterval = 5 * time.Minute
