package awsjson

import (
	"encoding/base64"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/glue/document"
	"github.com/go-json-experiment/json/jsontext"

	"tenon/internal/wire/model"
)

// append writes one value that is present.
func (c *codec) append(dst []byte, v reflect.Value) ([]byte, error) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch c.kind {
	case model.Structure:
		return c.appendStruct(dst, v)
	case model.Union:
		return c.appendUnion(dst, v)
	case model.List:
		return c.appendList(dst, v)
	case model.Map:
		return c.appendMap(dst, v)
	case model.String:
		return appendText(dst, v.String()), nil
	case model.Integer, model.Long:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	case model.Double:
		return appendFloat(dst, v.Float()), nil
	case model.Boolean:
		return strconv.AppendBool(dst, v.Bool()), nil
	case model.Timestamp:
		if v.CanAddr() { // always, but in a struct given by value; spares an allocation
			return c.appendTime(dst, *v.Addr().Interface().(*time.Time)), nil
		}
		return c.appendTime(dst, v.Interface().(time.Time)), nil
	case model.Blob:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, v.Bytes())
		return append(dst, '"'), nil
	}
	return appendDocument(dst, v)
}

func (c *codec) appendStruct(dst []byte, v reflect.Value) ([]byte, error) {
	dst = append(dst, '{')
	first := true
	for i := range c.fields {
		f := &c.fields[i]
		fv := v.Field(f.index)
		if isAbsent(fv) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, f.quoted...)
		var err error
		if dst, err = f.codec.append(dst, fv); err != nil {
			return dst, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return append(dst, '}'), nil
}

// isAbsent tells whether a member is left out. A plain number or boolean never
// is: AWS sends Attempt 0 and FailedActions 0. A plain string is an enum, and
// the SDK has no other way to say that an enum is absent than empty.
func isAbsent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return v.IsNil()
	case reflect.String:
		return v.Len() == 0
	}
	return false
}

func (c *codec) appendUnion(dst []byte, v reflect.Value) ([]byte, error) {
	variant := v.Elem()
	if variant.Kind() == reflect.Pointer && !variant.IsNil() {
		for i := range c.fields {
			f := &c.fields[i]
			if f.variant == variant.Type().Elem() {
				dst = append(append(dst, '{'), f.quoted...)
				dst, err := f.codec.append(dst, variant.Elem().Field(0))
				return append(dst, '}'), err
			}
		}
	}
	return dst, fmt.Errorf("%v is not a member of the union %v", variant.Type(), c.goType)
}

func (c *codec) appendList(dst []byte, v reflect.Value) ([]byte, error) {
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		elem := v.Index(i)
		if elem.Kind() == reflect.Interface && elem.IsNil() {
			dst = append(dst, "null"...)
			continue
		}
		var err error
		if dst, err = c.elem.append(dst, elem); err != nil {
			return dst, fmt.Errorf("%d: %w", i, err)
		}
	}
	return append(dst, ']'), nil
}

// appendMap writes the entries in the order of their keys.
func (c *codec) appendMap(dst []byte, v reflect.Value) ([]byte, error) {
	if m, ok := v.Interface().(map[string]string); ok {
		return appendTextMap(dst, m), nil
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	dst = append(dst, '{')
	for i, key := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, key.String()), ':')
		var err error
		if dst, err = c.elem.append(dst, v.MapIndex(key)); err != nil {
			return dst, fmt.Errorf("%s: %w", key, err)
		}
	}
	return append(dst, '}'), nil
}

func appendTextMap(dst []byte, m map[string]string) []byte {
	var room [16]string
	keys := room[:0]
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	dst = append(dst, '{')
	for i, key := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, key), ':')
		dst = appendText(dst, m[key])
	}
	return append(dst, '}')
}

// appendText quotes a string. Bytes that are not UTF-8 (a job's last words can
// be anything) become U+FFFD: a reply must not fail over them.
func appendText(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // its only error reports that replacement
	return dst
}

// appendFloat keeps 10.0 a decimal number, as AWS does and the AWS CLI shows
// (spec/jobs U17).
func appendFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	start := len(dst)
	dst = jsontext.AppendFloat(dst, f, 64)
	for _, c := range dst[start:] {
		if c == '.' || c == 'e' {
			return dst
		}
	}
	return append(dst, ".0"...)
}

// appendTime writes epoch seconds with milliseconds, cutting off what is finer.
func (c *codec) appendTime(dst []byte, t time.Time) []byte {
	if c.iso8601 {
		dst = append(dst, '"')
		dst = t.UTC().AppendFormat(dst, "2006-01-02T15:04:05.999Z07:00")
		return append(dst, '"')
	}
	ms := t.UnixMilli()
	if ms < 0 {
		dst = append(dst, '-')
		ms = -ms
	}
	dst = strconv.AppendInt(dst, ms/1000, 10)
	if frac := ms % 1000; frac != 0 {
		dst = append(dst, '.', byte('0'+frac/100), byte('0'+frac/10%10), byte('0'+frac%10))
	}
	return dst
}

// appendDocument writes free JSON with its object members in order, so that
// documents are as deterministic as the rest.
func appendDocument(dst []byte, v reflect.Value) ([]byte, error) {
	doc, ok := v.Interface().(document.Interface)
	if !ok {
		return dst, fmt.Errorf("%v is not a document", v.Type())
	}
	raw, err := doc.MarshalSmithyDocument()
	if err != nil {
		return dst, fmt.Errorf("encode document: %w", err)
	}
	out, err := jsontext.AppendFormat(dst, raw, jsontext.ReorderRawObjects(true))
	if err != nil {
		return dst, fmt.Errorf("encode document: %w", err)
	}
	return out, nil
}
