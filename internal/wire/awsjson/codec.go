package awsjson

import (
	"fmt"
	"reflect"
	"sync"

	"tenon/internal/wire/model"
)

// codec is how one Go type stands on the wire: everything that would otherwise
// be looked up by name for each value. Codecs of recursive shapes form cycles.
type codec struct {
	kind    model.Kind
	goType  reflect.Type // never a pointer
	iso8601 bool
	fields  []field // structure members, union variants; in the model's order
	byName  map[string]*field
	elem    *codec
}

type field struct {
	name    string
	quoted  string // "name":
	index   int    // of the Go struct
	variant reflect.Type
	codec   *codec
}

type codecKey struct {
	goType reflect.Type
	shape  *model.Shape
}

var (
	ready    sync.Map // reflect.Type of a struct → *codec, complete
	building sync.Mutex
	built    = map[codecKey]*codec{} // under building
)

// codecOf returns the codec of a struct or union type of the SDK.
func codecOf(t reflect.Type) (*codec, error) {
	if c, ok := ready.Load(t); ok {
		return c.(*codec), nil
	}
	shape := model.Of(t)
	if shape == nil || t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%v is not a structure of the Glue API", t)
	}
	building.Lock()
	defer building.Unlock()
	c, err := build(t, shape)
	if err != nil {
		clear(built) // it may hold codecs that were left half done
		return nil, err
	}
	ready.Store(t, c)
	return c, nil
}

func build(t reflect.Type, s *model.Shape) (*codec, error) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	key := codecKey{t, s}
	if c := built[key]; c != nil {
		return c, nil
	}
	c := &codec{kind: s.Kind, goType: t, iso8601: s.ISO8601}
	if !holds(t.Kind(), s.Kind) {
		return nil, fmt.Errorf("%v cannot hold %s", t, s.Name)
	}
	built[key] = c
	var err error
	switch s.Kind {
	case model.Structure:
		err = c.addMembers(s)
	case model.Union:
		err = c.addVariants(s)
	case model.List:
		c.elem, err = build(t.Elem(), s.Elem)
	case model.Map:
		if t.Key() != reflect.TypeFor[string]() {
			return nil, fmt.Errorf("%v has keys other than strings", t)
		}
		c.elem, err = build(t.Elem(), s.Elem)
	}
	return c, err
}

// holds tells whether a Go value of kind g can carry a shape of kind k; the
// decoder and the encoder rely on it and do not look again.
func holds(g reflect.Kind, k model.Kind) bool {
	switch k {
	case model.Structure, model.Timestamp:
		return g == reflect.Struct
	case model.Union, model.Document:
		return g == reflect.Interface
	case model.List, model.Blob:
		return g == reflect.Slice
	case model.Map:
		return g == reflect.Map
	case model.String:
		return g == reflect.String
	case model.Integer:
		return g == reflect.Int32
	case model.Long:
		return g == reflect.Int64
	case model.Double:
		return g == reflect.Float64
	case model.Boolean:
		return g == reflect.Bool
	}
	return false
}

func (c *codec) addMembers(s *model.Shape) error {
	for _, m := range s.Members {
		f, ok := c.goType.FieldByName(m.GoName)
		if !ok {
			continue // the pinned SDK lacks it (model/skew.txt): an unknown member
		}
		inner, err := build(f.Type, m.Shape)
		if err != nil {
			return err
		}
		c.fields = append(c.fields, field{name: m.Name, quoted: `"` + m.Name + `":`, index: f.Index[0], codec: inner})
	}
	c.indexNames()
	return nil
}

func (c *codec) addVariants(s *model.Shape) error {
	for i := range s.Members {
		m := &s.Members[i]
		v := model.VariantOf(s, m)
		if v == nil {
			continue
		}
		inner, err := build(v.Field(0).Type, m.Shape)
		if err != nil {
			return err
		}
		c.fields = append(c.fields, field{name: m.Name, quoted: `"` + m.Name + `":`, variant: v, codec: inner})
	}
	c.indexNames()
	return nil
}

func (c *codec) indexNames() {
	c.byName = make(map[string]*field, len(c.fields))
	for i := range c.fields {
		c.byName[c.fields[i].name] = &c.fields[i]
	}
}
