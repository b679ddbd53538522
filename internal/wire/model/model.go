// Package model holds the facts of the Glue API and guarantees that what passes
// [Check] satisfies every constraint that AWS publishes for the operation's
// input: required members, lengths, ranges, enums, patterns and sizes, at every
// depth. The facts are generated (tools/modelgen) from a pinned botocore
// release; the few places where Tenon deliberately differs stand in overlay.go,
// each with its spec row.
//
// It does not decode anything, does not check outputs, and knows nothing of
// rules between members or resources: those are the services' business and
// answer with InvalidInputException (spec/workflows §1.5, layer B).
package model

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Kind says what a shape is on the wire.
type Kind uint8

// The kinds of shapes. A Document is free JSON; an exception is a Structure.
const (
	Structure Kind = iota + 1
	Union
	Document
	List
	Map
	String
	Integer
	Long
	Double
	Boolean
	Timestamp
	Blob
)

// Operation is one API operation.
type Operation struct {
	Name   string
	Input  *Shape
	Output *Shape
	Errors []*Shape // the exceptions it declares, sorted by name
	InSDK  bool     // whether the pinned Go SDK has it too; skew.txt lists the others

	plan atomic.Pointer[plan] // how Check walks the Go input type
}

// Shape is one type of the API. The fields that do not belong to its kind are zero.
type Shape struct {
	Name      string
	Kind      Kind
	Members   []Member // structures and unions, in the order of the model
	Key, Elem *Shape   // Elem is a list's element or a map's value
	Min, Max  *Bound   // characters, bytes, elements or the value itself, by kind
	Enum      []string
	Pattern   string // as AWS writes it; it has to match the whole value
	ISO8601   bool   // a timestamp written as text rather than as a number
	Exception bool
	Status    int // HTTP status of an exception
	Sensitive bool

	goPattern string // Pattern in Go's dialect
	compiled  sync.Once
	matcher   matcher
}

// VariantOf returns the SDK's struct for one member of a union, or nil if the
// pinned SDK lacks it. A pointer to it implements the union's interface.
func VariantOf(union *Shape, m *Member) reflect.Type {
	return variants[[2]string{union.Name, m.GoName}]
}

// Member is one member of a structure or union. GoName is the field of the
// SDK's struct, or the suffix of the SDK's variant type of a union.
type Member struct {
	Name     string // exactly as on the wire, case-sensitive
	GoName   string
	Shape    *Shape
	Required bool
}

// Bound is a limit, with the text AWS shows for it.
type Bound struct {
	Value float64
	Text  string
}

// Operations returns the names of all operations, sorted.
func Operations() []string { return slices.Sorted(maps.Keys(load().operations)) }

// Lookup returns an operation, or nil if Glue has none of that name. Names are
// case-sensitive. The result is shared and must not be changed.
func Lookup(op string) *Operation { return load().operations[op] }

// Exception returns the shape of a modelled exception, or nil.
func Exception(code string) *Shape {
	if s := load().shapes[code]; s != nil && s.Exception {
		return s
	}
	return nil
}

const (
	apiPackage   = "github.com/aws/aws-sdk-go-v2/service/glue"
	typesPackage = apiPackage + "/types"
)

// Of returns the shape of a struct or union interface of the Go SDK, or nil if
// the type is none. Inputs and outputs carry the name of their operation,
// everything else that of the shape; modelgen proves that rule for every type.
func Of(t reflect.Type) *Shape {
	facts := load()
	switch t.PkgPath() {
	case typesPackage:
		return facts.goTypes[t.Name()]
	case apiPackage:
		if name, ok := strings.CutSuffix(t.Name(), "Input"); ok {
			if op := facts.operations[name]; op != nil {
				return op.Input
			}
		}
		if name, ok := strings.CutSuffix(t.Name(), "Output"); ok {
			if op := facts.operations[name]; op != nil {
				return op.Output
			}
		}
	}
	return nil
}

// load parses the facts at the first look-up, so that a program that never
// speaks Glue (tenon version, a launcher) does not pay for them.
var load = sync.OnceValue(func() *registry { return parse(facts, overlay) })
