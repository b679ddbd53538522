package template

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

// cloud is a tiny Glue and S3: what exists, its tags, and every call. A call can be made to fail before or after it acted.
type cloud struct {
	things map[string]string            // "job NAME" → what defines it
	tags   map[string]map[string]string // by ARN
	calls  []string
	full   map[string]bool // buckets with objects

	calm     int // calls still to be made before failing, < 0 for never
	failWith error
	acted    bool // the failing call acts, and its answer is lost
}

func newCloud() *cloud {
	return &cloud{things: map[string]string{}, tags: map[string]map[string]string{}, full: map[string]bool{}, calm: -1}
}

var errLost = errors.New("connection reset")

// do records a call and runs act unless the call is the one to fail.
func (c *cloud) do(call string, act func() error) error {
	c.calls = append(c.calls, call)
	if c.calm == 0 {
		c.calm = -1
		if c.acted {
			_ = act() // whatever it answers is lost
		}
		return c.failWith
	}
	if c.calm > 0 {
		c.calm--
	}
	return act()
}

func apiError(code string) error {
	return &smithy.GenericAPIError{Code: code, Message: code, Fault: smithy.FaultClient}
}

func (c *cloud) get(what string) error {
	if _, ok := c.things[what]; !ok {
		return apiError("EntityNotFoundException")
	}
	return nil
}

func (c *cloud) create(what, def string, tags map[string]string) error {
	return c.do("create "+what, func() error {
		if _, ok := c.things[what]; ok {
			return &types.AlreadyExistsException{}
		}
		kind, name, _ := strings.Cut(what, " ")
		c.things[what] = def
		c.tags[arnOf(kind, name)] = maps.Clone(tags)
		return nil
	})
}

func arnOf(kind, name string) string {
	return "arn:aws:glue:eu-west-1:123456789012:" + kind + "/" + name
}

func (c *cloud) update(what, def string) error {
	return c.do("update "+what, func() error {
		if err := c.get(what); err != nil {
			return err
		}
		c.things[what] = def
		return nil
	})
}

func (c *cloud) delete(what string) error {
	return c.do("delete "+what, func() error {
		kind, name, _ := strings.Cut(what, " ")
		delete(c.things, what)
		delete(c.tags, arnOf(kind, name))
		return nil
	})
}

func str(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

func (c *cloud) GetWorkflow(_ context.Context, in *glue.GetWorkflowInput, _ ...func(*glue.Options)) (*glue.GetWorkflowOutput, error) {
	return nil, c.do("get workflow "+*in.Name, func() error { return c.get("workflow " + *in.Name) })
}

func (c *cloud) CreateWorkflow(_ context.Context, in *glue.CreateWorkflowInput, _ ...func(*glue.Options)) (*glue.CreateWorkflowOutput, error) {
	return nil, c.create("workflow "+*in.Name, str(in.Description)+fmt.Sprint(in.DefaultRunProperties), in.Tags)
}

func (c *cloud) UpdateWorkflow(_ context.Context, in *glue.UpdateWorkflowInput, _ ...func(*glue.Options)) (*glue.UpdateWorkflowOutput, error) {
	return nil, c.update("workflow "+*in.Name, str(in.Description)+fmt.Sprint(in.DefaultRunProperties))
}

func (c *cloud) DeleteWorkflow(_ context.Context, in *glue.DeleteWorkflowInput, _ ...func(*glue.Options)) (*glue.DeleteWorkflowOutput, error) {
	return nil, c.delete("workflow " + *in.Name)
}

func (c *cloud) GetTrigger(_ context.Context, in *glue.GetTriggerInput, _ ...func(*glue.Options)) (*glue.GetTriggerOutput, error) {
	return nil, c.do("get trigger "+*in.Name, func() error { return c.get("trigger " + *in.Name) })
}

func defineTrigger(description *string, actions []types.Action) string {
	return str(description) + " → " + str(actions[0].JobName)
}

func (c *cloud) CreateTrigger(_ context.Context, in *glue.CreateTriggerInput, _ ...func(*glue.Options)) (*glue.CreateTriggerOutput, error) {
	return nil, c.create("trigger "+*in.Name, defineTrigger(in.Description, in.Actions), in.Tags)
}

func (c *cloud) UpdateTrigger(_ context.Context, in *glue.UpdateTriggerInput, _ ...func(*glue.Options)) (*glue.UpdateTriggerOutput, error) {
	return nil, c.update("trigger "+*in.Name, defineTrigger(in.TriggerUpdate.Description, in.TriggerUpdate.Actions))
}

func (c *cloud) DeleteTrigger(_ context.Context, in *glue.DeleteTriggerInput, _ ...func(*glue.Options)) (*glue.DeleteTriggerOutput, error) {
	return nil, c.delete("trigger " + *in.Name)
}

func (c *cloud) GetJob(_ context.Context, in *glue.GetJobInput, _ ...func(*glue.Options)) (*glue.GetJobOutput, error) {
	return nil, c.do("get job "+*in.JobName, func() error { return c.get("job " + *in.JobName) })
}

func (c *cloud) CreateJob(_ context.Context, in *glue.CreateJobInput, _ ...func(*glue.Options)) (*glue.CreateJobOutput, error) {
	return nil, c.create("job "+*in.Name, fmt.Sprint(in.MaxRetries)+str(in.Command.ScriptLocation), in.Tags)
}

func (c *cloud) UpdateJob(_ context.Context, in *glue.UpdateJobInput, _ ...func(*glue.Options)) (*glue.UpdateJobOutput, error) {
	return nil, c.update("job "+*in.JobName, fmt.Sprint(in.JobUpdate.MaxRetries)+str(in.JobUpdate.Command.ScriptLocation))
}

func (c *cloud) DeleteJob(_ context.Context, in *glue.DeleteJobInput, _ ...func(*glue.Options)) (*glue.DeleteJobOutput, error) {
	return nil, c.delete("job " + *in.JobName)
}

func (c *cloud) TagResource(_ context.Context, in *glue.TagResourceInput, _ ...func(*glue.Options)) (*glue.TagResourceOutput, error) {
	return nil, c.do(fmt.Sprint("tag ", in.TagsToAdd), func() error {
		if c.tags[*in.ResourceArn] == nil {
			c.tags[*in.ResourceArn] = map[string]string{}
		}
		maps.Copy(c.tags[*in.ResourceArn], in.TagsToAdd)
		return nil
	})
}

func (c *cloud) UntagResource(_ context.Context, in *glue.UntagResourceInput, _ ...func(*glue.Options)) (*glue.UntagResourceOutput, error) {
	return nil, c.do(fmt.Sprint("untag ", in.TagsToRemove), func() error {
		for _, k := range in.TagsToRemove {
			delete(c.tags[*in.ResourceArn], k)
		}
		return nil
	})
}

func (c *cloud) HeadBucket(_ context.Context, in *s3.HeadBucketInput, _ ...func(*s3.Options)) (*s3.HeadBucketOutput, error) {
	return nil, c.do("get bucket "+*in.Bucket, func() error {
		if c.get("bucket "+*in.Bucket) != nil {
			return &s3types.NotFound{}
		}
		return nil
	})
}

func (c *cloud) CreateBucket(_ context.Context, in *s3.CreateBucketInput, _ ...func(*s3.Options)) (*s3.CreateBucketOutput, error) {
	err := c.create("bucket "+*in.Bucket, "", nil)
	if code(err) == "AlreadyExistsException" {
		err = &s3types.BucketAlreadyOwnedByYou{}
	}
	return nil, err
}

func (c *cloud) DeleteBucket(_ context.Context, in *s3.DeleteBucketInput, _ ...func(*s3.Options)) (*s3.DeleteBucketOutput, error) {
	if c.full[*in.Bucket] {
		return nil, c.do("delete bucket "+*in.Bucket, func() error { return apiError("BucketNotEmpty") })
	}
	return nil, c.delete("bucket " + *in.Bucket)
}

// disk keeps the state as the caller of Apply would: encoded.
type disk struct{ data []byte }

func (d *disk) save(s State) error {
	data, err := s.Encode()
	d.data = data
	return err
}

func (d *disk) load(t *testing.T) State {
	t.Helper()
	if d.data == nil {
		return NewState("shop", "7d0c")
	}
	s, err := DecodeState(d.data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func planFor(t *testing.T, d *disk, text string) (*Plan, error) {
	t.Helper()
	tmpl, err := Parse("t.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o := options(nil)
	o.Prev = d.load(t)
	e, err := tmpl.Evaluate(o)
	if err != nil {
		t.Fatal(err)
	}
	return e.Plan()
}

func apply(t *testing.T, c *cloud, d *disk, text string) (*Plan, error) {
	t.Helper()
	p, err := planFor(t, d, text)
	if err != nil {
		return nil, err
	}
	_, err = p.Apply(context.Background(), c, d.save, nil)
	return p, err
}

func lines(p *Plan) string {
	var b strings.Builder
	for _, c := range p.Changes {
		b.WriteString(c.String() + "\n")
	}
	return b.String()
}

// A story in versions of one template: the plan of each, the calls it made, and what exists afterwards, as golden text.
func TestStories(t *testing.T) {
	for name, versions := range stories {
		t.Run(name, func(t *testing.T) {
			c, d := newCloud(), &disk{}
			var b strings.Builder
			for i, text := range versions {
				c.calls = nil
				fmt.Fprintf(&b, "== version %d\n", i+1)
				p, err := apply(t, c, d, text)
				if p != nil {
					b.WriteString(lines(p))
				}
				if err != nil {
					fmt.Fprintf(&b, "error: %v\n", err)
				}
				for _, call := range c.calls {
					b.WriteString("    " + call + "\n")
				}
				if err != nil {
					continue
				}
				if again, err := planFor(t, d, text); err != nil || len(again.Changes) > 0 {
					t.Errorf("version %d: the same template plans again: %v %s", i+1, err, lines(again))
				}
			}
			b.WriteString("== destroy\n")
			p := Destroy(d.load(t))
			b.WriteString(lines(p))
			s, err := p.Apply(context.Background(), c, d.save, nil)
			if err != nil || !s.Empty() {
				t.Errorf("destroy: %v %+v", err, s)
			}
			for _, what := range slices.Sorted(maps.Keys(c.things)) {
				b.WriteString("left: " + what + "\n")
			}
			golden(t, "story-"+name+".golden", b.String())
		})
	}
}

const flowV1 = `Resources:
  Data: {Type: AWS::S3::Bucket}
  Flow: {Type: AWS::Glue::Workflow, Properties: {Description: one, DefaultRunProperties: {a: 1}, Tags: {x: 1, y: 2}}}
  Job: {Type: AWS::Glue::Job, Properties: {Role: r, Command: {ScriptLocation: !Sub "s3://${Data}/a.py"}}}
  Start: {Type: AWS::Glue::Trigger, Properties: {Type: ON_DEMAND, WorkflowName: !Ref Flow, Actions: [{JobName: !Ref Job}]}}
  Next: {Type: AWS::Glue::Trigger, Properties: {Type: CONDITIONAL, WorkflowName: !Ref Flow, Actions: [{JobName: !Ref Job}], StartOnCreation: true}}
`

const flowV2 = `Resources:
  Data: {Type: AWS::S3::Bucket}
  Flow: {Type: AWS::Glue::Workflow, Properties: {Description: two, Tags: {x: 3, z: 2}}}
  Job: {Type: AWS::Glue::Job, Properties: {Role: r, MaxRetries: 2, Command: {ScriptLocation: !Sub "s3://${Data}/b.py"}}}
  Start: {Type: AWS::Glue::Trigger, Properties: {Type: SCHEDULED, Schedule: "cron(0 1 * * ? *)", WorkflowName: !Ref Flow, Actions: [{JobName: !Ref Job}]}}
  Extra: {Type: AWS::Glue::Job, Properties: {Name: extra, Role: r, Command: {}}}
`

var stories = map[string][]string{
	"update":       {flowV1, flowV2, flowV1},
	"same-meaning": {flowV1, strings.ReplaceAll(flowV1, "a: 1", `a: "1"`)},
	"start-on-creation": {flowV1, strings.ReplaceAll(flowV1, "StartOnCreation: true", "StartOnCreation: false"),
		strings.ReplaceAll(flowV1, "StartOnCreation: true", "Description: d")},
	"unset": {"Resources: {W: {Type: AWS::Glue::Workflow, Properties: {MaxConcurrentRuns: 3}}}", "Resources: {W: {Type: AWS::Glue::Workflow}}"},
	"retain": {
		"Resources:\n  K: {Type: AWS::Glue::Job, DeletionPolicy: Retain, Properties: {Name: keep, Role: r, Command: {}}}\n  B: {Type: AWS::S3::Bucket, UpdateReplacePolicy: Retain, Properties: {BucketName: old}}\n  W: {Type: AWS::Glue::Workflow}",
		"Resources:\n  B: {Type: AWS::S3::Bucket, UpdateReplacePolicy: Retain, Properties: {BucketName: new}}\n  W: {Type: AWS::Glue::Workflow, DeletionPolicy: Retain}",
		"Resources:\n  K: {Type: AWS::Glue::Job, Properties: {Name: keep, Role: r, Command: {}}}\n",
		"Resources:\n  B: {Type: AWS::S3::Bucket, Properties: {BucketName: fresh}}\n",
	},
	"replace": {
		"Resources:\n  W: {Type: AWS::Glue::Workflow}\n  T: {Type: AWS::Glue::Trigger, Properties: {Type: ON_DEMAND, WorkflowName: !Ref W, Actions: [{JobName: j}]}}",
		"Resources:\n  W: {Type: AWS::Glue::Workflow, Properties: {Name: own}}\n  T: {Type: AWS::Glue::Trigger, Properties: {Type: ON_DEMAND, WorkflowName: !Ref W, Actions: [{JobName: j}]}}",
		"Resources:\n  W: {Type: AWS::Glue::Workflow}\n  T: {Type: AWS::Glue::Job, Properties: {Role: r, Command: {}}}",
	},
	"refused": {
		"Resources:\n  T: {Type: AWS::Glue::Trigger, Properties: {Name: t, Type: ON_DEMAND, Actions: [{JobName: j}]}}\n  A: {Type: AWS::Glue::Workflow, Properties: {Name: w}}",
		"Resources:\n  T: {Type: AWS::Glue::Trigger, Properties: {Name: t, Type: SCHEDULED, Actions: [{JobName: j}]}}\n  B: {Type: AWS::Glue::Workflow, Properties: {Name: w}}",
	},
	"start-trigger-moves": {
		"Resources:\n  W: {Type: AWS::Glue::Workflow, Properties: {Name: w}}\n  T: {Type: AWS::Glue::Trigger, Properties: {Name: t, Type: ON_DEMAND, WorkflowName: w, Actions: [{JobName: j}]}}",
		"Resources:\n  W: {Type: AWS::Glue::Workflow, Properties: {Name: w}}\n  U: {Type: AWS::Glue::Trigger, Properties: {Name: u, Type: ON_DEMAND, WorkflowName: w, Actions: [{JobName: j}]}}",
	},
}

func (c *cloud) snapshot() map[string]string {
	all := maps.Clone(c.things)
	for arn, tags := range c.tags {
		if len(tags) > 0 {
			all["tags "+arn] = fmt.Sprint(tags)
		}
	}
	return all
}

// unnamed strips the generated part, which depends on how many saves went before.
func unnamed(m map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[generated.ReplaceAllString(k, "…")] = generated.ReplaceAllString(v, "…")
	}
	return out
}

// Whatever call of an apply fails, with or without effect, and wherever the process dies between a save and a call: the same apply once more
// brings what an undisturbed one brings, and the stack can be destroyed without a rest.
func TestEveryKillPointConverges(t *testing.T) {
	path := []string{flowV1, flowV2}
	want, d := newCloud(), &disk{}
	for _, text := range path {
		if _, err := apply(t, want, d, text); err != nil {
			t.Fatal(err)
		}
	}
	calls := len(want.calls)
	if calls < 20 {
		t.Fatalf("only %d calls: the story is too small to prove anything", calls)
	}
	refusal := apiError("InvalidInputException")
	for n := range calls {
		for _, how := range []struct {
			name  string
			err   error
			acted bool
		}{{"lost before", errLost, false}, {"lost after", errLost, true}, {"refused", refusal, false}} {
			c, d := newCloud(), &disk{}
			c.calm, c.failWith, c.acted = n, how.err, how.acted
			failures := 0
			for _, text := range path {
				for tries := 0; ; tries++ {
					_, err := apply(t, c, d, text)
					if err == nil {
						break
					}
					failures++
					if tries > 1 || !errors.Is(err, how.err) {
						t.Fatalf("call %d %s: does not converge: %v", n, how.name, err)
					}
				}
			}
			if failures != 1 {
				t.Errorf("call %d %s: %d failures, want one", n, how.name, failures)
			}
			if diff := cmp.Diff(unnamed(want.snapshot()), unnamed(c.snapshot())); diff != "" {
				t.Errorf("call %d %s (-want +got):\n%s", n, how.name, diff)
			}
			if _, err := Destroy(d.load(t)).Apply(context.Background(), c, d.save, nil); err != nil || len(c.things) > 0 {
				t.Errorf("call %d %s: destroy: %v, left %v", n, how.name, err, c.things)
			}
		}
	}
}

// A save that fails, or a process that dies right after one, is a kill point too. After the n-th save nothing more happens.
func TestDeathAtEverySave(t *testing.T) {
	want, d := newCloud(), &disk{}
	saves := 0
	for _, text := range []string{flowV1, flowV2} {
		p, err := planFor(t, d, text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = p.Apply(context.Background(), want, func(s State) error { saves++; return d.save(s) }, nil); err != nil {
			t.Fatal(err)
		}
	}
	for n := range saves {
		for _, stored := range []bool{true, false} {
			c, d, left := newCloud(), &disk{}, n
			dying := func(s State) error {
				if left--; left >= 0 {
					return d.save(s)
				}
				if left == -1 {
					if stored {
						if err := d.save(s); err != nil {
							return err
						}
					}
					return errLost
				}
				return d.save(s)
			}
			for _, text := range []string{flowV1, flowV2} {
				p, err := planFor(t, d, text)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := p.Apply(context.Background(), c, dying, nil); err != nil {
					if !errors.Is(err, errLost) {
						t.Fatal(err)
					}
					if _, err := apply(t, c, d, text); err != nil {
						t.Fatalf("save %d stored=%t: %v", n, stored, err)
					}
				}
			}
			if diff := cmp.Diff(unnamed(want.snapshot()), unnamed(c.snapshot())); diff != "" {
				t.Errorf("save %d stored=%t (-want +got):\n%s", n, stored, diff)
			}
		}
	}
}
