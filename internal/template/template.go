package template

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Template is a template whose shape is checked and whose expressions are not yet evaluated. It is read-only.
type Template struct {
	file       string
	hash       string
	desc       string
	params     []*parameter
	mappings   *node
	conditions *node
	outputs    *node
	resources  []*resource
	byID       map[string]*resource
	paramOf    map[string]*parameter
	notes      []Note
}

// Note is something about the template that the user should see once: a section or a property that does nothing here.
type Note struct {
	Line int
	Text string
}

// resource is one entry of Resources as written.
type resource struct {
	id, typ         string
	line            int
	props           *node // nil when absent
	dependsOn       []*node
	condition       *node
	retain          bool
	retainOnReplace bool
}

// File is the name the template was read under, Hash the sha-256 of its bytes in hex, Description its own words.
func (t *Template) File() string        { return t.file }
func (t *Template) Hash() string        { return t.hash }
func (t *Template) Description() string { return t.desc }

func (t *Template) fail(line int, p *place, format string, args ...any) error {
	return &Error{File: t.file, Line: line, Path: p.String(), Msg: fmt.Sprintf(format, args...)}
}

var sections = []string{"AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Rules", "Mappings", "Conditions",
	"Transform", "Resources", "Outputs", "Hooks"}

// CloudFormation's own quotas; they also bound what compares every resource with every other.
const (
	maxResources  = 500
	maxParameters = 200
)

var alphanumeric = regexp.MustCompile(`^[A-Za-z0-9]{1,255}$`)

func newTemplate(file, hash string, root *node) (*Template, error) {
	t := &Template{file: file, hash: hash, byID: map[string]*resource{}, paramOf: map[string]*parameter{}}
	if root.kind != kindObject {
		return nil, t.fail(root.line, nil, "a template is an object, this is %s", root.kind)
	}
	var errs []error
	for i, k := range root.keys {
		if err := t.section(k, root.items[i]); err != nil {
			errs = append(errs, err)
		}
	}
	if root.get("Resources") == nil {
		errs = append(errs, t.fail(0, nil, "the template has no Resources"))
	}
	if err := joinErrors(errs); err != nil {
		return nil, err
	}
	return t, nil
}

// joinErrors joins at most twenty complaints; a broken file should not scroll its first mistake away.
func joinErrors(errs []error) error {
	const most = 20
	if n := len(errs); n > most {
		errs = append(slices.Clip(errs[:most]), fmt.Errorf("and %d more errors", n-most))
	}
	return errors.Join(errs...)
}

func (t *Template) section(k key, n *node) error {
	p := at(k.name)
	if !slices.Contains(sections, k.name) {
		return t.fail(k.line, nil, "%q is not a section of a template; there are %s", clip(k.name), strings.Join(sections, ", "))
	}
	switch k.name {
	case "AWSTemplateFormatVersion":
		if n.text != "2010-09-09" {
			return t.fail(n.line, p, "the only format version is 2010-09-09")
		}
		return nil
	case "Description":
		if n.kind != kindString {
			return t.fail(n.line, p, "a description is a string")
		}
		t.desc = n.text
		return nil
	case "Metadata":
		return nil
	case "Transform":
		return t.transform(n)
	case "Rules":
		// `cdk synth` puts this rule into every template; it checks the bootstrap stack of a real account.
		if len(n.keys) != 1 || n.keys[0].name != "CheckBootstrapVersion" {
			t.notes = append(t.notes, Note{k.line, "Rules are not evaluated"})
		}
		return nil
	case "Hooks":
		t.notes = append(t.notes, Note{k.line, "Hooks are not run"})
		return nil
	}
	if n.kind == kindNull {
		return nil // an empty section, as YAML writes it
	}
	if n.kind != kindObject {
		return t.fail(n.line, p, "this section is an object, not %s", n.kind)
	}
	switch k.name {
	case "Parameters":
		return t.readParameters(n, p)
	case "Mappings":
		t.mappings = n
		return t.readMappings(n, p)
	case "Conditions":
		t.conditions = n
	case "Outputs":
		t.outputs = n
	case "Resources":
		return t.readResources(n, p)
	}
	return nil
}

// transform lets through the one transform that only adds functions. The others rewrite the template on AWS's side.
func (t *Template) transform(n *node) error {
	list := []*node{n}
	if n.kind == kindList {
		list = n.items
	}
	for _, m := range list {
		if m.text == "AWS::LanguageExtensions" {
			continue
		}
		what := m.show()
		if m.kind == kindObject {
			what = m.get("Name").showOr("a macro")
		}
		return t.fail(m.line, at("Transform"), "transforms and macros cannot be run here (%s): apply the template as AWS expands it", what)
	}
	return nil
}

func (n *node) showOr(other string) string {
	if n == nil {
		return other
	}
	return n.show()
}

func (t *Template) readMappings(n *node, p *place) error {
	for i, k := range n.keys {
		for j, top := range n.items[i].keys {
			if n.items[i].items[j].kind != kindObject {
				return t.fail(top.line, p.dot(k.name).dot(top.name), "a mapping has two levels of keys")
			}
		}
		if n.items[i].kind != kindObject {
			return t.fail(k.line, p.dot(k.name), "a mapping has two levels of keys")
		}
	}
	return nil
}

var resourceKeys = []string{"Type", "Properties", "DependsOn", "Condition", "Metadata", "DeletionPolicy", "UpdateReplacePolicy",
	"UpdatePolicy", "CreationPolicy"}

func (t *Template) readResources(n *node, p *place) error {
	if len(n.keys) > maxResources {
		return t.fail(n.line, p, "a template has at most %d resources, this has %d", maxResources, len(n.keys))
	}
	var errs []error
	for i, k := range n.keys {
		r, err := t.readResource(k, n.items[i], p.dot(k.name))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		t.resources = append(t.resources, r)
		t.byID[r.id] = r
	}
	if len(errs) == 0 {
		errs = t.checkDependsOn(p)
	}
	return joinErrors(errs)
}

func (t *Template) readResource(k key, n *node, p *place) (*resource, error) {
	r := &resource{id: k.name, line: k.line}
	switch {
	case strings.HasPrefix(k.name, "Fn::"):
		return nil, t.fail(k.line, p, "%s cannot be expanded here: apply the template as AWS expands it", clip(k.name))
	case !alphanumeric.MatchString(k.name):
		return nil, t.fail(k.line, p, "a logical id has 1 to 255 letters and digits")
	case n.kind != kindObject:
		return nil, t.fail(k.line, p, "a resource is an object, not %s", n.kind)
	}
	for i, rk := range n.keys {
		v, vp := n.items[i], p.dot(rk.name)
		var err error
		switch rk.name {
		case "Type":
			r.typ = v.text
		case "Properties":
			if v.kind != kindNull {
				r.props = v
			}
		case "DependsOn":
			r.dependsOn = []*node{v}
			if v.kind == kindList {
				r.dependsOn = v.items
			}
		case "Condition":
			r.condition = v
		case "DeletionPolicy":
			r.retain, err = t.policy(v, vp)
		case "UpdateReplacePolicy":
			r.retainOnReplace, err = t.policy(v, vp)
		case "Metadata", "UpdatePolicy", "CreationPolicy": // nothing of ours reads these
		default:
			err = t.fail(rk.line, vp, "a resource has no such attribute; there are %s", strings.Join(resourceKeys, ", "))
		}
		if err != nil {
			return nil, err
		}
	}
	if r.typ == "" {
		return nil, t.fail(k.line, p, "the resource has no Type")
	}
	if r.condition != nil && r.condition.kind != kindString {
		return nil, t.fail(r.condition.line, p.dot("Condition"), "it is the name of a condition")
	}
	return r, nil
}

func (t *Template) policy(n *node, p *place) (retain bool, err error) {
	switch n.text {
	case "Retain", "RetainExceptOnCreate":
		return true, nil
	case "Delete", "Snapshot": // nothing here has snapshots
		return false, nil
	}
	return false, t.fail(n.line, p, "%s is none of Delete, Retain, RetainExceptOnCreate, Snapshot", n.show())
}

func (t *Template) checkDependsOn(p *place) (errs []error) {
	for _, r := range t.resources {
		for _, d := range r.dependsOn {
			if d.kind != kindString || t.byID[d.text] == nil {
				errs = append(errs, t.fail(d.line, p.dot(r.id).dot("DependsOn"), "%s is not a resource of this template", d.show()))
			}
		}
	}
	return errs
}
