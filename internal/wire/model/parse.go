package model

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

type registry struct {
	operations map[string]*Operation
	shapes     map[string]*Shape
	goTypes    map[string]*Shape // by the name of the Go type in package types
}

// kinds maps the first field of a shape's line to its kind.
var kinds = map[string]Kind{
	"structure": Structure, "exception": Structure, "union": Union, "document": Document,
	"list": List, "map": Map, "string": String, "integer": Integer, "long": Long,
	"double": Double, "boolean": Boolean, "timestamp": Timestamp, "blob": Blob,
}

// parse reads the generated text. Its lines are fields separated by tabs:
//
//	op         NAME  sdk|-  INPUT  OUTPUT  EXCEPTION,…
//	structure  NAME  [!]MEMBER:SHAPE …  [key=value …]     ("!" = required; also union, exception, document)
//	list       NAME  ELEMENT            [key=value …]
//	map        NAME  KEY  VALUE         [key=value …]
//	string     NAME                     [key=value …]     (and the other scalars)
//
// Keys are min, max, enum, format, sensitive, fault, pattern and, where Go
// writes the pattern differently, regexp. The text is our own and tested whole,
// so a malformed line is a bug of the generator and panics.
func parse(text string, changes []change) *registry {
	r := &registry{
		operations: make(map[string]*Operation, 400),
		shapes:     make(map[string]*Shape, 2200),
		goTypes:    make(map[string]*Shape, 1600),
	}
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if fields[0] == "op" {
			r.addOperation(fields)
		} else {
			r.addShape(fields)
		}
	}
	for _, c := range changes {
		c.apply(r.shape(c.shape))
	}
	return r
}

// shape returns the shape of that name, to be filled by its own line.
func (r *registry) shape(name string) *Shape {
	s := r.shapes[name]
	if s == nil {
		s = &Shape{Name: name}
		r.shapes[name] = s
	}
	return s
}

func (r *registry) addOperation(f []string) {
	op := &Operation{Name: f[1], InSDK: f[2] == "sdk", Input: r.shape(f[3]), Output: r.shape(f[4])}
	for name := range strings.SplitSeq(f[5], ",") {
		op.Errors = append(op.Errors, r.shape(name))
	}
	r.operations[op.Name] = op
}

func (r *registry) addShape(f []string) {
	s := r.shape(f[1])
	s.Kind = kinds[f[0]]
	r.goTypes[upperFirst(s.Name)] = s
	rest := f[2:]
	switch s.Kind {
	case 0:
		panic(fmt.Sprintf("model: unknown kind %q", f[0]))
	case Structure, Union:
		rest = r.addMembers(s, rest)
	case List:
		s.Elem, rest = r.shape(rest[0]), rest[1:]
	case Map:
		s.Key, s.Elem, rest = r.shape(rest[0]), r.shape(rest[1]), rest[2:]
	}
	if f[0] == "exception" {
		s.Exception, s.Status = true, http.StatusBadRequest
	}
	for _, attribute := range rest {
		s.set(attribute)
	}
}

func (r *registry) addMembers(s *Shape, f []string) (rest []string) {
	s.Members = make([]Member, 0, len(f))
	for i, field := range f {
		name, shape, ok := strings.Cut(field, ":")
		if !ok {
			return f[i:]
		}
		name, required := strings.CutPrefix(name, "!")
		s.Members = append(s.Members, Member{Name: name, GoName: upperFirst(name), Shape: r.shape(shape), Required: required})
	}
	return nil
}

func (s *Shape) set(attribute string) {
	key, value, _ := strings.Cut(attribute, "=")
	switch key {
	case "min":
		s.Min = bound(value)
	case "max":
		s.Max = bound(value)
	case "enum":
		s.Enum = strings.Split(value, ",")
	case "format":
		s.ISO8601 = value == "iso8601"
	case "sensitive":
		s.Sensitive = true
	case "fault":
		s.Status = http.StatusInternalServerError
	case "pattern":
		s.Pattern, s.goPattern = value, value
	case "regexp":
		s.goPattern = value
	default:
		panic(fmt.Sprintf("model: unknown attribute %q of %s", key, s.Name))
	}
}

func bound(text string) *Bound {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(fmt.Sprintf("model: bad bound %q", text))
	}
	return &Bound{Value: v, Text: text}
}

func upperFirst(s string) string {
	if c := s[0]; 'a' <= c && c <= 'z' {
		return string(c-'a'+'A') + s[1:]
	}
	return s
}

// lowerFirst is how AWS writes a member in the path of a violation: only the
// first letter changes (DPUSeconds becomes dPUSeconds).
func lowerFirst(s string) string {
	if c := s[0]; 'A' <= c && c <= 'Z' {
		return string(c-'A'+'a') + s[1:]
	}
	return s
}
