package awsjson

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// ignoreNoise leaves out what the SDK's structs have beside their members.
var ignoreNoise = cmp.Options{cmpopts.IgnoreUnexported(
	glue.CreateTriggerInput{}, glue.StartWorkflowRunInput{}, types.Action{}, types.Predicate{}, types.Condition{},
	types.JobRun{}, types.DecimalNumber{}, types.SearchAttributeFilter{}, types.SearchFilterValueMemberLongValue{}, types.WorkflowRunStatistics{}, types.TableOptimizerConfiguration{},
	types.TableOptimizerVpcConfigurationMemberGlueConnectionName{}, glue.CreateTableOptimizerInput{})}

// spec/workflows §1.1: what a body may say.
func TestUnmarshal(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       any
	}{
		{"empty", "", &glue.StartWorkflowRunInput{}},
		{"blank", " \r\n\t", &glue.StartWorkflowRunInput{}},
		{"unknown members", `{"Name":"w","name":"x","Other":{"a":[1,{}]}}`, &glue.StartWorkflowRunInput{Name: aws.String("w")}},
		{"null is absent", `{"Name":null,"RunProperties":null}`, &glue.StartWorkflowRunInput{}},
		{"empty map", `{"RunProperties":{}}`, &glue.StartWorkflowRunInput{RunProperties: map[string]string{}}},
		{"escapes", `{"N\u0061me":"\ud83d\ude80\n","RunProperties":{"\u006b":"\u0076"}}`,
			&glue.StartWorkflowRunInput{Name: aws.String("🚀\n"), RunProperties: map[string]string{"k": "v"}}},
		{"nested", `{"Type":"CONDITIONAL","StartOnCreation":true,"Actions":[],"Predicate":{"Conditions":[{},{"State":"FAILED"}]}}`,
			&glue.CreateTriggerInput{Type: "CONDITIONAL", StartOnCreation: true, Actions: []types.Action{},
				Predicate: &types.Predicate{Conditions: []types.Condition{{}, {State: "FAILED"}}}}},
		{"numbers", `{"Attempt":1e1,"ExecutionTime":-0,"Timeout":2147483647,"MaxCapacity":10}`,
			&types.JobRun{Attempt: 10, Timeout: aws.Int32(math.MaxInt32), MaxCapacity: aws.Float64(10)}},
		{"infinity", `{"MaxCapacity":"-Infinity"}`, &types.JobRun{MaxCapacity: aws.Float64(math.Inf(-1))}},
		{"epoch seconds", `{"StartedOn":1578556843.049}`, &types.JobRun{StartedOn: aws.Time(time.UnixMilli(1578556843049).UTC())}},
		{"before the epoch", `{"StartedOn":-0.5}`, &types.JobRun{StartedOn: aws.Time(time.UnixMilli(-500).UTC())}},
		{"text time", `{"StartedOn":"2020-01-09T08:00:43.0499+00:00"}`, &types.JobRun{StartedOn: aws.Time(time.UnixMilli(1578556843049).UTC())}},
		{"blob", `{"UnscaledValue":"AAE="}`, &types.DecimalNumber{UnscaledValue: []byte{0, 1}}},
		{"union of integers", `{"Value":{"StringValue":null,"LongValue":9007199254740993}}`,
			&types.SearchAttributeFilter{Value: &types.SearchFilterValueMemberLongValue{Value: 9007199254740993}}},
		{"union, lower-case member", `{"TableOptimizerConfiguration":{"vpcConfiguration":{"x":1,"glueConnectionName":"c"}}}`,
			&glue.CreateTableOptimizerInput{TableOptimizerConfiguration: &types.TableOptimizerConfiguration{
				VpcConfiguration: &types.TableOptimizerVpcConfigurationMemberGlueConnectionName{Value: "c"}}}},
	} {
		got := reflect.New(reflect.TypeOf(c.want).Elem()).Interface()
		if err := Unmarshal([]byte(c.body), got); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff(c.want, got, ignoreNoise); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// spec/workflows §1.6: a broken body is a SerializationException with a sentence.
func TestUnmarshalRefuses(t *testing.T) {
	for _, c := range []struct {
		name, body, want string
		into             any
	}{
		{"array", `[]`, "The request body must be an object, not a list.", &glue.StartWorkflowRunInput{}},
		{"null", `null`, "The request body must be an object, not null.", &glue.StartWorkflowRunInput{}},
		{"type", `{"Name":5}`, "The value at Name must be a string, not a number.", &glue.StartWorkflowRunInput{}},
		{"map value", `{"RunProperties":{"a":true}}`, "The value at RunProperties.a must be a string, not a boolean.", &glue.StartWorkflowRunInput{}},
		{"map null", `{"RunProperties":{"a":null}}`, "The value at RunProperties.a must not be null.", &glue.StartWorkflowRunInput{}},
		{"map", `{"RunProperties":[]}`, "The value at RunProperties must be an object, not a list.", &glue.StartWorkflowRunInput{}},
		{"path", `{"Predicate":{"Conditions":[{},{"State":{}}]}}`, "The value at Predicate.Conditions[1].State must be a string, not an object.", &glue.CreateTriggerInput{}},
		{"list", `{"Actions":{}}`, "The value at Actions must be a list, not an object.", &glue.CreateTriggerInput{}},
		{"null element", `{"Actions":[null]}`, "The value at Actions[0] must not be null.", &glue.CreateTriggerInput{}},
		{"boolean", `{"StartOnCreation":"true"}`, "The value at StartOnCreation must be a boolean, not a string.", &glue.CreateTriggerInput{}},
		{"int32", `{"Timeout":2147483648}`, "The value at Timeout is out of range for a 32-bit integer.", &types.JobRun{}},
		{"int32 as float", `{"Timeout":2147483648.0}`, "The value at Timeout is out of range for a 32-bit integer.", &types.JobRun{}},
		{"huge int", `{"Timeout":1e999}`, "The value at Timeout is out of range for a 32-bit integer.", &types.JobRun{}},
		{"fraction", `{"Timeout":1.5}`, "The value at Timeout must be an integer, not a fraction.", &types.JobRun{}},
		{"double", `{"MaxCapacity":1e999}`, "The value at MaxCapacity is out of range for a double.", &types.JobRun{}},
		{"double as text", `{"MaxCapacity":"10"}`, "The value at MaxCapacity must be a number, not a string.", &types.JobRun{}},
		{"time", `{"StartedOn":true}`, "The value at StartedOn must be a timestamp, not a boolean.", &types.JobRun{}},
		{"far time", `{"StartedOn":1e12}`, "The value at StartedOn is out of range for a timestamp.", &types.JobRun{}},
		{"text time", `{"StartedOn":"soon"}`, "The value at StartedOn must be a timestamp: epoch seconds, or text such as 2026-01-31T12:00:00Z.", &types.JobRun{}},
		{"blob", `{"UnscaledValue":"%"}`, "The value at UnscaledValue must be base64.", &types.DecimalNumber{}},
		{"two of a union", `{"Value":{"StringValue":"a","LongValue":1}}`, "The value at Value must have exactly one member.", &types.SearchAttributeFilter{}},
		{"none of a union", `{"vpcConfiguration":{}}`, "The value at vpcConfiguration must have exactly one member.", &types.TableOptimizerConfiguration{}},
		{"syntax", `{"Name":"w"`, "", &glue.StartWorkflowRunInput{}},
		{"word", `nope`, "", &glue.StartWorkflowRunInput{}},
		{"duplicate", `{"Name":"a","Name":"b"}`, "", &glue.StartWorkflowRunInput{}},
		{"duplicate by escape", `{"Name":"a","N\u0061me":"b"}`, "", &glue.StartWorkflowRunInput{}},
		{"duplicate key", `{"RunProperties":{"a":"1","a":"2"}}`, "", &glue.StartWorkflowRunInput{}},
		{"duplicate in skipped", `{"X":{"a":1,"a":2}}`, "", &glue.StartWorkflowRunInput{}},
		{"invalid UTF-8", "{\"Name\":\"\xff\"}", "", &glue.StartWorkflowRunInput{}},
		{"lone surrogate", `{"Name":"\ud800"}`, "", &glue.StartWorkflowRunInput{}},
		{"trailing value", `{}{}`, "The request body goes on after the end of the JSON object.", &glue.StartWorkflowRunInput{}},
		{"trailing word", `{} x`, "The request body goes on after the end of the JSON object.", &glue.StartWorkflowRunInput{}},
		{"too deep", `{"X":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth) + `}`,
			"The request body is nested deeper than 64 levels.", &glue.StartWorkflowRunInput{}},
	} {
		err := Unmarshal([]byte(c.body), c.into)
		var s *SerializationError
		if !errors.As(err, &s) {
			t.Errorf("%s: got %v", c.name, err)
			continue
		}
		if got := s.ErrorMessage(); c.want != "" && got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		} else if c.want == "" && !strings.HasPrefix(got, "The request body is not valid JSON at byte ") {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestUnmarshalAtTheDepthBound(t *testing.T) {
	brackets := strings.Repeat("[", MaxDepth)
	body := `{"X":` + brackets[1:] + `"\"` + brackets + `]` + brackets + `"` + strings.Repeat("]", MaxDepth-1) + `}`
	if err := Unmarshal([]byte(body), &glue.StartWorkflowRunInput{}); err != nil {
		t.Error(err)
	}
}

func TestMisuse(t *testing.T) {
	var nilInput *glue.StartWorkflowRunInput
	for _, v := range []any{nil, nilInput, glue.StartWorkflowRunInput{}, new(int), new(time.Time), new(types.TriggerType)} {
		var s *SerializationError
		if err := Unmarshal([]byte(`{}`), v); err == nil || errors.As(err, &s) {
			t.Errorf("Unmarshal into %T: %v", v, err)
		}
	}
	for _, v := range []any{nil, 5, time.Now(), types.TriggerType("x")} {
		if b, err := Marshal(v); err == nil {
			t.Errorf("Marshal(%T) = %s", v, b)
		}
	}
	if b, err := Append([]byte("x"), &types.SearchFilterClauseMemberAndAllFilters{}); err == nil || string(b) != "x" {
		t.Errorf("Append of a bare union member = %s, %v", b, err)
	}
}

// spec/workflows §1.2; DESIGN §6: zero scalars stand, nil is left out.
func TestMarshal(t *testing.T) {
	for _, c := range []struct {
		name string
		v    any
		want string
	}{
		{"nil", (*glue.GetWorkflowRunOutput)(nil), `{}`},
		{"empty", &glue.StopWorkflowRunOutput{}, `{}`},
		{"zero counters", types.WorkflowRunStatistics{}, `{"TotalActions":0,"TimeoutActions":0,"FailedActions":0,"StoppedActions":0,` +
			`"SucceededActions":0,"RunningActions":0,"ErroredActions":0,"WaitingActions":0}`},
		{"empty collections stand", &types.Workflow{Name: aws.String(""), DefaultRunProperties: map[string]string{}, Graph: &types.WorkflowGraph{Nodes: []types.Node{}}},
			`{"Name":"","DefaultRunProperties":{},"Graph":{"Nodes":[]}}`},
		{"sorted keys", &glue.StartWorkflowRunInput{RunProperties: map[string]string{"b": "2", "a\"": "<&>", "c": "\u2028\x00"}},
			`{"RunProperties":{"a\"":"<&>","b":"2","c":"` + "\u2028" + `\u0000"}}`},
		{"times", &types.WorkflowRun{StartedOn: aws.Time(time.UnixMilli(1578556843049)), CompletedOn: aws.Time(time.Unix(1578556844, 999999))},
			`{"StartedOn":1578556843.049,"CompletedOn":1578556844}`},
		{"time before the epoch", &types.WorkflowRun{StartedOn: aws.Time(time.UnixMilli(-1))}, `{"StartedOn":-0.001}`},
		{"whole doubles", &types.JobUpdate{MaxCapacity: aws.Float64(10)}, `{"MaxRetries":0,"AllocatedCapacity":0,"MaxCapacity":10.0}`},
		{"small doubles", &types.JobUpdate{MaxCapacity: aws.Float64(0.0625)}, `{"MaxRetries":0,"AllocatedCapacity":0,"MaxCapacity":0.0625}`},
		{"odd doubles", &types.JobUpdate{MaxCapacity: aws.Float64(1e300)}, `{"MaxRetries":0,"AllocatedCapacity":0,"MaxCapacity":1e+300}`},
		{"no number", &types.JobUpdate{MaxCapacity: aws.Float64(math.NaN())}, `{"MaxRetries":0,"AllocatedCapacity":0,"MaxCapacity":"NaN"}`},
		{"bytes that are no text", &glue.StartWorkflowRunOutput{RunId: aws.String("a\xffb")}, `{"RunId":"a` + "\ufffd" + `b"}`},
		{"lower-case name", &types.TableOptimizerConfiguration{VpcConfiguration: &types.TableOptimizerVpcConfigurationMemberGlueConnectionName{Value: "c"}},
			`{"vpcConfiguration":{"glueConnectionName":"c"}}`},
	} {
		got, err := Marshal(c.v)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// The first requests of a server arrive together; each finds a complete codec.
func TestConcurrentFirstUse(t *testing.T) {
	ready.Clear()
	var wg sync.WaitGroup
	for range 8 {
		for op, typ := range operationTypes() {
			wg.Go(func() {
				if err := Unmarshal([]byte(`{"Name":null}`), reflect.New(typ[0]).Interface()); err != nil {
					t.Errorf("%s: %v", op, err)
				}
				if _, err := Marshal(reflect.New(typ[1]).Interface()); err != nil {
					t.Errorf("%s: %v", op, err)
				}
			})
		}
	}
	wg.Wait()
}
