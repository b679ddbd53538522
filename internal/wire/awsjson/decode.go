package awsjson

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/glue/document"
	smithydocument "github.com/aws/smithy-go/document"
	smithytime "github.com/aws/smithy-go/time"
	"github.com/go-json-experiment/json/jsontext"

	"tenon/internal/wire/model"
)

// value reads the next JSON value, which is not null unless the body itself is.
func (d *decoder) value(v reflect.Value, c *codec) error {
	if c.kind < model.String {
		return d.composite(v, c)
	}
	raw, err := d.json.ReadValue()
	if err != nil {
		return err
	}
	switch c.kind {
	case model.String:
		return setText(v, c, raw)
	case model.Integer, model.Long:
		return setInt(v, c, raw)
	case model.Double:
		return setFloat(v, c, raw)
	case model.Boolean:
		return setBool(v, c, raw)
	case model.Timestamp:
		return setTime(v, c, raw)
	}
	return setBlob(v, raw)
}

func (d *decoder) composite(v reflect.Value, c *codec) error {
	switch c.kind {
	case model.Document:
		return d.document(v)
	case model.Union:
		return d.union(v, c)
	case model.List:
		return d.list(v, c)
	case model.Map:
		return d.mapping(v, c)
	}
	v = target(v, c)
	if err := d.open('{', "an object"); err != nil {
		return err
	}
	for d.json.PeekKind() != '}' {
		f, err := d.member(c)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		if err := d.value(v.Field(f.index), f.codec); err != nil {
			return inside(f.name, err)
		}
	}
	return d.shut()
}

// member reads a member's name, and its value too when that is to be skipped:
// the member is unknown or null. It returns nil then.
func (d *decoder) member(c *codec) (*field, error) {
	raw, err := d.json.ReadValue()
	if err != nil {
		return nil, err
	}
	name := []byte(raw[1 : len(raw)-1])
	if bytes.IndexByte(name, '\\') >= 0 {
		if d.name, err = jsontext.AppendUnquote(d.name[:0], raw); err != nil {
			return nil, err
		}
		name = d.name
	}
	f := c.byName[string(name)]
	if f == nil || d.json.PeekKind() == 'n' {
		return nil, d.json.SkipValue()
	}
	return f, nil
}

// union reads an object that has exactly one known member that is not null.
func (d *decoder) union(v reflect.Value, c *codec) error {
	if err := d.open('{', "an object"); err != nil {
		return err
	}
	for d.json.PeekKind() != '}' {
		f, err := d.member(c)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		if !v.IsNil() {
			return &SerializationError{Reason: "must have exactly one member"}
		}
		variant := reflect.New(f.variant)
		if err := d.value(variant.Elem().Field(0), f.codec); err != nil {
			return inside(f.name, err)
		}
		v.Set(variant)
	}
	if v.IsNil() {
		return &SerializationError{Reason: "must have exactly one member"}
	}
	return d.shut()
}

func (d *decoder) list(v reflect.Value, c *codec) error {
	if err := d.open('[', "a list"); err != nil {
		return err
	}
	v.Set(reflect.MakeSlice(c.goType, 0, 0))
	for n := 0; d.json.PeekKind() != ']'; n++ {
		if d.json.PeekKind() == 'n' && c.elem.kind != model.Document {
			return inside("["+strconv.Itoa(n)+"]", d.refuse(&SerializationError{Reason: "must not be null"}))
		}
		if n == v.Cap() {
			v.Grow(1)
		}
		v.SetLen(n + 1)
		if err := d.value(v.Index(n), c.elem); err != nil {
			return inside("["+strconv.Itoa(n)+"]", err)
		}
	}
	return d.shut()
}

func (d *decoder) mapping(v reflect.Value, c *codec) error {
	if err := d.open('{', "an object"); err != nil {
		return err
	}
	v.Set(reflect.MakeMap(c.goType))
	texts, _ := v.Interface().(map[string]string)
	for d.json.PeekKind() != '}' {
		raw, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		key, err := text(raw)
		if err != nil {
			return err
		}
		if d.json.PeekKind() == 'n' {
			return inside(key, d.refuse(&SerializationError{Reason: "must not be null"}))
		}
		if texts != nil {
			if raw, err = d.json.ReadValue(); err != nil {
				return err
			}
			if texts[key], err = text(raw); err != nil {
				return inside(key, err)
			}
			continue
		}
		elem := reflect.New(c.goType.Elem()).Elem()
		if err := d.value(elem, c.elem); err != nil {
			return inside(key, err)
		}
		v.SetMapIndex(reflect.ValueOf(key), elem)
	}
	return d.shut()
}

// document reads free JSON. The SDK offers no way to keep its text, so it
// becomes a tree of Go values; numbers keep theirs.
func (d *decoder) document(v reflect.Value) error {
	tree, err := d.tree()
	if err != nil {
		return err
	}
	v.Set(reflect.ValueOf(document.NewLazyDocument(tree)))
	return nil
}

func (d *decoder) tree() (any, error) {
	switch d.json.PeekKind() {
	case '{':
		object := map[string]any{}
		if err := d.open('{', ""); err != nil {
			return nil, err
		}
		for d.json.PeekKind() != '}' {
			name, err := d.json.ReadToken()
			if err != nil {
				return nil, err
			}
			key := name.String()
			if object[key], err = d.tree(); err != nil {
				return nil, err
			}
		}
		return object, d.shut()
	case '[':
		list := []any{}
		if err := d.open('[', ""); err != nil {
			return nil, err
		}
		for d.json.PeekKind() != ']' {
			elem, err := d.tree()
			if err != nil {
				return nil, err
			}
			list = append(list, elem)
		}
		return list, d.shut()
	}
	t, err := d.json.ReadToken()
	if err != nil {
		return nil, err
	}
	switch t.Kind() {
	case '"':
		return t.String(), nil
	case '0':
		return smithydocument.Number(t.String()), nil
	case 'n':
		return nil, nil
	}
	return t.Bool(), nil
}

// open reads an opening bracket, or says what the value must be instead.
func (d *decoder) open(bracket jsontext.Kind, what string) error {
	if k := d.json.PeekKind(); k != bracket && k != 0 {
		return d.refuse(mismatch(what, k))
	}
	_, err := d.json.ReadToken()
	return err
}

// refuse returns why, unless the value at hand is not JSON at all: a kind is
// known from one letter, and "nope" is no null.
func (d *decoder) refuse(why *SerializationError) error {
	if _, err := d.json.ReadValue(); err != nil {
		return err
	}
	return why
}

// shut reads a closing bracket that PeekKind has announced.
func (d *decoder) shut() error {
	_, err := d.json.ReadToken()
	return err
}

// target is where a value goes: v itself or what its pointer points to.
func target(v reflect.Value, c *codec) reflect.Value {
	if v.Kind() != reflect.Pointer {
		return v
	}
	v.Set(reflect.New(c.goType))
	return v.Elem()
}

// text returns the Go string of a JSON string.
func text(raw jsontext.Value) (string, error) {
	if raw.Kind() != '"' {
		return "", mismatch("a string", raw.Kind())
	}
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner), nil
	}
	b, err := jsontext.AppendUnquote(make([]byte, 0, len(raw)), raw)
	return string(b), err
}

func setText(v reflect.Value, c *codec, raw jsontext.Value) error {
	s, err := text(raw)
	if err != nil {
		return err
	}
	target(v, c).SetString(s)
	return nil
}

func setBool(v reflect.Value, c *codec, raw jsontext.Value) error {
	k := raw.Kind()
	if k != 't' && k != 'f' {
		return mismatch("a boolean", k)
	}
	target(v, c).SetBool(k == 't')
	return nil
}

func setInt(v reflect.Value, c *codec, raw jsontext.Value) error {
	if raw.Kind() != '0' {
		return mismatch("an integer", raw.Kind())
	}
	bits := c.goType.Bits()
	n, err := strconv.ParseInt(string(raw), 10, bits)
	if errors.Is(err, strconv.ErrRange) {
		return outOfRange(bits)
	}
	if err != nil {
		// JSON has one kind of number: 10.0 and 1e1 are the integer 10.
		f, err := strconv.ParseFloat(string(raw), 64)
		if err != nil || math.Abs(f) >= 1<<53 {
			return outOfRange(bits)
		}
		if f != math.Trunc(f) {
			return &SerializationError{Reason: "must be an integer, not a fraction"}
		}
		if n = int64(f); bits == 32 && int64(int32(n)) != n {
			return outOfRange(bits)
		}
	}
	target(v, c).SetInt(n)
	return nil
}

func outOfRange(bits int) error {
	return &SerializationError{Reason: fmt.Sprintf("is out of range for a %d-bit integer", bits)}
}

func setFloat(v reflect.Value, c *codec, raw jsontext.Value) error {
	f, err := float(raw)
	if err != nil {
		return err
	}
	target(v, c).SetFloat(f)
	return nil
}

// float reads a number, or one of the three that JSON cannot write.
func float(raw jsontext.Value) (float64, error) {
	switch string(raw) {
	case `"NaN"`:
		return math.NaN(), nil
	case `"Infinity"`:
		return math.Inf(1), nil
	case `"-Infinity"`:
		return math.Inf(-1), nil
	}
	if raw.Kind() != '0' {
		return 0, mismatch("a number", raw.Kind())
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return 0, &SerializationError{Reason: "is out of range for a double"}
	}
	return f, nil
}

// The years 0 to 9999, which are what ISO 8601 text can say.
const minSeconds, maxSeconds = -62167219200, 253402300799

func setTime(v reflect.Value, c *codec, raw jsontext.Value) error {
	t, err := instant(raw)
	if err != nil {
		return err
	}
	if s := t.Unix(); s < minSeconds || s > maxSeconds {
		return &SerializationError{Reason: "is out of range for a timestamp"}
	}
	*target(v, c).Addr().Interface().(*time.Time) = t
	return nil
}

func instant(raw jsontext.Value) (time.Time, error) {
	if raw.Kind() == '0' {
		f, err := strconv.ParseFloat(string(raw), 64)
		if err != nil || math.Abs(f) > 1e12 {
			return time.Time{}, &SerializationError{Reason: "is out of range for a timestamp"}
		}
		// A double near today's epoch is exact to a quarter of a microsecond.
		return time.UnixMilli(int64(math.Round(f * 1000))).UTC(), nil
	}
	s, err := text(raw)
	if err != nil {
		return time.Time{}, mismatch("a timestamp", raw.Kind())
	}
	t, err := smithytime.ParseDateTime(s)
	if err != nil {
		return time.Time{}, &SerializationError{Reason: "must be a timestamp: epoch seconds, or text such as 2026-01-31T12:00:00Z"}
	}
	return time.UnixMilli(t.UnixMilli()).UTC(), nil
}

func setBlob(v reflect.Value, raw jsontext.Value) error {
	s, err := text(raw)
	if err != nil {
		return err
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return &SerializationError{Reason: "must be base64"}
	}
	v.SetBytes(b)
	return nil
}

// mismatch names both JSON types but never the value, which may be a secret.
func mismatch(want string, got jsontext.Kind) *SerializationError {
	name := map[jsontext.Kind]string{'n': "null", 't': "a boolean", 'f': "a boolean", '"': "a string", '0': "a number", '{': "an object", '[': "a list"}[got]
	return &SerializationError{Reason: "must be " + want + ", not " + name}
}

// inside adds the member or element to the path of an error on its way out.
func inside(step string, err error) error {
	var s *SerializationError
	if !errors.As(err, &s) {
		return err
	}
	switch {
	case s.Path == "":
		s.Path = step
	case strings.HasPrefix(s.Path, "["):
		s.Path = step + s.Path
	default:
		s.Path = step + "." + s.Path
	}
	return s
}
