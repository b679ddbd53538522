package template

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Action is what one change does.
type Action string

const (
	Create  Action = "create"  // make it; one begun earlier is adopted
	Update  Action = "update"  // change it in place
	Replace Action = "replace" // make a new one under a new name; the old one is deleted by a later change
	Delete  Action = "delete"  // a missing one is deleted already
	Retain  Action = "retain"  // leave it in place and forget it
	Ignore  Action = "ignore"  // nothing that can be done to an existing resource
)

// Change is one step of a plan. Changed lists the properties that differ, Reason says why where that is not plain from them.
type Change struct {
	Action                Action
	LogicalID, Type, Name string
	Changed               []string
	Reason                string
	Line                  int // in the template; 0 for what left it

	resource *Resource
	force    bool // an earlier update may have stopped half-way
}

// String is one line for a person: action, type, logical id, name, and what changed.
func (c Change) String() string {
	s := fmt.Sprintf("%-7s %-19s %s (%s)", c.Action, c.Type, c.LogicalID, c.Name)
	if len(c.Changed) > 0 {
		s += ": " + strings.Join(c.Changed, ", ")
	}
	if c.Reason != "" {
		s += " – " + c.Reason
	}
	return s
}

// Plan is the ordered list of changes that turns a stack into its template.
type Plan struct {
	Changes []Change

	prev    State
	hash    string
	seen    map[string]ParameterState
	order   []Resource
	secrets []string // values of NoEcho parameters, to keep out of error texts
}

type nameKey struct{ typ, name string }

// planner sorts changes into those that make room, those that make, and those that clean up.
type planner struct {
	*Evaluated
	early, main, late []Change
	made              map[nameKey]string // who asks for which name
	starts            map[string]bool    // workflows that get a new start trigger
	gone              map[string]string  // logical ids whose old resource goes, with the reason
	retained          map[string]bool    // of those, the ones that stay in place
}

const oneStart = "a workflow has one start trigger at a time"

// Plan compares the evaluated template with the stack's state. It calls nothing and changes nothing. Planning the state that an
// applied plan left gives no changes.
//
// New resources come in order of dependency, then what was replaced or removed goes in reverse order. A start trigger goes
// first when its workflow gets another one, because a workflow can have only one (spec/workflows §4.6 row 4).
func (e *Evaluated) Plan() (*Plan, error) {
	p := &planner{Evaluated: e, made: map[nameKey]string{}, starts: map[string]bool{}, gone: map[string]string{}, retained: map[string]bool{}}
	var errs []error
	inTemplate := map[string]bool{}
	for i := range e.Resources {
		r := &e.Resources[i]
		inTemplate[r.LogicalID] = true
		if err := p.resource(r); err != nil {
			errs = append(errs, err)
		}
	}
	for _, old := range e.prev.Resources {
		if !inTemplate[old.LogicalID] {
			p.gone[old.LogicalID], p.retained[old.LogicalID] = "", old.Retain
		}
	}
	errs = append(errs, p.clashes()...)
	if err := joinErrors(errs); err != nil {
		return nil, err
	}
	p.deletes()
	return &Plan{Changes: slices.Concat(p.early, p.main, p.late), prev: e.prev, hash: e.t.hash, seen: e.parameterStates(), order: e.Resources,
		secrets: e.secrets()}, nil
}

// Destroy plans the deletion of a whole stack in reverse order, except what its template said to retain.
func Destroy(prev State) *Plan {
	p := &planner{Evaluated: &Evaluated{prev: prev}, gone: map[string]string{}, retained: map[string]bool{}}
	for _, old := range prev.Resources {
		p.gone[old.LogicalID], p.retained[old.LogicalID] = "", old.Retain
	}
	p.deletes()
	return &Plan{Changes: slices.Concat(p.early, p.late), prev: prev}
}

func (p *planner) resource(r *Resource) error {
	c := Change{Action: Create, LogicalID: r.LogicalID, Type: r.Type, Name: r.Name, Line: r.Line, resource: r}
	old := p.prev.find(r.LogicalID)
	if old == nil {
		p.make(c)
		return nil
	}
	moved := changedOf(kinds[r.Type].createOnly, old.Properties, r.digests)
	if old.Type != r.Type || old.Name != r.Name || len(moved) > 0 {
		return p.replace(c, old, moved)
	}
	if old.Status == StatusCreating {
		c.Reason = "begun before"
		p.make(c)
		return nil
	}
	c.Changed = changedOf(unionKeys(old.Properties, r.digests), old.Properties, r.digests)
	c.force = old.Status == StatusUpdating
	if c.force {
		c.Reason = "an update was begun before"
	}
	if len(c.Changed) == 0 && !c.force {
		return nil
	}
	p.update(c)
	return nil
}

func unionKeys(a, b map[string]string) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

func (p *planner) make(c Change) {
	p.main = append(p.main, c)
	p.made[nameKey{c.Type, c.Name}] = c.LogicalID
	if c.resource.startOf != "" {
		p.starts[c.resource.startOf] = true
	}
}

// update knows the properties that no call can change: StartOnCreation of an existing trigger, which CloudFormation ignores as well
// (spec/workflows §4.3), and a MaxConcurrentRuns taken away, since an absent member keeps the old value (§2.3).
func (p *planner) update(c Change) {
	c.Action = Update
	switch {
	case c.Type == TypeTrigger && slices.Contains(c.Changed, "StartOnCreation"):
		c.Reason = "StartOnCreation does nothing to an existing trigger: start or stop it yourself"
		if len(c.Changed) == 1 && !c.force {
			c.Action = Ignore
		}
	case c.Type == TypeWorkflow && slices.Contains(c.Changed, "MaxConcurrentRuns") && c.resource.digests["MaxConcurrentRuns"] == "":
		c.Reason = "MaxConcurrentRuns keeps its value: it cannot be unset"
		if len(c.Changed) == 1 && !c.force {
			c.Action = Ignore
		}
	case c.Type == TypeBucket:
		c.Action = Ignore
	}
	p.main = append(p.main, c)
}

func (p *planner) replace(c Change, old *Record, moved []string) error {
	c.Changed = moved
	if old.Type != c.Type {
		c.Changed = append([]string{"Type of resource"}, moved...)
	} else if old.Name != c.Name && (old.Named || c.resource.named) {
		c.Changed = append([]string{kinds[c.Type].nameKey}, moved...)
	}
	p.retained[c.LogicalID] = c.resource.RetainOnReplace
	sameName := old.Type == c.Type && old.Name == c.Name
	switch {
	case sameName && old.Status == StatusCreating:
		// It may not exist at all, and nobody can have come to rely on it.
		p.gone[c.LogicalID], p.retained[c.LogicalID] = "begun before, with other "+strings.Join(moved, " and "), false
	case sameName:
		return p.t.fail(c.Line, at("Resources").dot(c.LogicalID), "%s cannot change in place, and a resource with a name of its own (%q) cannot be replaced: rename it as well",
			strings.Join(moved, " and "), clip(c.Name))
	case c.resource.startOf != "" && c.resource.startOf == old.StartOf:
		p.gone[c.LogicalID] = oneStart
	default:
		c.Action = Replace
		p.gone[c.LogicalID] = "replaced"
	}
	p.make(c)
	return nil
}

// clashes refuses a name that another resource of the stack still holds: CloudFormation makes new ones first, so it cannot either.
func (p *planner) clashes() (errs []error) {
	for _, old := range p.prev.Resources {
		id, wanted := p.made[nameKey{old.Type, old.Name}]
		if wanted && id != old.LogicalID {
			line := p.t.byID[id].line
			errs = append(errs, p.t.fail(line, at("Resources").dot(id), "the name %q belongs to %s of this stack until that is deleted: apply the change in two steps",
				clip(old.Name), old.LogicalID))
		}
	}
	return errs
}

// deletes plans what goes, in reverse order: what is in the way of a new resource early, the rest late.
func (p *planner) deletes() {
	for _, old := range slices.Backward(p.prev.Resources) {
		reason, gone := p.gone[old.LogicalID]
		if !gone {
			continue
		}
		c := Change{Action: Delete, LogicalID: old.LogicalID, Type: old.Type, Name: old.Name, Reason: reason}
		if p.retained[old.LogicalID] {
			c.Action = Retain
		}
		p.place(c, old)
	}
	for _, old := range slices.Backward(p.prev.Leftovers) {
		p.place(Change{Action: Delete, LogicalID: old.LogicalID, Type: old.Type, Name: old.Name, Reason: "left over"}, old)
	}
}

func (p *planner) place(c Change, old Record) {
	_, wanted := p.made[nameKey{old.Type, old.Name}]
	inTheWay := old.StartOf != "" && p.starts[old.StartOf]
	if inTheWay && c.Reason == "" {
		c.Reason = oneStart
	}
	if wanted || inTheWay {
		p.early = append(p.early, c)
		return
	}
	p.late = append(p.late, c)
}

// secrets lists NoEcho values. Those of less than four bytes are left out: hiding every "1" would make errors unreadable
// and hide nothing.
func (e *Evaluated) secrets() (all []string) {
	for _, prm := range e.t.params {
		if !prm.NoEcho {
			continue
		}
		n := e.params[prm.Name]
		for _, s := range append([]*node{n}, n.items...) {
			if len(s.text) >= 4 {
				all = append(all, s.text)
			}
		}
	}
	return all
}

func (e *Evaluated) parameterStates() map[string]ParameterState {
	if len(e.t.params) == 0 {
		return nil
	}
	states := map[string]ParameterState{}
	for _, prm := range e.t.params {
		n := e.params[prm.Name]
		s := n.text
		if n.kind == kindList {
			var parts []string
			for _, item := range n.items {
				parts = append(parts, item.text)
			}
			s = strings.Join(parts, ",")
		}
		if prm.NoEcho {
			states[prm.Name] = ParameterState{Digest: digest(e.prev.ID, prm.Name, s)}
		} else {
			states[prm.Name] = ParameterState{Value: s}
		}
	}
	return states
}
