package template

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Save stores the state of a stack durably. Apply calls it before each call whose outcome could get lost and after each change.
type Save func(State) error

// applier carries one plan out.
type applier struct {
	api   API
	plan  *Plan
	state State
	save  Save
	rank  map[string]int // place of each logical id in the template's order
}

// Apply performs the plan, one call after the other, and returns the state it came to, also with an error. After each change it calls
// progress, which may be nil.
//
// Before a resource is created, its record is saved as CREATING: whoever applies after a crash, when nobody knows whether the call
// arrived, adopts the resource if it exists. An existing resource that no such record speaks of is never touched.
// The first error ends the work, except that deletions at the end are all tried.
func (p *Plan) Apply(ctx context.Context, api API, save Save, progress func(Change)) (State, error) {
	a := &applier{api: api, plan: p, state: p.prev.clone(), save: save, rank: map[string]int{}}
	for i, r := range p.order {
		a.rank[r.LogicalID] = i + 1
	}
	lastMade := -1
	for i, c := range p.Changes {
		if c.Action != Delete && c.Action != Retain {
			lastMade = i
		}
	}
	var errs []error
	for i, c := range p.Changes {
		if err := context.Cause(ctx); err != nil {
			return a.state, errors.Join(append(errs, fmt.Errorf("apply stack %s: %w", p.prev.Name, err))...)
		}
		if err := a.step(ctx, c); err != nil {
			errs = append(errs, fmt.Errorf("%s %s %s (%s): %w", c.Action, c.Type, c.LogicalID, c.Name, p.redact(err)))
			if i < lastMade || c.Action != Delete || errors.Is(err, errSave) {
				return a.state, errors.Join(errs...)
			}
			continue
		}
		if progress != nil {
			progress(c)
		}
	}
	if len(errs) > 0 {
		return a.state, errors.Join(errs...)
	}
	return a.state, a.settle()
}

// redacted is an error of a service whose text quoted a NoEcho value.
type redacted struct {
	error
	text string
}

func (r redacted) Error() string { return r.text }
func (r redacted) Unwrap() error { return r.error }

func (p *Plan) redact(err error) error {
	clean := err.Error()
	for _, s := range p.secrets {
		clean = strings.ReplaceAll(clean, s, "****")
	}
	if clean == err.Error() {
		return err
	}
	return redacted{err, clean}
}

func (a *applier) step(ctx context.Context, c Change) error {
	switch c.Action {
	case Create, Replace:
		return a.create(ctx, c)
	case Update:
		return a.update(ctx, c)
	case Ignore:
		a.put(c.resource.record(StatusDone))
		return a.store()
	case Delete:
		return a.delete(ctx, c)
	case Retain:
		a.take(c)
		return a.store()
	}
	return fmt.Errorf("the action %q is not known", c.Action)
}

var errSave = errors.New("save the stack's state")

func (a *applier) store() error {
	a.state.Revision++
	slices.SortStableFunc(a.state.Resources, func(x, y Record) int { return a.rank[x.LogicalID] - a.rank[y.LogicalID] })
	if err := a.save(a.state.clone()); err != nil {
		return fmt.Errorf("%w: %w", errSave, err)
	}
	return nil
}

// settle writes down what no call was needed for, if anything.
func (a *applier) settle() error {
	before := a.state.clone()
	for _, r := range a.plan.order {
		if rec := a.state.find(r.LogicalID); rec != nil {
			rec.Retain, rec.Named = r.Retain, r.named
		}
	}
	a.state.TemplateHash, a.state.Parameters = a.plan.hash, a.plan.seen
	if reflect.DeepEqual(before, a.state) {
		return nil
	}
	return a.store()
}

func (r *Resource) record(s Status) Record {
	return Record{LogicalID: r.LogicalID, Type: r.Type, Name: r.Name, Named: r.named, Status: s, Retain: r.Retain,
		Properties: r.digests, TagKeys: slices.Sorted(maps.Keys(r.tags)), StartOf: r.startOf}
}

// put writes a record over the one of the same logical id.
func (a *applier) put(rec Record) {
	if old := a.state.find(rec.LogicalID); old != nil {
		*old = rec
		return
	}
	a.state.Resources = append(a.state.Resources, rec)
}

// take removes the record of a change from wherever it is.
func (a *applier) take(c Change) (rec Record, found bool) {
	for _, list := range []*[]Record{&a.state.Resources, &a.state.Leftovers} {
		i := slices.IndexFunc(*list, func(r Record) bool { return r.LogicalID == c.LogicalID && r.Type == c.Type && r.Name == c.Name })
		if i >= 0 {
			rec, found = (*list)[i], true
			*list = slices.Delete(slices.Clone(*list), i, i+1)
			return rec, found
		}
	}
	return Record{}, false
}

func (a *applier) create(ctx context.Context, c Change) error {
	r, undo := c.resource, a.state.clone()
	old := a.state.find(r.LogicalID)
	intended := old != nil && old.Status == StatusCreating && old.Type == r.Type && old.Name == r.Name
	if !intended {
		exists, err := a.exists(ctx, r)
		if err != nil {
			return err
		}
		if exists {
			return a.foreign()
		}
	}
	rec := r.record(StatusCreating)
	if intended {
		rec.TagKeys = union(rec.TagKeys, old.TagKeys)
	} else if old != nil {
		a.state.Leftovers = append(a.state.Leftovers, *old)
	}
	a.put(rec)
	if err := a.store(); err != nil {
		return err
	}
	err := a.call(ctx, r)
	switch {
	case isExists(err) && intended && code(err) != "BucketAlreadyExists": // that one says it is somebody else's
		err = a.change(ctx, r, nil, rec.TagKeys, true)
	case isExists(err):
		err = a.foreign()
		fallthrough
	case err != nil && refused(err) && !intended:
		// It is certain that nothing was made: the intent must not stand, or a later apply would adopt somebody else's.
		undo.Revision = a.state.Revision
		a.state = undo
		return errors.Join(err, a.store())
	}
	if err != nil {
		return err
	}
	a.put(r.record(StatusDone))
	return a.store()
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func (a *applier) foreign() error {
	return fmt.Errorf("it exists and does not belong to stack %s", a.state.Name)
}

func (a *applier) update(ctx context.Context, c Change) error {
	r := c.resource
	rec := *a.state.find(r.LogicalID)
	rec.Status, rec.TagKeys = StatusUpdating, union(rec.TagKeys, slices.Collect(maps.Keys(r.tags)))
	a.put(rec)
	if err := a.store(); err != nil {
		return err
	}
	err := a.change(ctx, r, c.Changed, rec.TagKeys, c.force)
	if isMissing(err) {
		err = a.call(ctx, r) // deleted by hand
	}
	if err != nil {
		return err
	}
	a.put(r.record(StatusDone))
	return a.store()
}

// change updates in place: the definition if anything but tags changed, then the tags.
func (a *applier) change(ctx context.Context, r *Resource, changed, tagKeys []string, force bool) error {
	if force || slices.ContainsFunc(changed, func(s string) bool { return s != "Tags" }) {
		if err := a.redefine(ctx, r); err != nil {
			return err
		}
	}
	if r.Type == TypeBucket || !force && !slices.Contains(changed, "Tags") {
		return nil
	}
	if len(r.tags) > 0 {
		if _, err := a.api.TagResource(ctx, &glue.TagResourceInput{ResourceArn: &r.ARN, TagsToAdd: r.tags}); err != nil {
			return err
		}
	}
	gone := slices.DeleteFunc(slices.Clone(tagKeys), func(k string) bool { _, keep := r.tags[k]; return keep })
	if len(gone) == 0 {
		return nil
	}
	_, err := a.api.UntagResource(ctx, &glue.UntagResourceInput{ResourceArn: &r.ARN, TagsToRemove: gone})
	return err
}

func (a *applier) delete(ctx context.Context, c Change) error {
	// The record leaves Resources before the call: if its fate is unknown, a template that brings it back makes a new one.
	rec, found := a.take(c)
	if !found {
		return nil
	}
	a.state.Leftovers = append(a.state.Leftovers, rec)
	if err := a.store(); err != nil {
		return err
	}
	var err error
	switch c.Type {
	case TypeWorkflow:
		_, err = a.api.DeleteWorkflow(ctx, &glue.DeleteWorkflowInput{Name: &c.Name})
	case TypeTrigger:
		_, err = a.api.DeleteTrigger(ctx, &glue.DeleteTriggerInput{Name: &c.Name})
	case TypeJob:
		_, err = a.api.DeleteJob(ctx, &glue.DeleteJobInput{JobName: &c.Name})
	case TypeBucket:
		_, err = a.api.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &c.Name})
	default:
		err = fmt.Errorf("the type %s is not known", c.Type)
	}
	if code(err) == "BucketNotEmpty" {
		err = fmt.Errorf("the bucket is not empty: empty it, or keep it with DeletionPolicy: Retain: %w", err)
	}
	if err != nil && !isMissing(err) {
		return err
	}
	a.take(c)
	return a.store()
}
