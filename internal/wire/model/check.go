package model

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/smithy-go"
)

// ValidationError says which constraints of the model an input violates. Its
// message has the form of spec/workflows §1.5.
type ValidationError struct {
	Count   int // all violations, also those the message leaves out
	Message string
}

func (e *ValidationError) Error() string                 { return e.ErrorCode() + ": " + e.Message }
func (e *ValidationError) ErrorCode() string             { return "ValidationException" }
func (e *ValidationError) ErrorMessage() string          { return e.Message }
func (e *ValidationError) ErrorFault() smithy.ErrorFault { return smithy.FaultClient }

// A message lists at most maxItems violations and shows at most maxShown
// characters of a value, so that an answer cannot be larger than the request
// that caused it. The count in front is always the true one.
const (
	maxItems = 10
	maxShown = 1024
)

// Check tells whether in, a non-nil *glue.XInput, satisfies the model's
// constraints for the operation X. It returns nil, a *ValidationError, or
// another error if the operation does not exist or in is not its input.
//
// Lengths count characters. An empty Go enum and a zero plain number cannot be
// told from an absent one and are taken as absent.
func Check(op string, in any) error {
	o := Lookup(op)
	if o == nil {
		return fmt.Errorf("check %s: no such operation", op)
	}
	v := reflect.ValueOf(in)
	p := o.plan.Load()
	if p == nil || !v.IsValid() || p.goType != v.Type() {
		var err error
		if p, err = newPlan(o, reflect.TypeOf(in)); err != nil {
			return err
		}
		o.plan.Store(p)
	}
	if v.IsNil() {
		return fmt.Errorf("check %s: input is nil", op)
	}
	var room [16]step // keeps the path off the heap
	w := walk{path: room[:0]}
	w.structure(v.Elem(), p.root)
	if w.count == 0 {
		return nil
	}
	return w.error()
}

// walk carries the path to the value at hand and the violations found.
type walk struct {
	path  []step
	items []string
	count int
}

// step is a member name; with element it is a map's value, and without a name a
// list's element, counted from 1.
type step struct {
	name    string
	index   int
	element bool
}

func (w *walk) push(s step) { w.path = append(w.path, s) }
func (w *walk) pop()        { w.path = w.path[:len(w.path)-1] }

func (w *walk) structure(v reflect.Value, r *rule) {
	for i := range r.fields {
		f := &r.fields[i]
		field := v.Field(f.index)
		if isAbsent(field) {
			if f.required && nullable(field) {
				w.push(step{name: f.name})
				w.report("Value null", "Member must not be null")
				w.pop()
			}
			continue
		}
		if f.rule.needed {
			w.push(step{name: f.name})
			w.value(field, f.rule)
			w.pop()
		}
	}
}

// isAbsent tells whether the caller left a member out.
func isAbsent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return v.IsNil()
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// nullable tells whether a zero Go value means that a required member is
// missing. Plain numbers and booleans default to zero on the wire.
func nullable(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.String:
		return true
	}
	return false
}

// value checks a value that is present.
func (w *walk) value(v reflect.Value, r *rule) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	switch r.shape.Kind {
	case Structure:
		w.structure(v, r)
	case Union:
		w.union(v, r)
	case List:
		w.list(v, r)
	case Map:
		w.mapping(v, r)
	case String:
		if s := v.String(); !r.accepts(s) {
			w.text(s, r)
		}
	case Integer, Long:
		w.bounds(float64(v.Int()), r.shape, "value", v)
	case Double:
		w.bounds(v.Float(), r.shape, "value", v)
	case Blob:
		w.bounds(float64(v.Len()), r.shape, "length", v)
	}
}

func (w *walk) union(v reflect.Value, r *rule) {
	v = v.Elem()
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return
	}
	v = v.Elem()
	for i := range r.fields {
		if f := &r.fields[i]; f.variant == v.Type() {
			w.push(step{name: f.name})
			w.value(v.Field(0), f.rule)
			w.pop()
		}
	}
}

func (w *walk) list(v reflect.Value, r *rule) {
	w.bounds(float64(v.Len()), r.shape, "length", v)
	if !r.elem.needed {
		return
	}
	for i := range v.Len() {
		w.push(step{index: i + 1})
		w.value(v.Index(i), r.elem)
		w.pop()
	}
}

// mapping checks size, keys and values. Keys and text values have no place of
// their own in a path: AWS names the map and lists what they have to satisfy.
func (w *walk) mapping(v reflect.Value, r *rule) {
	w.bounds(float64(v.Len()), r.shape, "length", v)
	if !r.key.needed && !r.elem.needed {
		return
	}
	goodKeys, goodValues := true, true
	if m, ok := v.Interface().(map[string]string); ok { // almost every map; four times faster than reflection
		for key, value := range m {
			goodKeys = goodKeys && r.key.accepts(key)
			goodValues = goodValues && r.elem.accepts(value)
		}
	} else {
		for it := v.MapRange(); it.Next(); {
			goodKeys = goodKeys && r.key.accepts(it.Key().String())
			if r.elem.shape.Kind == String {
				goodValues = goodValues && r.elem.accepts(it.Value().String())
			}
		}
		w.entries(v, r)
	}
	if !goodKeys {
		w.report(shown(v, r.shape), "Map keys must satisfy constraint: ["+strings.Join(r.key.all(), ", ")+"]")
	}
	if !goodValues {
		w.report(shown(v, r.shape), "Map value must satisfy constraint: ["+strings.Join(r.elem.all(), ", ")+"]")
	}
}

// entries checks the values of a map that are more than text, in key order so
// that the same request always gets the same answer.
func (w *walk) entries(v reflect.Value, r *rule) {
	if r.elem.shape.Kind == String || !r.elem.needed {
		return
	}
	for _, key := range sortedKeys(v) {
		w.push(step{name: key.String(), element: true})
		w.value(v.MapIndex(key), r.elem)
		w.pop()
	}
}

// accepts is the whole check of a text.
func (r *rule) accepts(s string) bool {
	if !r.needed {
		return true
	}
	sh := r.shape
	if sh.Min != nil || sh.Max != nil {
		n := float64(utf8.RuneCountInString(s))
		if sh.Min != nil && n < sh.Min.Value || sh.Max != nil && n > sh.Max.Value {
			return false
		}
	}
	return (len(r.enum) == 0 || r.enum[s]) && sh.match(s)
}

// text reports each constraint that a text violates.
func (w *walk) text(s string, r *rule) {
	v := reflect.ValueOf(s)
	w.bounds(float64(utf8.RuneCountInString(s)), r.shape, "length", v)
	if len(r.enum) > 0 && !r.enum[s] {
		w.report(shown(v, r.shape), enumText(r.shape))
	}
	if !r.shape.match(s) {
		w.report(shown(v, r.shape), patternText(r.shape))
	}
}

// bounds compares a value, or the length of one, with the shape's limits.
func (w *walk) bounds(n float64, s *Shape, what string, v reflect.Value) {
	if s.Max != nil && n > s.Max.Value {
		w.report(shown(v, s), maxText(s, what))
	}
	// Written so that a NaN, which is neither above nor below, is refused.
	if s.Min != nil && !(n >= s.Min.Value) {
		w.report(shown(v, s), minText(s, what))
	}
}

func maxText(s *Shape, what string) string {
	return "Member must have " + what + " less than or equal to " + s.Max.Text
}

func minText(s *Shape, what string) string {
	return "Member must have " + what + " greater than or equal to " + s.Min.Text
}

func enumText(s *Shape) string {
	return "Member must satisfy enum value set: [" + strings.Join(s.Enum, ", ") + "]"
}

func patternText(s *Shape) string {
	return "Member must satisfy regular expression pattern: " + s.Pattern
}

// all lists every constraint of a text shape, violated or not.
func (r *rule) all() []string {
	var texts []string
	if r.shape.Max != nil {
		texts = append(texts, maxText(r.shape, "length"))
	}
	if r.shape.Min != nil {
		texts = append(texts, minText(r.shape, "length"))
	}
	if len(r.shape.Enum) > 0 {
		texts = append(texts, enumText(r.shape))
	}
	if r.shape.Pattern != "" {
		texts = append(texts, patternText(r.shape))
	}
	return texts
}

func (w *walk) report(value, constraint string) {
	w.count++
	if len(w.items) == maxItems {
		return
	}
	var b strings.Builder
	b.WriteString(value)
	b.WriteString(" at '")
	for i, s := range w.path {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.name)
		if s.name == "" && !s.element {
			b.WriteString(strconv.Itoa(s.index) + ".member")
		}
		if s.element {
			b.WriteString(".member")
		}
	}
	b.WriteString("' failed to satisfy constraint: ")
	b.WriteString(constraint)
	w.items = append(w.items, b.String())
}

func (w *walk) error() *ValidationError {
	noun := " validation errors detected: "
	if w.count == 1 {
		noun = " validation error detected: "
	}
	return &ValidationError{Count: w.count, Message: strconv.Itoa(w.count) + noun + strings.Join(w.items, "; ")}
}
