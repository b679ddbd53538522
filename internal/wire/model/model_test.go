package model

import (
	"bufio"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
)

// sdkMethods returns the operations of the SDK's client with their input and
// output types, read from the client itself.
func sdkMethods() map[string][2]reflect.Type {
	methods := map[string][2]reflect.Type{}
	client := reflect.TypeFor[*glue.Client]()
	for m := range client.Methods() {
		if t := m.Type; t.NumIn() == 4 && t.NumOut() == 2 && strings.HasSuffix(t.In(2).Elem().Name(), "Input") {
			methods[m.Name] = [2]reflect.Type{t.In(2).Elem(), t.Out(0).Elem()}
		}
	}
	return methods
}

// DESIGN §6: operations that only the SDK or only the model has are listed.
func TestOperationsMatchSDK(t *testing.T) {
	methods := sdkMethods()
	if len(methods) < 300 {
		t.Fatalf("found only %d operations in the SDK", len(methods))
	}
	listed := readSkew(t)
	for name, m := range methods {
		op := Lookup(name)
		if op == nil {
			if !listed["sdk operation "+name] {
				t.Errorf("%s: in the SDK only, and not in skew.txt", name)
			}
			continue
		}
		if !op.InSDK || Of(m[0]) != op.Input || Of(m[1]) != op.Output {
			t.Errorf("%s: InSDK %v, input %v, output %v", name, op.InSDK, Of(m[0]), Of(m[1]))
		}
	}
	for _, name := range Operations() {
		if _, ok := methods[name]; ok == listed["botocore operation "+name] || ok != Lookup(name).InSDK {
			t.Errorf("%s: in the SDK %v, listed %v", name, ok, listed["botocore operation "+name])
		}
	}
}

func readSkew(t *testing.T) map[string]bool {
	t.Helper()
	f, err := os.Open("skew.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	listed := map[string]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		listed[s.Text()] = true
	}
	return listed
}

// Every input has a plan, and every member of the model has a Go field that can
// hold it or is listed as missing.
func TestEveryInputHasAPlan(t *testing.T) {
	listed := readSkew(t)
	for name, m := range sdkMethods() {
		op := Lookup(name)
		if op == nil {
			continue
		}
		if err := Check(name, reflect.New(m[0]).Interface()); err != nil && reflect.TypeOf(err) != reflect.TypeFor[*ValidationError]() {
			t.Errorf("%s: %v", name, err)
		}
		for i, s := range []*Shape{op.Input, op.Output} {
			for _, member := range s.Members {
				_, ok := m[i].FieldByName(member.GoName)
				if ok == listed["botocore member "+s.Name+"."+member.Name] {
					t.Errorf("%s.%s: in the SDK %v, and skew.txt says otherwise", s.Name, member.Name, ok)
				}
			}
		}
	}
}

func TestShapesAreComplete(t *testing.T) {
	facts := load()
	for name, s := range facts.shapes {
		if s.Kind == 0 {
			t.Errorf("%s is named but not described", name)
		}
		if s.Kind == List && s.Elem == nil || s.Kind == Map && (s.Key == nil || s.Elem == nil) {
			t.Errorf("%s lacks its element", name)
		}
		if s.goPattern != "" {
			s.match("") // compiles
		}
	}
	if len(facts.shapes) < 1900 || len(facts.operations) < 314 {
		t.Errorf("%d shapes, %d operations", len(facts.shapes), len(facts.operations))
	}
}

// Facts that other specs quote, so that a wrong reading of the source shows.
func TestFacts(t *testing.T) {
	op := Lookup("StartWorkflowRun")
	var errs []string
	for _, e := range op.Errors {
		errs = append(errs, e.Name)
	}
	want := []string{"ConcurrentRunsExceededException", "EntityNotFoundException", "InternalServiceException",
		"InvalidInputException", "OperationTimeoutException", "ResourceNumberLimitExceededException"}
	if !slices.Equal(errs, want) { // spec/workflows §1.8
		t.Errorf("errors of StartWorkflowRun: %v", errs)
	}
	if s := Exception("InternalServiceException"); s.Status != 500 {
		t.Errorf("InternalServiceException has status %d", s.Status) // §1.4
	}
	if s := Exception("EntityNotFoundException"); s.Status != 400 {
		t.Errorf("EntityNotFoundException has status %d", s.Status)
	}
	if Exception("Workflow") != nil || Exception("UnknownOperationException") != nil {
		t.Error("Exception returned a shape that is none")
	}
	node := Of(reflect.TypeFor[types.ConnectionPropertyKey]())
	if node == nil || node.Kind != String {
		t.Errorf("Of(enum) = %v", node)
	}
	vpc := Of(reflect.TypeFor[types.TableOptimizerVpcConfiguration]())
	if vpc == nil || vpc.Kind != Union || vpc.Members[0].Name != "glueConnectionName" || vpc.Members[0].GoName != "GlueConnectionName" {
		t.Errorf("Of(union) = %+v", vpc)
	}
	if Of(reflect.TypeFor[strings.Builder]()) != nil || Lookup("startWorkflowRun") != nil || Lookup("") != nil {
		t.Error("found something that is not there")
	}
}

func TestOverlay(t *testing.T) {
	plain, mended := parse(facts, nil), load()
	for _, c := range overlay {
		if c.row == "" || plain.shapes[c.shape] == nil {
			t.Errorf("overlay of %q: row %q", c.shape, c.row)
			continue
		}
		before, after := plain.shapes[c.shape], mended.shapes[c.shape]
		if before.Pattern == after.Pattern && slices.Equal(before.Enum, after.Enum) && before.Min == after.Min && before.Max == after.Max {
			t.Errorf("overlay of %s changes nothing", c.shape)
		}
	}
	// spec/jobs §5.1
	for v, want := range map[string]bool{"2": true, "3": true, "3.9": true, "3.13": true, "3.": false, "4": false, "3x9": false, "": false} {
		if got := mended.shapes["PythonVersionString"].match(v); got != want {
			t.Errorf("PythonVersion %q: %v", v, got)
		}
	}
	// spec/jobs §1.2 names these; the model itself has them all.
	for v := range strings.FieldsSeq("Standard G.1X G.2X G.025X G.4X G.8X Z.2X G.12X G.16X R.1X R.2X R.4X R.8X") {
		if !slices.Contains(mended.shapes["WorkerType"].Enum, v) {
			t.Errorf("worker type %s is missing", v)
		}
	}
}

// The fast matcher and package regexp agree on every pattern it is used for.
func TestMatchersAgree(t *testing.T) {
	samples := []string{"", "a", "Z9", "a b", "\t", "\n", "\r\n", "\v", "é", "日本", "🚀", "\uFFFE", "\x7f", "a/b", "-", "_x", "a.b", "arn:aws:glue", "\u00a0"}
	fast := 0
	patterns := map[string]bool{}
	for _, s := range load().shapes {
		if s.goPattern != "" {
			patterns[s.goPattern] = true
		}
	}
	for p := range maps.Keys(patterns) {
		m, ok := compile(p).(*classMatcher)
		if !ok {
			continue
		}
		fast++
		slow := regexpMatcher{mustCompile(p)}
		for _, s := range samples {
			if m.match(s) != slow.match(s) {
				t.Errorf("%s on %q: fast matcher says %v", p, s, m.match(s))
			}
		}
	}
	if fast < 15 {
		t.Errorf("only %d of %d patterns use the fast matcher", fast, len(patterns))
	}
}

// spec/workflows §1.5: the whole value has to match, and "." is any character.
func TestWholeValue(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{`[1-9][0-9]*|[1-9][0-9]*-[1-9][0-9]*`, "1-20", true},
		{`[1-9][0-9]*|[1-9][0-9]*-[1-9][0-9]*`, "1-", false},
		{`[1-9][0-9]*|[1-9][0-9]*-[1-9][0-9]*`, "x1", false},
		{`.*\S.*`, "{\n  1\n}\n", true},
		{`.*\S.*`, " \n ", false},
		{`^s3://([^/]+)/([^/]+/)*([^/]+)$`, "s3://b/k\n", true},
		{`^([2-3]|3[.]9)$`, "3\n", false},
		{`\S+`, "", false},
	} {
		if got := compile(c.pattern).match(c.value); got != c.want {
			t.Errorf("%s on %q: %v", c.pattern, c.value, got)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		parse(facts, overlay)
	}
}
