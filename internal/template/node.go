package template

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// Bounds of one template. CloudFormation reads at most 1 MB from S3; the node bound is what keeps YAML aliases, which
// multiply, from growing a small file without limit, and the depth bound keeps recursion flat.
const (
	maxBytes = 1 << 20
	maxNodes = 200_000
	maxDepth = 100
)

type kind uint8

const (
	kindNull kind = iota
	kindString
	kindNumber
	kindBool
	kindList
	kindObject
)

func (k kind) String() string {
	return [...]string{"null", "a string", "a number", "a boolean", "a list", "an object"}[k]
}

// node is one value of a template, with the line it came from. Scalars keep their source text, because
// CloudFormation passes "3.10" on as 3.10 and not as 3.1. Nodes are never changed once built: evaluation shares them.
type node struct {
	kind   kind
	text   string // of a scalar
	line   int
	secret bool // made from a NoEcho parameter: never shown
	keys   []key
	items  []*node // elements of a list; values of an object, in the order of keys
	index  map[string]int
}

type key struct {
	name string
	line int
}

// get returns the member of an object, or nil.
func (n *node) get(name string) *node {
	if n == nil || n.kind != kindObject {
		return nil
	}
	if n.index != nil {
		if i, ok := n.index[name]; ok {
			return n.items[i]
		}
		return nil
	}
	for i, k := range n.keys {
		if k.name == name {
			return n.items[i]
		}
	}
	return nil
}

func (n *node) scalar() bool { return n.kind != kindList && n.kind != kindObject && n.kind != kindNull }

// show is the value for an error message: short, quoted, and hidden when secret.
func (n *node) show() string {
	switch {
	case n.secret:
		return "the value of a NoEcho parameter"
	case n.scalar():
		return strconv.Quote(clip(n.text))
	default:
		return n.kind.String()
	}
}

func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func text(s string, line int) *node { return &node{kind: kindString, text: s, line: line} }

// place is a position in the template; it is a linked list so that walking a wide template does not copy long names.
type place struct {
	up   *place
	name string
}

func at(name string) *place             { return &place{name: name} }
func (p *place) dot(name string) *place { return &place{up: p, name: name} }
func (p *place) item(i int) *place      { return &place{up: p, name: "[" + strconv.Itoa(i) + "]"} }
func (p *place) String() string {
	var parts []string
	for ; p != nil; p = p.up {
		parts = append(parts, clip(p.name))
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		if b.Len() > 0 && !strings.HasPrefix(parts[i], "[") {
			b.WriteByte('.')
		}
		b.WriteString(parts[i])
	}
	return b.String()
}

// Error is one complaint about a template. Line is 1-based, 0 when the whole file is meant; Path is like
// Resources.Load.Properties.Timeout, or empty.
type Error struct {
	File string
	Line int
	Path string
	Msg  string
}

// Error gives file:line: path: message.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Path != "" {
		b.WriteString(": " + e.Path)
	}
	return b.String() + ": " + e.Msg
}

// builder makes nodes and counts them.
type builder struct {
	file  string
	nodes int
}

func (b *builder) fail(line int, p *place, format string, args ...any) error {
	return &Error{File: b.file, Line: line, Path: p.String(), Msg: fmt.Sprintf(format, args...)}
}

func (b *builder) room(line, depth int, p *place) error {
	b.nodes++
	if b.nodes > maxNodes {
		return b.fail(line, nil, "the template has more than %d values once its aliases are expanded", maxNodes)
	}
	if depth > maxDepth {
		return b.fail(line, p, "the template is nested deeper than %d levels", maxDepth)
	}
	return nil
}

// finish gives a wide object its index and refuses a key that stands twice.
func (b *builder) finish(n *node, p *place) error {
	const wide = 16
	seen := make(map[string]int, len(n.keys))
	for i, k := range n.keys {
		if j, dup := seen[k.name]; dup {
			return b.fail(k.line, p, "the key %q stands twice; the first is at line %d", clip(k.name), n.keys[j].line)
		}
		seen[k.name] = i
	}
	if len(n.keys) > wide {
		n.index = seen
	}
	return nil
}

// shortTags are CloudFormation's YAML tags and the functions they stand for.
var shortTags = map[string]string{
	"!Ref": "Ref", "!Condition": "Condition", "!GetAtt": "Fn::GetAtt", "!Sub": "Fn::Sub", "!Join": "Fn::Join", "!If": "Fn::If",
	"!Select": "Fn::Select", "!Split": "Fn::Split", "!FindInMap": "Fn::FindInMap", "!Equals": "Fn::Equals", "!Not": "Fn::Not",
	"!And": "Fn::And", "!Or": "Fn::Or", "!ImportValue": "Fn::ImportValue", "!Base64": "Fn::Base64", "!GetAZs": "Fn::GetAZs",
	"!Cidr": "Fn::Cidr", "!Transform": "Fn::Transform", "!Length": "Fn::Length", "!ToJsonString": "Fn::ToJsonString",
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// fromYAML reads exactly one YAML document.
func fromYAML(file string, data []byte) (*node, error) {
	b := &builder{file: file}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, b.fail(0, nil, "the template is empty")
	} else if err != nil {
		return nil, b.badYAML(err)
	}
	if err := dec.Decode(&next); err == nil {
		return nil, b.fail(next.Line, nil, "it holds more than one YAML document")
	} else if !errors.Is(err, io.EOF) {
		return nil, b.badYAML(err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, b.fail(0, nil, "the template is empty")
	}
	return b.yaml(doc.Content[0], nil, 0)
}

// badYAML takes the line out of the parser's own text.
func (b *builder) badYAML(err error) error {
	line, msg := 0, err.Error()
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1]) // absent stays 0: the parser names no line
		msg = msg[len(m[0]):]
	}
	return b.fail(line, nil, "it is not valid YAML: %s", msg)
}

func (b *builder) yaml(y *yaml.Node, p *place, depth int) (*node, error) {
	if err := b.room(y.Line, depth, p); err != nil {
		return nil, err
	}
	if y.Kind == yaml.AliasNode {
		// An alias inside its own anchor ends at the depth bound.
		return b.yaml(y.Alias, p, depth+1)
	}
	tag := y.ShortTag()
	if !strings.HasPrefix(tag, "!") || strings.HasPrefix(tag, "!!") {
		return b.plain(y, tag, p, depth)
	}
	name, ok := shortTags[tag]
	if !ok {
		return nil, b.fail(y.Line, p, "the tag %s is not known", clip(tag))
	}
	arg, err := b.plain(y, "", p.dot(name), depth+1)
	if err != nil {
		return nil, err
	}
	if name == "Fn::GetAtt" && arg.kind == kindString {
		arg = splitAttr(arg)
	}
	return &node{kind: kindObject, line: y.Line, keys: []key{{name, y.Line}}, items: []*node{arg}}, nil
}

// splitAttr makes [resource, attribute] of "resource.attribute"; attributes themselves may have dots.
func splitAttr(n *node) *node {
	id, attr, ok := strings.Cut(n.text, ".")
	if !ok {
		return n
	}
	return &node{kind: kindList, line: n.line, items: []*node{text(id, n.line), text(attr, n.line)}}
}

// plain builds a node without regard to a short tag; tag is "" for the argument of one.
func (b *builder) plain(y *yaml.Node, tag string, p *place, depth int) (*node, error) {
	n := &node{line: y.Line}
	switch y.Kind {
	case yaml.ScalarNode:
		return b.yamlScalar(n, y, tag, p)
	case yaml.SequenceNode:
		n.kind = kindList
		for i, c := range y.Content {
			item, err := b.yaml(c, p.item(i), depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		return n, nil
	case yaml.MappingNode:
		n.kind = kindObject
		for i := 0; i+1 < len(y.Content); i += 2 {
			k := y.Content[i]
			if k.Kind != yaml.ScalarNode || k.ShortTag() == "!!null" {
				return nil, b.fail(k.Line, p, "a key must be a plain word")
			}
			if k.ShortTag() == "!!merge" {
				return nil, b.fail(k.Line, p, "YAML merge keys (<<) are not part of CloudFormation templates")
			}
			item, err := b.yaml(y.Content[i+1], p.dot(k.Value), depth+1)
			if err != nil {
				return nil, err
			}
			n.keys = append(n.keys, key{k.Value, k.Line})
			n.items = append(n.items, item)
		}
		return n, b.finish(n, p)
	default:
		return nil, b.fail(y.Line, p, "this YAML cannot be read as a value")
	}
}

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func (b *builder) yamlScalar(n *node, y *yaml.Node, tag string, p *place) (*node, error) {
	n.text = y.Value
	switch tag {
	case "", "!!str", "!!timestamp":
		n.kind = kindString
	case "!!null":
		n.kind, n.text = kindNull, ""
	case "!!bool":
		n.kind, n.text = kindBool, strings.ToLower(y.Value)
	case "!!int", "!!float":
		// 012345678901 is an account number and 0x1F or 1_000 are somebody's names: only what JSON calls a number is one.
		n.kind = kindString
		if jsonNumber.MatchString(y.Value) {
			n.kind = kindNumber
		}
	default:
		return nil, b.fail(y.Line, p, "the tag %s is not known", clip(tag))
	}
	return n, nil
}

// fromJSON reads exactly one JSON value; jsontext refuses duplicate names and bad UTF-8.
func fromJSON(file string, data []byte) (*node, error) {
	r := &jsonReader{builder: builder{file: file}, data: data, line: 1}
	r.dec = jsontext.NewDecoder(bytes.NewReader(data))
	n, err := r.value(nil, 0)
	if err != nil {
		return nil, err
	}
	if r.dec.PeekKind() != jsontext.KindInvalid || len(bytes.TrimSpace(data[r.dec.InputOffset():])) > 0 {
		return nil, r.fail(r.here(), nil, "there is something after the end of the JSON value")
	}
	return n, nil
}

type jsonReader struct {
	builder
	dec  *jsontext.Decoder
	data []byte
	line int
	off  int
}

// here is the line the decoder has come to. It only moves forward, so a document is scanned once.
func (r *jsonReader) here() int {
	to := min(int(r.dec.InputOffset()), len(r.data))
	if to > r.off {
		r.line += bytes.Count(r.data[r.off:to], []byte("\n"))
		r.off = to
	}
	return r.line
}

func (r *jsonReader) token(p *place) (jsontext.Token, error) {
	tok, err := r.dec.ReadToken()
	if err != nil {
		// The decoder's own text carries offset and pointer; the line says it better.
		msg := err.Error()
		if syn, ok := err.(*jsontext.SyntacticError); ok {
			msg = syn.Err.Error()
			r.line += bytes.Count(r.data[r.off:min(max(int(syn.ByteOffset), r.off), len(r.data))], []byte("\n"))
		}
		return tok, r.fail(r.line, p, "it is not valid JSON: %s", msg)
	}
	return tok, nil
}

func (r *jsonReader) value(p *place, depth int) (*node, error) {
	tok, err := r.token(p)
	if err != nil {
		return nil, err
	}
	n := &node{line: r.here()}
	if err := r.room(n.line, depth, p); err != nil {
		return nil, err
	}
	switch tok.Kind() {
	case jsontext.KindNull:
	case jsontext.KindTrue, jsontext.KindFalse:
		n.kind, n.text = kindBool, tok.String()
	case jsontext.KindNumber:
		n.kind, n.text = kindNumber, tok.String()
	case jsontext.KindString:
		n.kind, n.text = kindString, tok.String()
	case jsontext.KindBeginArray:
		n.kind = kindList
		for i := 0; r.dec.PeekKind() != jsontext.KindEndArray; i++ {
			item, err := r.value(p.item(i), depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		_, err = r.token(p)
	case jsontext.KindBeginObject:
		err = r.members(n, p, depth)
	}
	return n, err
}

func (r *jsonReader) members(n *node, p *place, depth int) error {
	n.kind = kindObject
	for r.dec.PeekKind() != jsontext.KindEndObject {
		tok, err := r.token(p)
		if err != nil {
			return err
		}
		k := key{tok.String(), r.here()}
		item, err := r.value(p.dot(k.name), depth+1)
		if err != nil {
			return err
		}
		n.keys = append(n.keys, k)
		n.items = append(n.items, item)
	}
	if _, err := r.token(p); err != nil {
		return err
	}
	return r.finish(n, p)
}
