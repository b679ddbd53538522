package model

import (
	"fmt"
	"reflect"
)

// plan is the walk of one Go input type: what Check would otherwise have to
// look up by name for every value of every request.
type plan struct {
	goType reflect.Type
	root   *rule
}

// rule joins a shape to the Go type that holds it. Rules of recursive shapes
// form cycles.
type rule struct {
	shape  *Shape
	fields []fieldRule
	elem   *rule // list element, map value
	key    *rule // map key
	enum   map[string]bool
	needed bool // whether anything in here, or below, can be violated
}

// fieldRule is one member of a structure, or one variant of a union.
type fieldRule struct {
	index    int          // field of the Go struct
	variant  reflect.Type // of a union
	name     string       // as it stands in paths
	required bool
	rule     *rule
}

// newPlan pairs an operation's input shape with the Go type of its input.
func newPlan(op *Operation, t reflect.Type) (*plan, error) {
	if t == nil || t.Kind() != reflect.Pointer || Of(t.Elem()) != op.Input {
		return nil, fmt.Errorf("check %s: %v is not its input", op.Name, t)
	}
	b := planner{known: map[ruleKey]*rule{}}
	root, err := b.rule(t.Elem(), op.Input)
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", op.Name, err)
	}
	b.mark()
	return &plan{goType: t, root: root}, nil
}

type ruleKey struct {
	goType reflect.Type
	shape  *Shape
}

type planner struct{ known map[ruleKey]*rule }

func (b *planner) rule(t reflect.Type, s *Shape) (*rule, error) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if r := b.known[ruleKey{t, s}]; r != nil {
		return r, nil
	}
	r := &rule{shape: s}
	b.known[ruleKey{t, s}] = r
	var err error
	switch s.Kind {
	case Structure:
		err = b.structure(r, t)
	case Union:
		err = b.union(r)
	case List:
		r.elem, err = b.rule(t.Elem(), s.Elem)
	case Map:
		if r.key, err = b.rule(t.Key(), s.Key); err == nil {
			r.elem, err = b.rule(t.Elem(), s.Elem)
		}
	case String:
		r.enum = make(map[string]bool, len(s.Enum))
		for _, v := range s.Enum {
			r.enum[v] = true
		}
	}
	r.needed = s.Min != nil || s.Max != nil || len(s.Enum) > 0 || s.Pattern != ""
	return r, err
}

func (b *planner) structure(r *rule, t reflect.Type) error {
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("%v does not hold the structure %s", t, r.shape.Name)
	}
	for _, m := range r.shape.Members {
		f, ok := t.FieldByName(m.GoName)
		if !ok {
			continue // only the model has it: skew.txt
		}
		inner, err := b.rule(f.Type, m.Shape)
		if err != nil {
			return err
		}
		r.fields = append(r.fields, fieldRule{index: f.Index[0], name: lowerFirst(m.Name), required: m.Required, rule: inner})
	}
	return nil
}

func (b *planner) union(r *rule) error {
	for i := range r.shape.Members {
		m := &r.shape.Members[i]
		v := VariantOf(r.shape, m)
		if v == nil {
			continue
		}
		inner, err := b.rule(v.Field(0).Type, m.Shape)
		if err != nil {
			return err
		}
		r.fields = append(r.fields, fieldRule{variant: v, name: lowerFirst(m.Name), rule: inner})
	}
	return nil
}

// mark spreads needed from the inside out until nothing changes, because a
// cycle has no inside, and then drops the members that need no check.
func (b *planner) mark() {
	for changed := true; changed; {
		changed = false
		for _, r := range b.known {
			if !r.needed && r.anyNeeded() {
				r.needed, changed = true, true
			}
		}
	}
	for _, r := range b.known {
		if r.shape.Kind != Structure {
			continue
		}
		kept := r.fields[:0]
		for _, f := range r.fields {
			if f.required || f.rule.needed {
				kept = append(kept, f)
			}
		}
		r.fields = kept
	}
}

func (r *rule) anyNeeded() bool {
	for _, f := range r.fields {
		if f.required || f.rule.needed {
			return true
		}
	}
	return r.elem != nil && r.elem.needed || r.key != nil && r.key.needed
}
