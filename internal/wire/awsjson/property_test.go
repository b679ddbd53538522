package awsjson

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/document"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	smithydocument "github.com/aws/smithy-go/document"
	"pgregory.net/rapid"

	"tenon/internal/wire/model"
)

// Whatever a service can put into an output, or a client into an input, comes
// back the same, and always as the same text.
func TestRoundTripProperty(t *testing.T) {
	ops := operationTypes()
	names := slices.Sorted(maps.Keys(ops))
	rapid.Check(t, func(t *rapid.T) {
		typ := ops[rapid.SampledFrom(names).Draw(t, "operation")][rapid.IntRange(0, 1).Draw(t, "direction")]
		v := reflect.New(typ)
		fill(t, v.Elem(), model.Of(typ), 6)
		text, err := Marshal(v.Interface())
		if err != nil {
			t.Fatal(err)
		}
		back := reflect.New(typ)
		if err := Unmarshal(text, back.Interface()); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if !reflect.DeepEqual(v.Interface(), back.Interface()) {
			again, err := Marshal(back.Interface())
			t.Fatalf("another value came back, %v:\n%s\n%s", err, text, again)
		}
		if again, err := Marshal(back.Interface()); err != nil || !bytes.Equal(text, again) {
			t.Fatalf("another text came back, %v:\n%s\n%s", err, text, again)
		}
	})
}

// fill draws a value of a shape, no deeper than depth.
func fill(t *rapid.T, v reflect.Value, s *model.Shape, depth int) {
	if v.Kind() == reflect.Pointer {
		if depth <= 0 || rapid.Bool().Draw(t, "nil") {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch s.Kind {
	case model.Structure:
		for _, m := range s.Members {
			if f := v.FieldByName(m.GoName); f.IsValid() {
				fill(t, f, m.Shape, depth-1)
			}
		}
	case model.Union:
		if m := &s.Members[rapid.IntRange(0, len(s.Members)-1).Draw(t, "variant")]; depth > 0 {
			variant := reflect.New(model.VariantOf(s, m))
			fill(t, variant.Elem().Field(0), m.Shape, depth-1)
			if inner := variant.Elem().Field(0); inner.Kind() == reflect.Slice && inner.IsNil() {
				return // a union member that is null is no member
			}
			v.Set(variant)
		}
	case model.Document:
		if depth > 0 {
			v.Set(reflect.ValueOf(document.NewLazyDocument(drawTree(t, depth))))
		}
	case model.List:
		if n := rapid.IntRange(-1, 2).Draw(t, "length"); n >= 0 && depth > 0 {
			list := reflect.MakeSlice(v.Type(), 0, n)
			for range n {
				elem := reflect.New(v.Type().Elem()).Elem()
				fill(t, elem, s.Elem, depth-1)
				if !isNil(elem) {
					list = reflect.Append(list, elem)
				}
			}
			v.Set(list)
		}
	case model.Map:
		if n := rapid.IntRange(-1, 2).Draw(t, "size"); n >= 0 && depth > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n {
				elem := reflect.New(v.Type().Elem()).Elem()
				fill(t, elem, s.Elem, depth-1)
				if !isNil(elem) {
					v.SetMapIndex(reflect.ValueOf(rapid.String().Draw(t, "key")), elem)
				}
			}
		}
	default:
		fillScalar(t, v, s)
	}
}

func isNil(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Interface, reflect.Slice, reflect.Map:
		return v.IsNil()
	}
	return false
}

func fillScalar(t *rapid.T, v reflect.Value, s *model.Shape) {
	switch s.Kind {
	case model.String:
		v.SetString(rapid.String().Draw(t, "string"))
	case model.Integer:
		v.SetInt(int64(rapid.Int32().Draw(t, "int32")))
	case model.Long:
		v.SetInt(rapid.Int64().Draw(t, "int64"))
	case model.Double:
		v.SetFloat(rapid.Float64().Draw(t, "double"))
	case model.Boolean:
		v.SetBool(rapid.Bool().Draw(t, "boolean"))
	case model.Timestamp:
		ms := rapid.Int64Range(minSeconds*1000, maxSeconds*1000).Draw(t, "time")
		v.Set(reflect.ValueOf(time.UnixMilli(ms).UTC()))
	case model.Blob:
		v.SetBytes(rapid.SliceOf(rapid.Byte()).Draw(t, "blob"))
	}
}

func drawTree(t *rapid.T, depth int) any {
	switch rapid.IntRange(0, 5).Draw(t, "document") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "boolean")
	case 2:
		return smithydocument.Number(rapid.StringMatching(`-?[1-9][0-9]{0,20}(\.[0-9]{1,9})?(e[+-]?[1-9])?`).Draw(t, "number"))
	case 3:
		if depth > 0 {
			return []any{drawTree(t, depth-1), drawTree(t, depth-1)}
		}
	case 4:
		if depth > 0 {
			return map[string]any{rapid.String().Draw(t, "name"): drawTree(t, depth-1), "b": drawTree(t, depth-1)}
		}
	}
	return rapid.String().Draw(t, "string")
}

// doer stands in for the network under the SDK's client.
type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

// clientOf returns the SDK's own client, whose requests are decoded into in and
// answered with status and body.
func clientOf(t *testing.T, in any, status int, body []byte) *glue.Client {
	return glue.New(glue.Options{
		Region:       "eu-west-1",
		Credentials:  aws.AnonymousCredentials{},
		BaseEndpoint: aws.String("http://tenon.invalid"),
		Retryer:      aws.NopRetryer{},
		HTTPClient: doer(func(r *http.Request) (*http.Response, error) {
			sent, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			if err := Unmarshal(sent, in); err != nil {
				t.Errorf("decode what the SDK sent: %v in %s", err, sent)
			}
			return &http.Response{StatusCode: status, Body: io.NopCloser(bytes.NewReader(body)),
				Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}}, nil
		}),
	})
}

// Every operation: what the SDK's serializer writes, we read as the same input,
// and what we write, the SDK's deserializer reads as the same output. The values
// are those of the SDK's snapshots.
func TestAgainstSDK(t *testing.T) {
	requests := snapshots(t, "request_snapshot", ".request.snap")
	responses := snapshots(t, "response_snapshot", ".response.snap")
	for op, typ := range operationTypes() {
		in, out := reflect.New(typ[0]), reflect.New(typ[1])
		if err := errors.Join(Unmarshal(requests[op].body, in.Interface()), Unmarshal(responses[op].body, out.Interface())); err != nil {
			t.Errorf("%s: %v", op, err)
			continue
		}
		body, err := Marshal(out.Interface())
		if err != nil {
			t.Errorf("%s: %v", op, err)
			continue
		}
		seen := reflect.New(typ[0])
		client := clientOf(t, seen.Interface(), http.StatusOK, body)
		results := reflect.ValueOf(client).MethodByName(op).Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
		if !results[1].IsNil() {
			t.Errorf("%s: %v", op, results[1])
			continue
		}
		if !reflect.DeepEqual(in.Interface(), seen.Interface()) {
			t.Errorf("%s: we read another input than the SDK wrote", op)
		}
		got := results[0].Elem()
		got.FieldByName("ResultMetadata").SetZero()
		// Documents differ in their Go type, so both are compared as text.
		again, err := Marshal(results[0].Interface())
		if err != nil || !bytes.Equal(body, again) {
			t.Errorf("%s: the SDK read another output than we wrote, %v:\n%s\n%s", op, err, body, again)
		}
	}
}

func TestFaultsAgainstSDK(t *testing.T) {
	var notFound *types.EntityNotFoundException
	status, _, body := Fault(fmt.Errorf("start: %w", &types.EntityNotFoundException{Message: aws.String("Entity not found")}))
	_, err := clientOf(t, &glue.StartWorkflowRunInput{}, status, body).StartWorkflowRun(context.Background(), &glue.StartWorkflowRunInput{Name: aws.String("w")})
	if !errors.As(err, &notFound) || notFound.ErrorMessage() != "Entity not found" {
		t.Errorf("got %v", err)
	}
	status, _, body = Fault(model.Check("StartWorkflowRun", &glue.StartWorkflowRunInput{}))
	_, err = clientOf(t, &glue.StartWorkflowRunInput{}, status, body).StartWorkflowRun(context.Background(), &glue.StartWorkflowRunInput{Name: aws.String("w")})
	if err == nil || !strings.Contains(err.Error(), "ValidationException: 1 validation error detected: Value null at 'name'") {
		t.Errorf("got %v", err)
	}
}

// Nothing a client sends makes the decoder panic, and what it accepts is a value
// that stands: encoded and decoded, it does not change any more.
func FuzzUnmarshal(f *testing.F) {
	for _, seed := range []string{``, `{}`, `{"Name":"w","RunProperties":{"a":"b"}}`, `{"Name":"\ud83d\ude80"}`,
		`{"Actions":[{"JobName":"j","Arguments":{"--a":"b"},"Timeout":1e1}],"Predicate":{"Conditions":[{"State":"FAILED"}]}}`,
		`{"Run":{"StartedOn":1578556843.049,"CompletedOn":"2020-01-09T08:00:43Z","Statistics":{"TotalActions":2}}}`,
		`{"FilterClause":{"AndAllFilters":[{"AttributeFilter":{"Value":{"LongValue":-1}}}]}}`,
		`{"Type":{"a":[1.50,-0,null,"x"]},"InitialDefault":1E400,"Id":3}`,
		`{"UnscaledValue":"AAE=","Scale":2147483648}`, `{"MaxCapacity":"NaN","MaxRetries":-0.0}`,
	} {
		f.Add([]byte(seed))
	}
	targets := []reflect.Type{reflect.TypeFor[glue.StartWorkflowRunInput](), reflect.TypeFor[glue.CreateTriggerInput](),
		reflect.TypeFor[glue.GetWorkflowRunOutput](), reflect.TypeFor[glue.SearchAssetsInput](), reflect.TypeFor[glue.CreateJobInput](),
		reflect.TypeFor[types.IcebergStructField](), reflect.TypeFor[types.DecimalNumber]()}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, typ := range targets {
			first := reflect.New(typ).Interface()
			if err := Unmarshal(data, first); err != nil {
				var s *SerializationError
				if !errors.As(err, &s) || len(s.ErrorMessage()) > 2000 {
					t.Fatalf("%v: %v", typ, err)
				}
				continue
			}
			text, err := Marshal(first)
			if err != nil {
				t.Fatalf("%v: encode: %v", typ, err)
			}
			second := reflect.New(typ).Interface()
			if err := Unmarshal(text, second); err != nil {
				t.Fatalf("%v: decode our own %s: %v", typ, text, err)
			}
			again, err := Marshal(second)
			if err != nil || !bytes.Equal(text, again) {
				t.Fatalf("%v: %s became %s, %v", typ, text, again, err)
			}
			if !bytes.Contains(text, []byte(`"NaN"`)) && !reflect.DeepEqual(first, second) {
				t.Fatalf("%v: another value of the same text %s", typ, text)
			}
		}
	})
}
