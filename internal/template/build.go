package template

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// The types that act.
const (
	TypeWorkflow = "AWS::Glue::Workflow"
	TypeTrigger  = "AWS::Glue::Trigger"
	TypeJob      = "AWS::Glue::Job"
	TypeBucket   = "AWS::S3::Bucket"
)

// resourceKind says how a type that acts is built. CloudFormation's property names are those of the create call, so the SDK's own
// input is the list of properties; sdkOnly are the members that CloudFormation does not have.
type resourceKind struct {
	arn        string
	nameKey    string
	required   []string
	createOnly []string // besides the name: a change needs a new resource
	sdkOnly    []string
	input      func() any
}

// kinds: DOC AWS CloudFormation template reference, "AWS::Glue::Job", "::Trigger", "::Workflow", "AWS::S3::Bucket";
// what is create-only: spec/workflows §4.1.
var kinds = map[string]resourceKind{
	TypeWorkflow: {arn: "arn:%s:glue:%s:%s:workflow/%s", nameKey: "Name", input: func() any { return new(glue.CreateWorkflowInput) }},
	TypeTrigger: {arn: "arn:%s:glue:%s:%s:trigger/%s", nameKey: "Name", required: []string{"Actions", "Type"},
		createOnly: []string{"Type", "WorkflowName"}, input: func() any { return new(glue.CreateTriggerInput) }},
	TypeJob: {arn: "arn:%s:glue:%s:%s:job/%s", nameKey: "Name", required: []string{"Command", "Role"},
		sdkOnly: []string{"CodeGenConfigurationNodes", "SourceControlDetails"}, input: func() any { return new(glue.CreateJobInput) }},
	TypeBucket: {nameKey: "BucketName", input: func() any { return new(s3.CreateBucketInput) }},
}

// build makes the create call of one resource.
func (ev *evaluator) build(s *resolved, k resourceKind, p *place) (*Resource, error) {
	r := &Resource{LogicalID: s.id, Type: s.typ, Line: s.line, Retain: s.retain, RetainOnReplace: s.retainOnReplace, Input: k.input()}
	props := &node{kind: kindObject, line: s.line}
	if s.props != nil {
		v, err := ev.value(ev.relevant(s), p)
		if err != nil {
			return nil, err
		}
		if v != nil {
			props = v
		}
	}
	if props.kind != kindObject {
		return nil, ev.fail(props.line, p, "properties are an object, not %s", props.kind)
	}
	for _, name := range k.required {
		if props.get(name) == nil {
			return nil, ev.fail(s.line, p, "the property %s is required for %s", name, s.typ)
		}
	}
	if s.typ != TypeBucket {
		if err := ev.decodeStruct(props, reflect.ValueOf(r.Input).Elem(), p, k.sdkOnly); err != nil {
			return nil, err
		}
	}
	if err := ev.name(r, k, props, p); err != nil {
		return nil, err
	}
	ev.finish(r, k)
	return r, ev.plainNames(r, props, p)
}

// relevant is what of a resource's properties is evaluated. Of a bucket it is the name: the rest has no effect here and may refer to
// anything.
func (ev *evaluator) relevant(s *resolved) *node {
	if s.typ != TypeBucket || s.props.kind != kindObject || len(s.props.keys) == 1 && s.props.keys[0].name == "Fn::If" {
		return s.props
	}
	only := &node{kind: kindObject, line: s.props.line}
	var rest []string
	for i, k := range s.props.keys {
		if k.name == "BucketName" {
			only.keys = append(only.keys, k)
			only.items = append(only.items, s.props.items[i])
			continue
		}
		rest = append(rest, clip(k.name))
	}
	if len(rest) > 0 {
		ev.out.Notes = append(ev.out.Notes, Note{s.line, fmt.Sprintf("bucket %s: only BucketName is used, not %s", s.id, strings.Join(rest, ", "))})
	}
	return only
}

// name settles the physical name and the digests: given by the template, else kept from the stack's state unless the resource
// must be a new one, else generated.
func (ev *evaluator) name(r *Resource, k resourceKind, props *node, p *place) error {
	r.digests = map[string]string{}
	for i, pk := range props.keys {
		if pk.name != k.nameKey {
			r.digests[pk.name] = digest(ev.out.prev.ID, pk.name, string(appendJSON(nil, props.items[i], true)))
		}
	}
	given, prev := props.get(k.nameKey), ev.out.prev.find(r.LogicalID)
	switch {
	case given != nil:
		if !given.scalar() || given.text == "" {
			return ev.fail(given.line, p.dot(k.nameKey), "a name is a string of at least one character")
		}
		r.Name, r.named = given.text, true
	case prev != nil && prev.Type == r.Type && !prev.Named && len(changedOf(k.createOnly, prev.Properties, r.digests)) == 0:
		r.Name = prev.Name
	default:
		r.Name = ev.generatedName(r.LogicalID, strconv.Itoa(ev.out.prev.Revision))
		if r.Type == TypeBucket {
			r.Name = bucketName(r.Name)
		}
	}
	return nil
}

// plainNames refuses secrets where they would be stored or listed: a resource's own name and the workflow of a trigger.
func (ev *evaluator) plainNames(r *Resource, props *node, p *place) error {
	for _, name := range []string{kinds[r.Type].nameKey, "WorkflowName"} {
		if n := props.get(name); n != nil && n.secret {
			return ev.fail(n.line, p.dot(name), "a name cannot be made from a NoEcho parameter")
		}
	}
	return nil
}

// changedOf lists which of names differ between two digest maps.
func changedOf(names []string, a, b map[string]string) (changed []string) {
	for _, n := range names {
		if a[n] != b[n] {
			changed = append(changed, n)
		}
	}
	return changed
}

// finish writes the name into the input and takes out what planning needs.
func (ev *evaluator) finish(r *Resource, k resourceKind) {
	r.ARN = fmt.Sprintf("arn:%s:s3:::%s", ev.partition, r.Name)
	if k.arn != "" {
		r.ARN = fmt.Sprintf(k.arn, ev.partition, ev.region, ev.account, r.Name)
	}
	switch in := r.Input.(type) {
	case *glue.CreateWorkflowInput:
		in.Name, r.tags = &r.Name, in.Tags
	case *glue.CreateJobInput:
		in.Name, r.tags = &r.Name, in.Tags
	case *glue.CreateTriggerInput:
		in.Name, r.tags = &r.Name, in.Tags
		if in.WorkflowName != nil && in.Type != types.TriggerTypeConditional {
			r.startOf = *in.WorkflowName
		}
	case *s3.CreateBucketInput:
		in.Bucket = &r.Name
		if ev.region != "us-east-1" { // S3 refuses that one as a constraint
			in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(ev.region)}
		}
	}
}

// ownAttributes is what Fn::GetAtt gives for the types that act. Glue's have none.
func (ev *evaluator) ownAttributes(r *Resource) map[string]string {
	if r.Type != TypeBucket {
		return nil
	}
	suffix := urlSuffix(ev.partition)
	return map[string]string{
		"Arn":                 r.ARN,
		"DomainName":          r.Name + ".s3." + suffix,
		"RegionalDomainName":  r.Name + ".s3." + ev.region + "." + suffix,
		"DualStackDomainName": r.Name + ".s3.dualstack." + ev.region + "." + suffix,
		"WebsiteURL":          "http://" + r.Name + ".s3-website-" + ev.region + "." + suffix,
	}
}

// decode writes an evaluated value into an SDK member. Scalars convert as CloudFormation converts them: "10" is a number where one is
// needed, "true" a boolean, and numbers and booleans are strings where strings are.
func (ev *evaluator) decode(n *node, to reflect.Value, p *place) error {
	switch to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		return ev.decode(n, to.Elem(), p)
	case reflect.Struct:
		return ev.decodeStruct(n, to, p, nil)
	case reflect.Slice:
		if n.kind != kindList {
			return ev.fail(n.line, p, "a list is needed here, not %s", n.show())
		}
		to.Set(reflect.MakeSlice(to.Type(), len(n.items), len(n.items)))
		for i, item := range n.items {
			if err := ev.decode(item, to.Index(i), p.item(i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Map:
		return ev.decodeMap(n, to, p)
	}
	if !n.scalar() {
		return ev.fail(n.line, p, "a single value is needed here, not %s", n.kind)
	}
	return ev.decodeScalar(n, to, p)
}

func (ev *evaluator) decodeScalar(n *node, to reflect.Value, p *place) error {
	// CloudFormation would fetch the value; passing the expression on as if it were one would be a lie.
	if strings.Contains(n.text, "{{resolve:") {
		return ev.fail(n.line, p, "dynamic references ({{resolve:…}}) cannot be resolved here: make it a parameter")
	}
	switch to.Kind() {
	case reflect.String:
		to.SetString(n.text)
		return nil
	case reflect.Bool:
		switch strings.ToLower(n.text) {
		case "true", "false":
			to.SetBool(strings.EqualFold(n.text, "true"))
			return nil
		}
		return ev.fail(n.line, p, "%s is not true or false", n.show())
	case reflect.Int32:
		v, err := strconv.ParseFloat(n.text, 64)
		if err != nil || !decimal.MatchString(n.text) || v != math.Trunc(v) || v < math.MinInt32 || v > math.MaxInt32 {
			return ev.fail(n.line, p, "%s is not a whole number of 32 bits", n.show())
		}
		to.SetInt(int64(v))
		return nil
	case reflect.Float64:
		v, err := strconv.ParseFloat(n.text, 64)
		if err != nil || !decimal.MatchString(n.text) {
			return ev.fail(n.line, p, "%s is not a number", n.show())
		}
		to.SetFloat(v)
		return nil
	}
	return ev.fail(n.line, p, "values of this property cannot be read")
}

// decodeMap reads the properties that CloudFormation calls Json: arguments, run properties and tags, all of strings.
func (ev *evaluator) decodeMap(n *node, to reflect.Value, p *place) error {
	if n.kind != kindObject {
		hint := ""
		if n.kind == kindList && p.name == "Tags" {
			hint = "; the Tags of Glue resources are {key: value}, not a list of Key and Value"
		}
		return ev.fail(n.line, p, "an object of strings is needed here, not %s%s", n.show(), hint)
	}
	m := reflect.MakeMapWithSize(to.Type(), len(n.keys))
	for i, k := range n.keys {
		v := reflect.New(to.Type().Elem()).Elem()
		if err := ev.decode(n.items[i], v, p.dot(k.name)); err != nil {
			return err
		}
		m.SetMapIndex(reflect.ValueOf(k.name), v)
	}
	to.Set(m)
	return nil
}

// decodeStruct refuses properties that the type does not have, all of them in one sentence.
func (ev *evaluator) decodeStruct(n *node, to reflect.Value, p *place, without []string) error {
	if n.kind != kindObject {
		return ev.fail(n.line, p, "an object is needed here, not %s", n.show())
	}
	fields := map[string]int{}
	for i := range to.NumField() {
		if f := to.Type().Field(i); f.IsExported() && !slices.Contains(without, f.Name) {
			fields[f.Name] = i
		}
	}
	var unknown []string
	line := n.line
	for _, k := range n.keys {
		if _, ok := fields[k.name]; !ok {
			if len(unknown) == 0 {
				line = k.line
			}
			unknown = append(unknown, strconv.Quote(clip(k.name)))
		}
	}
	if len(unknown) > 0 {
		return ev.fail(line, p, "there is no property %s here; there are %s", strings.Join(unknown, ", "),
			strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
	}
	for i, k := range n.keys {
		if n.items[i].kind == kindNull {
			return ev.fail(k.line, p.dot(k.name), "null values are not allowed; leave the property out or use AWS::NoValue")
		}
		if err := ev.decode(n.items[i], to.Field(fields[k.name]), p.dot(k.name)); err != nil {
			return err
		}
	}
	return nil
}
