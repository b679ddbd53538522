package template

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
)

// generated is the part of a generated name that is not written in the template.
var generated = regexp.MustCompile(`-[A-Za-z2-7]{12}\b`)

const oneJob = "Resources:\n  J: {Type: AWS::Glue::Job, Properties: {Name: load, Role: r, Command: {}}}\n"

func TestForeignResourceIsNeverTouched(t *testing.T) {
	c, d := newCloud(), &disk{}
	c.things["job load"] = "somebody's"
	_, err := apply(t, c, d, oneJob)
	want := "create AWS::Glue::Job J (load): it exists and does not belong to stack shop"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := Destroy(d.load(t)).Apply(context.Background(), c, d.save, nil); err != nil || c.things["job load"] != "somebody's" {
		t.Errorf("destroy touched it: %v %v", err, c.things)
	}
}

// racer makes the job between the look and the create call.
type racer struct{ *cloud }

func (r racer) GetJob(ctx context.Context, in *glue.GetJobInput, o ...func(*glue.Options)) (*glue.GetJobOutput, error) {
	out, err := r.cloud.GetJob(ctx, in, o...)
	r.things["job load"] = "somebody's"
	return out, err
}

func TestForeignResourceThatAppearsBetweenTheCalls(t *testing.T) {
	c, d := newCloud(), &disk{}
	p, err := planFor(t, d, oneJob)
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Apply(context.Background(), racer{c}, d.save, nil)
	if err == nil || !strings.Contains(err.Error(), "does not belong to stack shop") || !s.Empty() || !d.load(t).Empty() {
		t.Errorf("the intent must be taken back: %v %+v", err, s)
	}
}

func TestDeletedByHandIsMadeAgain(t *testing.T) {
	c, d := newCloud(), &disk{}
	if _, err := apply(t, c, d, flowV1); err != nil {
		t.Fatal(err)
	}
	for what := range c.things {
		if !strings.HasPrefix(what, "bucket") {
			delete(c.things, what)
		}
	}
	if _, err := apply(t, c, d, strings.NewReplacer("one", "uno", "a.py", "c.py", "StartOnCreation", "Description: d, StartOnCreation").Replace(flowV1)); err != nil {
		t.Fatal(err)
	}
	if len(c.things) != 4 { // Start did not change, so nothing looked for it
		t.Errorf("exists: %v", c.things)
	}
}

func TestFullBucketStopsItsDeletionOnly(t *testing.T) {
	c, d := newCloud(), &disk{}
	if _, err := apply(t, c, d, flowV1); err != nil {
		t.Fatal(err)
	}
	stored := d.load(t)
	name := stored.find("Data").Name
	c.full[name] = true
	s, err := Destroy(d.load(t)).Apply(context.Background(), c, d.save, nil)
	want := "delete AWS::S3::Bucket Data (" + name + "): the bucket is not empty: empty it, or keep it with DeletionPolicy: Retain: "
	if err == nil || !strings.HasPrefix(err.Error(), want) || len(c.things) != 1 || len(s.Leftovers) != 1 || len(s.Resources) != 0 {
		t.Errorf("got %v, left %v, state %+v", err, c.things, s)
	}
	delete(c.full, name)
	if s, err = Destroy(d.load(t)).Apply(context.Background(), c, d.save, nil); err != nil || !s.Empty() || len(c.things) != 0 {
		t.Errorf("second destroy: %v %+v", err, s)
	}
}

func TestCancelStopsBetweenCalls(t *testing.T) {
	c, d := newCloud(), &disk{}
	p, err := planFor(t, d, flowV1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	enough := errors.New("enough")
	var seen []string
	s, err := p.Apply(ctx, c, d.save, func(ch Change) {
		seen = append(seen, ch.LogicalID)
		if len(seen) == 2 {
			cancel(enough)
		}
	})
	if !errors.Is(err, enough) || len(s.Resources) != 2 || len(c.things) != 2 || strings.Join(seen, " ") != "Data Flow" {
		t.Errorf("got %v, %v, %+v", err, seen, s)
	}
}

func TestStateHidesSecretsAndKeepsNames(t *testing.T) {
	const text = `Parameters:
  Pw: {Type: String, NoEcho: true, Default: hunter2}
  Open: {Type: CommaDelimitedList, Default: "a, b"}
Resources:
  J: {Type: AWS::Glue::Job, Properties: {Role: r, Command: {}, DefaultArguments: {--pw: !Ref Pw}, Tags: {t: !Ref Pw}}}
`
	c, d := newCloud(), &disk{}
	if _, err := apply(t, c, d, text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(d.data), "hunter2") {
		t.Errorf("state holds a NoEcho value: %s", d.data)
	}
	s := d.load(t)
	if s.Parameters["Open"].Value != "a,b" || s.Parameters["Pw"].Digest == "" || s.TemplateHash == "" {
		t.Errorf("parameters %+v", s.Parameters)
	}
	first := s.Resources[0].Name
	p, err := apply(t, c, d, strings.Replace(text, "hunter2", "hunter3", 1))
	if err != nil || len(p.Changes) != 1 || p.Changes[0].Action != Update || strings.Join(p.Changes[0].Changed, " ") != "DefaultArguments Tags" {
		t.Errorf("a new secret is a change: %v %v", err, p)
	}
	if got := d.load(t).Resources[0].Name; got != first || !generated.MatchString(got) {
		t.Errorf("name %q, before %q", got, first)
	}
}

// A service may quote what it was sent; the user's terminal and log must not.
func TestServiceErrorsAreRedacted(t *testing.T) {
	const text = `Parameters: {Pw: {Type: String, NoEcho: true, Default: hunter2}}
Resources: {J: {Type: AWS::Glue::Job, Properties: {Name: j, Role: r, Command: {}, Description: !Ref Pw}}}
`
	c, d := newCloud(), &disk{}
	c.calm, c.failWith = 1, fmt.Errorf("value 'hunter2' is too long: %w", errLost)
	_, err := apply(t, c, d, text)
	if want := "create AWS::Glue::Job J (j): value '****' is too long: connection reset"; err == nil || err.Error() != want || !errors.Is(err, errLost) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// The answer to a create is lost, and before the next apply the template changes: what was made is adopted and becomes the new thing.
func TestAdoptedAfterTheTemplateChanged(t *testing.T) {
	v := func(rest string) string {
		return "Resources: {T: {Type: AWS::Glue::Trigger, Properties: {Name: t, Actions: [{JobName: j}], " + rest + "}}}"
	}
	for _, acted := range []bool{true, false} {
		c, d := newCloud(), &disk{}
		c.calm, c.failWith, c.acted = 1, errLost, acted
		if _, err := apply(t, c, d, v("Type: ON_DEMAND, Tags: {a: 1, b: 2}, Description: old")); !errors.Is(err, errLost) {
			t.Fatal(err)
		}
		c.calls = nil
		p, err := apply(t, c, d, v("Type: ON_DEMAND, Tags: {b: 3}, Description: new"))
		if err != nil || len(p.Changes) != 1 || p.Changes[0].Reason != "begun before" || slices.Contains(c.calls, "get trigger t") {
			t.Errorf("acted=%t: %v %v %v", acted, err, p, c.calls)
		}
		if c.things["trigger t"] != "new → j" || fmt.Sprint(c.tags[arnOf("trigger", "t")]) != "map[b:3]" {
			t.Errorf("acted=%t: %v %v", acted, c.things, c.tags)
		}
	}
	// With another Type it cannot be adopted; nobody relies on it yet, so it is deleted first although its name is its own.
	c, d := newCloud(), &disk{}
	c.calm, c.failWith, c.acted = 1, errLost, true
	if _, err := apply(t, c, d, v("Type: ON_DEMAND")); !errors.Is(err, errLost) {
		t.Fatal(err)
	}
	p, err := apply(t, c, d, v("Type: SCHEDULED"))
	if err != nil || len(p.Changes) != 2 || p.Changes[0].Action != Delete || p.Changes[1].Action != Create || len(c.things) != 1 {
		t.Errorf("%v %v %v", err, p, c.things)
	}
}

// The answer to a delete is lost, and the next template has the resource again.
func TestWantedAgainWhileItsDeletionIsUnknown(t *testing.T) {
	const none = "Resources: {W: {Type: AWS::Glue::Workflow, Properties: {Name: w}}}\n"
	const both = "Resources: {W: {Type: AWS::Glue::Workflow, Properties: {Name: w}}, J: {Type: AWS::Glue::Job, Properties: {Name: load, Role: r, Command: {}}}}\n"
	for _, acted := range []bool{true, false} {
		c, d := newCloud(), &disk{}
		if _, err := apply(t, c, d, both); err != nil {
			t.Fatal(err)
		}
		c.calm, c.failWith, c.acted = 0, errLost, acted
		if _, err := apply(t, c, d, none); !errors.Is(err, errLost) {
			t.Fatal(err)
		}
		p, err := apply(t, c, d, both)
		if err != nil || len(p.Changes) != 2 || p.Changes[0].Reason != "left over" || len(c.things) != 2 || !strings.HasPrefix(c.things["job load"], "0") {
			t.Errorf("acted=%t: %v %v %v", acted, err, p, c.things)
		}
		if s := d.load(t); len(s.Leftovers) != 0 || len(s.Resources) != 2 {
			t.Errorf("acted=%t: state %+v", acted, s)
		}
	}
}

// A half-done update that the template takes back must still be repaired.
func TestUpdateTakenBackHalfWay(t *testing.T) {
	c, d := newCloud(), &disk{}
	if _, err := apply(t, c, d, flowV1); err != nil {
		t.Fatal(err)
	}
	want := c.snapshot()
	changed := strings.Replace(flowV1, "Description: one, DefaultRunProperties: {a: 1}, Tags: {x: 1, y: 2}", "Description: two, Tags: {n: 1}", 1)
	for call := range 3 { // the update, the tagging, the untagging
		c.calm, c.failWith, c.acted = call, errLost, true
		if _, err := apply(t, c, d, changed); !errors.Is(err, errLost) {
			t.Fatalf("call %d: %v", call, err)
		}
		if _, err := apply(t, c, d, flowV1); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, c.snapshot()); diff != "" {
			t.Errorf("call %d (-want +got):\n%s", call, diff)
		}
	}
}

func TestDecodeStateRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{`: "decode stack state", `{"version":2,"name":"a","id":"b"}`: "version 2 is not known", `{"name":"a"}`: "version 0",
		`{"version":1,"name":"a","id":"b","more":1}`: "unknown", `{"version":1}`: "no name or no id",
	} {
		if _, err := DecodeState([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestEvaluateRefusesBadStack(t *testing.T) {
	tmpl, err := Parse("t.yaml", []byte(oneJob))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []State{{}, NewState("1a", "x"), NewState("a_b", "x"), NewState("a", "")} {
		if _, err := tmpl.Evaluate(Options{Prev: s}); err == nil {
			t.Errorf("%+v was taken", s)
		}
	}
}

// jobUpdate copies by reflection; this is what makes that safe.
func TestJobUpdateIsPartOfCreateJob(t *testing.T) {
	up, in := reflect.TypeFor[types.JobUpdate](), reflect.TypeFor[glue.CreateJobInput]()
	for i := range up.NumField() {
		f := up.Field(i)
		if g, ok := in.FieldByName(f.Name); f.IsExported() && (!ok || g.Type != f.Type) {
			t.Errorf("JobUpdate.%s has no equal in CreateJobInput", f.Name)
		}
	}
	got := jobUpdate(&glue.CreateJobInput{Role: new("r"), MaxRetries: 3, WorkerType: types.WorkerTypeG1x})
	if *got.Role != "r" || got.MaxRetries != 3 || got.WorkerType != types.WorkerTypeG1x {
		t.Errorf("got %+v", got)
	}
}

// The SDK's clients are an API as they are.
var (
	_ GlueAPI = (*glue.Client)(nil)
	_ S3API   = (*s3.Client)(nil)
	_ API     = Clients{}
)
