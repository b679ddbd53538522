package template

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// maxProduced bounds the bytes that intrinsic functions may make of one template: nested Fn::Sub can double its text
// at every level.
const maxProduced = 16 << 20

// Options is what a template is evaluated against. Prev is the stored state of the stack, or NewState for a new one.
type Options struct {
	Account, Region string
	Params          map[string]string
	Prev            State
}

// Evaluated is a template whose every expression is resolved. It is read-only.
type Evaluated struct {
	// StackID is the ARN that AWS::StackId stands for.
	StackID   string
	Resources []Resource // what will exist, each after everything it needs; otherwise in the template's order
	Skipped   []Skipped  // in the template's order
	Notes     []Note
	Outputs   []Output

	t      *Template
	prev   State
	params map[string]*node
}

// Resource is one resource to create or update. Input is its create call: *glue.CreateWorkflowInput,
// *glue.CreateTriggerInput, *glue.CreateJobInput or *s3.CreateBucketInput, with its physical name.
type Resource struct {
	LogicalID, Type, Name, ARN string
	Line                       int
	Retain, RetainOnReplace    bool
	DependsOn                  []string // logical ids, as far as they are in Evaluated.Resources
	Input                      any

	named   bool
	digests map[string]string
	tags    map[string]string
	startOf string
}

// Skipped is a resource of a type that nothing is done for. AWS::CDK::Metadata is not even listed.
type Skipped struct {
	LogicalID, Type string
	Line            int
}

// Output is one evaluated output. The value of a Secret one is "****".
type Output struct {
	Name, Description, Value string
	Secret                   bool
}

type progress uint8

const (
	untouched progress = iota
	visiting
	done
)

// resolved is how far a resource has come in this evaluation.
type resolved struct {
	*resource
	progress progress
	failed   bool
	absent   bool // its condition is false
	out      *Resource
	standin  *standin
	needs    []*resolved
}

type evaluator struct {
	*Template
	out        *Evaluated
	account    string
	region     string
	partition  string
	params     map[string]*node
	conditions map[string]*condition
	resources  map[string]*resolved
	stack      []*resolved // the resources being resolved, outermost first
	errs       []error
	produced   int
	pure       bool // inside Conditions, where resources have no values yet
}

type condition struct {
	progress progress
	value    bool
	err      error
}

// errNeeds says that a resource could not be resolved because another one, already reported, could not.
var errNeeds = errors.New("a resource it needs is in error")

var stackName = regexp.MustCompile(`^[A-Za-z][-A-Za-z0-9]{0,127}$`)

// Evaluate resolves the template. It reports every resource's first mistake, joined.
func (t *Template) Evaluate(o Options) (*Evaluated, error) {
	if !stackName.MatchString(o.Prev.Name) {
		return nil, fmt.Errorf("stack name %q: it is a letter followed by up to 127 letters, digits and hyphens", clip(o.Prev.Name))
	}
	if o.Prev.ID == "" {
		return nil, fmt.Errorf("stack %s has no id: begin with NewState", o.Prev.Name)
	}
	params, err := t.parameterValues(o.Params)
	if err != nil {
		return nil, err
	}
	ev := &evaluator{Template: t, account: o.Account, region: o.Region, partition: partition(o.Region), params: params,
		conditions: map[string]*condition{}, resources: map[string]*resolved{}}
	ev.out = &Evaluated{t: t, prev: o.Prev, params: params, Notes: slices.Clone(t.notes),
		StackID: fmt.Sprintf("arn:%s:cloudformation:%s:%s:stack/%s/%s", ev.partition, o.Region, o.Account, o.Prev.Name, o.Prev.ID)}
	for _, r := range t.resources {
		ev.resources[r.id] = &resolved{resource: r}
	}
	errs := ev.evaluateConditions()
	if len(errs) == 0 {
		errs = append(ev.evaluateResources(), ev.evaluateOutputs()...)
	}
	if err := joinErrors(errs); err != nil {
		return nil, err
	}
	return ev.out, nil
}

func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

func (ev *evaluator) evaluateConditions() (errs []error) {
	ev.pure = true
	defer func() { ev.pure = false }()
	if ev.Template.conditions == nil {
		return nil
	}
	for _, k := range ev.Template.conditions.keys {
		_, err := ev.named(k.name, k.line, at("Conditions").dot(k.name))
		if err != nil && !errors.Is(err, errNeeds) {
			errs = append(errs, err)
		}
	}
	return errs
}

// named gives the value of a condition by its name, evaluated once.
func (ev *evaluator) named(name string, line int, p *place) (bool, error) {
	n := ev.Template.conditions.get(name)
	if n == nil {
		return false, ev.fail(line, p, "there is no condition %q", clip(name))
	}
	c := ev.conditions[name]
	if c == nil {
		c = &condition{progress: visiting}
		ev.conditions[name] = c
		c.value, c.err = ev.test(n, at("Conditions").dot(name))
		c.progress = done
		return c.value, c.err
	}
	if c.progress == visiting {
		return false, ev.fail(line, p, "the condition %q refers to itself", clip(name))
	}
	if c.err != nil {
		return false, errNeeds
	}
	return c.value, nil
}

func (ev *evaluator) evaluateResources() []error {
	for _, r := range ev.Template.resources {
		s := ev.resources[r.id]
		ev.resolve(s)
		if s.progress == done && !s.failed && !s.absent && s.standin != nil && r.typ != "AWS::CDK::Metadata" {
			ev.out.Skipped = append(ev.out.Skipped, Skipped{r.id, r.typ, r.line})
		}
	}
	if len(ev.errs) > 0 {
		return ev.errs
	}
	return ev.checkNames()
}

// checkNames refuses two resources of one type with one name, which would overwrite each other.
func (ev *evaluator) checkNames() (errs []error) {
	seen := map[[2]string]Resource{}
	for _, r := range ev.out.Resources {
		k := [2]string{r.Type, r.Name}
		if other, dup := seen[k]; dup {
			errs = append(errs, ev.fail(r.Line, at("Resources").dot(r.LogicalID), "it has the same name %s as %s at line %d",
				quoteName(r), other.LogicalID, other.Line))
			continue
		}
		seen[k] = r
	}
	return errs
}

// quoteName shows a physical name; names are sent to the server and listed by it, so even one made from a NoEcho
// parameter is not secret to the user of the stack. It is clipped all the same.
func quoteName(r Resource) string { return fmt.Sprintf("%q", clip(r.Name)) }

// resolve brings one resource to its end and records its mistake.
func (ev *evaluator) resolve(s *resolved) {
	if s.progress != untouched {
		return
	}
	s.progress = visiting
	ev.stack = append(ev.stack, s)
	err := ev.resource(s)
	ev.stack = ev.stack[:len(ev.stack)-1]
	s.progress = done
	if err != nil {
		s.failed = true
		if !errors.Is(err, errNeeds) {
			ev.errs = append(ev.errs, err)
		}
	}
}

func (ev *evaluator) resource(s *resolved) error {
	p := at("Resources").dot(s.id)
	if s.condition != nil {
		holds, err := ev.named(s.condition.text, s.condition.line, p.dot("Condition"))
		if err != nil {
			return err
		}
		if s.absent = !holds; s.absent {
			return nil
		}
	}
	for _, d := range s.dependsOn {
		// A dependency whose condition is false is no dependency: CloudFormation lets it pass.
		if _, err := ev.need(d.text, d.line, p.dot("DependsOn")); err != nil {
			return err
		}
	}
	kind, acts := kinds[s.typ]
	if !acts {
		var err error
		s.standin, err = ev.newStandin(s, p.dot("Properties"))
		return err
	}
	r, err := ev.build(s, kind, p.dot("Properties"))
	if err != nil {
		return err
	}
	r.DependsOn = s.dependencies()
	s.out = r
	ev.out.Resources = append(ev.out.Resources, *r)
	return nil
}

// dependencies lists what must exist first, looking through resources that are skipped.
func (s *resolved) dependencies() (ids []string) {
	seen := map[*resolved]bool{}
	var walk func(*resolved)
	walk = func(s *resolved) {
		for _, d := range s.needs {
			switch {
			case seen[d]:
			case d.out != nil:
				ids = append(ids, d.id)
			default:
				seen[d] = true
				walk(d)
			}
			seen[d] = true
		}
	}
	walk(s)
	slices.Sort(ids)
	return slices.Compact(ids)
}

// need resolves the resource that the one on top of the stack refers to.
func (ev *evaluator) need(id string, line int, p *place) (*resolved, error) {
	d := ev.resources[id]
	if d.progress == visiting {
		i := slices.Index(ev.stack, d)
		var ring []string
		for _, s := range ev.stack[i:] {
			ring = append(ring, s.id)
		}
		return nil, ev.fail(line, p, "circular dependency between resources: %s", clipRing(append(ring, id)))
	}
	ev.resolve(d)
	if d.failed {
		return nil, errNeeds
	}
	if len(ev.stack) > 0 && !d.absent {
		top := ev.stack[len(ev.stack)-1]
		top.needs = append(top.needs, d)
	}
	return d, nil
}

func clipRing(ids []string) string {
	const most = 10
	if len(ids) > most {
		ids = append(append(slices.Clone(ids[:most-1]), "…"), ids[len(ids)-1])
	}
	return strings.Join(ids, " → ")
}

func (ev *evaluator) evaluateOutputs() (errs []error) {
	if ev.Template.outputs == nil {
		return nil
	}
	for i, k := range ev.Template.outputs.keys {
		o, err := ev.output(k, ev.Template.outputs.items[i], at("Outputs").dot(k.name))
		if err != nil && !errors.Is(err, errNeeds) {
			errs = append(errs, err)
		}
		if o != nil {
			ev.out.Outputs = append(ev.out.Outputs, *o)
		}
	}
	return errs
}

func (ev *evaluator) output(k key, n *node, p *place) (*Output, error) {
	if n.kind != kindObject || n.get("Value") == nil {
		return nil, ev.fail(k.line, p, "an output is an object with a Value")
	}
	if c := n.get("Condition"); c != nil {
		if holds, err := ev.named(c.text, c.line, p.dot("Condition")); err != nil || !holds {
			return nil, err
		}
	}
	v, err := ev.value(n.get("Value"), p.dot("Value"))
	if err != nil || v == nil {
		return nil, err
	}
	if !v.scalar() {
		return nil, ev.fail(n.get("Value").line, p.dot("Value"), "an output is a string, this is %s", v.kind)
	}
	o := &Output{Name: k.name, Value: v.text, Secret: v.secret}
	if d := n.get("Description"); d != nil {
		o.Description = d.text
	}
	if o.Secret {
		o.Value = "****"
	}
	return o, nil
}

// value evaluates one expression. The result is nil for AWS::NoValue, which removes the property or element it stands for.
func (ev *evaluator) value(n *node, p *place) (*node, error) {
	switch n.kind {
	case kindList:
		return ev.list(n, p)
	case kindObject:
	default:
		return n, nil
	}
	if len(n.keys) == 1 && (n.keys[0].name == "Ref" || strings.HasPrefix(n.keys[0].name, "Fn::")) {
		name := n.keys[0].name
		return ev.call(name, n.items[0], n.keys[0].line, p.dot(name))
	}
	out := &node{kind: kindObject, line: n.line}
	for i, k := range n.keys {
		if strings.HasPrefix(k.name, "Fn::") {
			return nil, ev.fail(k.line, p, "%s must be the only key of its object", clip(k.name))
		}
		v, err := ev.value(n.items[i], p.dot(k.name))
		if err != nil {
			return nil, err
		}
		if v != nil {
			out.keys = append(out.keys, k)
			out.items = append(out.items, v)
			out.secret = out.secret || v.secret
		}
	}
	return out, nil
}

func (ev *evaluator) list(n *node, p *place) (*node, error) {
	out := &node{kind: kindList, line: n.line}
	for i, item := range n.items {
		v, err := ev.value(item, p.item(i))
		if err != nil {
			return nil, err
		}
		if v != nil {
			out.items = append(out.items, v)
			out.secret = out.secret || v.secret
		}
	}
	return out, nil
}

// charge counts what an expression brought into the result against maxProduced.
func (ev *evaluator) charge(n *node, p *place) (*node, error) {
	ev.produced += size(n, maxProduced-ev.produced)
	if ev.produced > maxProduced {
		return nil, ev.fail(n.line, p, "the template's functions make more than %d bytes", maxProduced)
	}
	return n, nil
}

// size is about what a value weighs, counted no further than past limit.
func size(n *node, limit int) int {
	const overhead = 16
	sum := overhead + len(n.text)
	for _, item := range n.items {
		if sum > limit {
			break
		}
		sum += size(item, limit-sum)
	}
	return sum
}

// Workflows lists the names of the stack's workflows in the order of its resources.
func (e *Evaluated) Workflows() []string {
	var names []string
	for _, r := range e.Resources {
		if r.Type == TypeWorkflow {
			names = append(names, r.Name)
		}
	}
	return names
}

// Workflow finds one workflow by its name or logical id; "" means the only one.
func (e *Evaluated) Workflow(name string) (string, error) {
	all := e.Workflows()
	switch {
	case len(all) == 0:
		return "", fmt.Errorf("%s has no %s", e.t.file, TypeWorkflow)
	case name == "" && len(all) == 1:
		return all[0], nil
	case name == "":
		return "", fmt.Errorf("%s has several workflows (%s): name one", e.t.file, strings.Join(all, ", "))
	case slices.Contains(all, name):
		return name, nil
	}
	for _, r := range e.Resources {
		if r.Type == TypeWorkflow && r.LogicalID == name {
			return r.Name, nil
		}
	}
	return "", fmt.Errorf("%s has no workflow %q; it has %s", e.t.file, clip(name), strings.Join(all, ", "))
}

// Bucket gives the bucket that a folder of the s3 tree stands for: its own name, or for @LogicalID the physical name of
// that bucket of the template.
func (e *Evaluated) Bucket(folder string) (string, error) {
	id, logical := strings.CutPrefix(folder, "@")
	if !logical {
		return folder, nil
	}
	for _, r := range e.Resources {
		if r.Type == TypeBucket && r.LogicalID == id {
			return r.Name, nil
		}
	}
	return "", fmt.Errorf("s3/%s: %s has no %s %q", folder, e.t.file, TypeBucket, clip(id))
}
