package model

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// shown writes the value of a violation as AWS does: text and numbers as they
// are, lists as [a, b], maps as {k=v}, and nothing at all of what the model
// calls sensitive.
func shown(v reflect.Value, s *Shape) string {
	if s.Sensitive {
		return "Value"
	}
	var b strings.Builder
	show(&b, v, s)
	text := b.String()
	if utf8.RuneCountInString(text) > maxShown {
		text = string([]rune(text)[:maxShown]) + "..."
	}
	return "Value '" + text + "'"
}

// show stops soon after maxShown characters; the rest would be cut off anyway.
func show(b *strings.Builder, v reflect.Value, s *Shape) {
	if b.Len() > maxShown*utf8.UTFMax {
		return
	}
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	switch {
	case s.Sensitive:
		b.WriteString("***")
	case v.Kind() == reflect.String:
		b.WriteString(v.String())
	case v.CanInt():
		b.WriteString(strconv.FormatInt(v.Int(), 10))
	case v.CanFloat():
		b.WriteString(strconv.FormatFloat(v.Float(), 'g', -1, 64))
	case v.Kind() == reflect.Bool:
		b.WriteString(strconv.FormatBool(v.Bool()))
	case s.Kind == List:
		showList(b, v, s)
	case s.Kind == Map:
		showMap(b, v, s)
	case s.Kind == Structure:
		showStruct(b, v, s)
	case s.Kind == Blob:
		fmt.Fprintf(b, "%d bytes", v.Len())
	default:
		b.WriteString("...")
	}
}

func showList(b *strings.Builder, v reflect.Value, s *Shape) {
	b.WriteByte('[')
	for i := range min(v.Len(), maxShown) {
		if i > 0 {
			b.WriteString(", ")
		}
		show(b, v.Index(i), s.Elem)
	}
	b.WriteByte(']')
}

func showMap(b *strings.Builder, v reflect.Value, s *Shape) {
	b.WriteByte('{')
	keys := sortedKeys(v)
	for i, key := range keys[:min(len(keys), maxShown)] {
		if i > 0 {
			b.WriteString(", ")
		}
		show(b, key, s.Key)
		b.WriteByte('=')
		show(b, v.MapIndex(key), s.Elem)
	}
	b.WriteByte('}')
}

func showStruct(b *strings.Builder, v reflect.Value, s *Shape) {
	b.WriteByte('{')
	first := true
	for _, m := range s.Members {
		f := v.FieldByName(m.GoName)
		if !f.IsValid() || isAbsent(f) {
			continue
		}
		if !first {
			b.WriteString(", ")
		}
		first = false
		b.WriteString(lowerFirst(m.Name))
		b.WriteByte('=')
		show(b, f, m.Shape)
	}
	b.WriteByte('}')
}

func sortedKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	return keys
}
