// Package awsjson speaks the awsJson1.1 protocol over the SDK's own types, in
// the direction the SDK does not: requests in, replies and faults out. It
// guarantees that member names are exactly the model's, that numbers, booleans
// and times stand as AWS writes them even when they are zero (spec/workflows
// §1.2, §1.3), that the same value always gives the same bytes, and that no
// request body, however broken, does more than fail with a sentence.
//
// It does not check constraints (package model does), does not read HTTP, and
// does not bound the size of a body: its caller has read it already.
package awsjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is how deep the objects and arrays of a body may be nested. Without
// recursion the model's deepest message (GetJobs) needs 13 levels. What recurses
// are search filters, column mappings and Iceberg types, which people write by
// hand, so that four times as much is ample, and far from what the stack bears.
const MaxDepth = 64

// Unmarshal decodes a body into v, a pointer to a zero struct of the SDK: an
// input, an output or a nested type. An empty body is an empty object.
//
// Names are case-sensitive and unknown members are skipped; a null member is
// absent. Duplicate names, invalid UTF-8, anything after the object, nesting
// beyond [MaxDepth], values of the wrong JSON type and numbers out of range are
// refused with a *[SerializationError]. Times are numbers of epoch seconds or
// ISO 8601 text, kept to the millisecond; blobs are base64. After an error the
// contents of v are unspecified.
func Unmarshal(data []byte, v any) error {
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return fmt.Errorf("decode into %T: not a pointer to a struct", v)
	}
	c, err := codecOf(target.Type().Elem())
	if err != nil {
		return fmt.Errorf("decode into %T: %w", v, err)
	}
	if len(bytes.TrimLeft(data, " \t\r\n")) == 0 {
		return nil
	}
	if tooDeep(data) {
		return &SerializationError{Reason: fmt.Sprintf("is nested deeper than %d levels", MaxDepth)}
	}
	d := decoders.Get().(*decoder)
	defer d.release()
	d.body = *bytes.NewBuffer(data)
	d.json.Reset(&d.body)
	if err := d.value(target.Elem(), c); err != nil {
		return d.explain(err)
	}
	if _, err := d.json.ReadToken(); !errors.Is(err, io.EOF) {
		return &SerializationError{Reason: "goes on after the end of the JSON object"}
	}
	return nil
}

// Marshal encodes v, a struct of the SDK or a pointer to one, as compact JSON.
// Nil pointers, maps and slices and empty enums are left out; other plain
// scalars are always written. A nil pointer is an empty object.
func Marshal(v any) ([]byte, error) {
	return Append(make([]byte, 0, 512), v)
}

// Append is [Marshal] that appends to dst, so that a buffer can be used again.
func Append(dst []byte, v any) ([]byte, error) {
	value := reflect.ValueOf(v)
	t := reflect.TypeOf(v)
	if t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
		if value.IsNil() {
			return append(dst, "{}"...), nil
		}
		value = value.Elem()
	}
	if t == nil {
		return dst, errors.New("encode nil: not a struct")
	}
	c, err := codecOf(t)
	if err != nil {
		return dst, fmt.Errorf("encode %T: %w", v, err)
	}
	out, err := c.append(dst, value)
	if err != nil {
		return dst, fmt.Errorf("encode %T: %w", v, err)
	}
	return out, nil
}

// decoder is one body being read. It is pooled: the state of jsontext is several
// times the size of a usual request.
type decoder struct {
	body bytes.Buffer
	json *jsontext.Decoder
	name []byte // scratch for names written with escapes
}

var decoders = sync.Pool{New: func() any { return &decoder{json: jsontext.NewDecoder(new(bytes.Buffer))} }}

// release returns the decoder without a reference to the body, which may be
// large or hold a secret.
func (d *decoder) release() {
	d.body = bytes.Buffer{}
	d.json.Reset(&d.body)
	decoders.Put(d)
}

// tooDeep looks at brackets only, before anything is parsed, so that the bound
// holds for skipped members and documents too. On malformed text its answer
// does not matter: the parser refuses that.
func tooDeep(data []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString:
			if c == '\\' {
				i++
			}
			inString = c != '"'
		case c == '"':
			inString = true
		case c == '{', c == '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case c == '}', c == ']':
			depth--
		}
	}
	return false
}
