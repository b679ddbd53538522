package memstore

import (
	"reflect"
	"time"
)

// clone returns a deep copy, so that neither side of the store can change what
// the other holds. It goes by reflection: a member that somebody adds to a row is
// copied without a line here.
func clone[T any](v T) T {
	var out T
	copyInto(reflect.ValueOf(&out).Elem(), reflect.ValueOf(&v).Elem())
	return out
}

var instants = reflect.TypeFor[time.Time]()

func copyInto(to, from reflect.Value) {
	to.Set(from)
	switch from.Kind() {
	case reflect.Pointer:
		if !from.IsNil() {
			to.Set(reflect.New(from.Type().Elem()))
			copyInto(to.Elem(), from.Elem())
		}
	case reflect.Slice:
		if from.IsNil() {
			return
		}
		to.Set(reflect.MakeSlice(from.Type(), from.Len(), from.Len()))
		if from.Type().Elem().Kind() == reflect.Uint8 {
			reflect.Copy(to, from)
			return
		}
		for i := range from.Len() {
			copyInto(to.Index(i), from.Index(i))
		}
	case reflect.Map:
		if from.IsNil() {
			return
		}
		to.Set(reflect.MakeMapWithSize(from.Type(), from.Len()))
		for it := from.MapRange(); it.Next(); {
			v := reflect.New(from.Type().Elem()).Elem()
			copyInto(v, it.Value())
			to.SetMapIndex(it.Key(), v)
		}
	case reflect.Struct:
		if from.Type() == instants { // all its members are hidden, and never change
			return
		}
		for i := range from.NumField() {
			switch from.Field(i).Kind() {
			case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Struct:
				copyInto(to.Field(i), from.Field(i))
			}
		}
	}
}

// moment is a time as every store keeps it: to the millisecond.
func moment(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.Truncate(time.Millisecond).UTC()
}
