package template

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// call evaluates one intrinsic function. Functions that only conditions may use are refused here, as on AWS.
func (ev *evaluator) call(name string, arg *node, line int, p *place) (*node, error) {
	switch name {
	case "Ref":
		return ev.ref(arg, line, p)
	case "Fn::GetAtt":
		return ev.getAtt(arg, line, p)
	case "Fn::Sub":
		return ev.sub(arg, line, p)
	case "Fn::Join":
		return ev.join(arg, line, p)
	case "Fn::If":
		return ev.ifElse(arg, line, p)
	case "Fn::Select":
		return ev.selectItem(arg, line, p)
	case "Fn::Split":
		return ev.split(arg, line, p)
	case "Fn::FindInMap":
		return ev.findInMap(arg, line, p)
	case "Fn::Base64":
		return ev.base64(arg, line, p)
	case "Fn::GetAZs":
		return ev.zones(arg, line, p)
	case "Fn::Length":
		return ev.length(arg, line, p)
	case "Fn::ToJsonString":
		return ev.toJSON(arg, line, p)
	case "Fn::ImportValue":
		return nil, ev.fail(line, p, "values of other stacks cannot be imported here: make it a parameter")
	case "Fn::Transform":
		return nil, ev.fail(line, p, "transforms and macros cannot be run here: apply the template as AWS expands it")
	case "Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not":
		return nil, ev.fail(line, p, "this function stands only in Conditions")
	}
	return nil, ev.fail(line, p, "the function %s is not known here", clip(name))
}

// used gives a value that stands elsewhere, in a parameter or mapping, the line where it is used: a later complaint about it is
// about that place.
func used(n *node, line int) *node {
	if n == nil || n.line == line {
		return n
	}
	there := *n
	there.line = line
	return &there
}

// text evaluates to one string; numbers and booleans keep their source text.
func (ev *evaluator) text(n *node, p *place) (*node, error) {
	v, err := ev.value(n, p)
	if err != nil {
		return nil, err
	}
	if v == nil || !v.scalar() {
		what := "AWS::NoValue"
		if v != nil {
			what = v.kind.String()
		}
		return nil, ev.fail(n.line, p, "a string is needed here, not %s", what)
	}
	return v, nil
}

// strings evaluates to a list of strings.
func (ev *evaluator) strings(n *node, p *place) (*node, error) {
	v, err := ev.value(n, p)
	if err != nil {
		return nil, err
	}
	if v == nil || v.kind != kindList {
		return nil, ev.fail(n.line, p, "a list of strings is needed here")
	}
	for i, item := range v.items {
		if !item.scalar() {
			return nil, ev.fail(n.line, p.item(i), "a string is needed here, not %s", item.kind)
		}
	}
	return v, nil
}

// args checks that a function got a list of between least and most arguments.
func (ev *evaluator) args(n *node, line int, p *place, least, most int, form string) error {
	if n.kind != kindList || len(n.items) < least || len(n.items) > most {
		return ev.fail(line, p, "its argument is %s", form)
	}
	return nil
}

func (ev *evaluator) ref(arg *node, line int, p *place) (*node, error) {
	if arg.kind != kindString {
		return nil, ev.fail(line, p, "its argument is the name of a parameter or resource")
	}
	return ev.reference(arg.text, line, p)
}

// reference gives what Ref gives for a name. Pseudo parameters: DOC "Pseudo parameters reference" of CloudFormation.
func (ev *evaluator) reference(name string, line int, p *place) (*node, error) {
	if strings.HasPrefix(name, "AWS::") {
		return ev.pseudo(name, line, p)
	}
	if v, ok := ev.params[name]; ok {
		if ev.paramOf[name].ssm() {
			return nil, ev.fail(line, p, "parameter %s stands for the content of an SSM parameter, which is not known here: declare it as String", name)
		}
		return ev.charge(used(v, line), p)
	}
	d, err := ev.live(name, line, p)
	if err != nil {
		return nil, err
	}
	if d.standin != nil {
		return ev.charge(text(d.standin.ref, line), p)
	}
	return ev.charge(text(d.out.Name, line), p)
}

// live resolves a resource that must exist, because its value is used.
func (ev *evaluator) live(name string, line int, p *place) (*resolved, error) {
	if ev.resources[name] == nil {
		return nil, ev.fail(line, p, "%q is neither a parameter nor a resource of this template", clip(name))
	}
	if ev.pure {
		return nil, ev.fail(line, p, "a condition cannot refer to the resource %s", name)
	}
	d, err := ev.need(name, line, p)
	if err != nil {
		return nil, err
	}
	if d.absent {
		return nil, ev.fail(line, p, "the resource %s does not exist: its condition %s is false", name, d.condition.text)
	}
	return d, nil
}

func (ev *evaluator) pseudo(name string, line int, p *place) (*node, error) {
	switch name {
	case "AWS::AccountId":
		return text(ev.account, line), nil
	case "AWS::Region":
		return text(ev.region, line), nil
	case "AWS::Partition":
		return text(ev.partition, line), nil
	case "AWS::StackName":
		return text(ev.out.prev.Name, line), nil
	case "AWS::StackId":
		return text(ev.out.StackID, line), nil
	case "AWS::URLSuffix":
		return text(urlSuffix(ev.partition), line), nil
	case "AWS::NotificationARNs":
		return &node{kind: kindList, line: line}, nil
	case "AWS::NoValue":
		return nil, nil
	}
	return nil, ev.fail(line, p, "%q is not a pseudo parameter", clip(name))
}

func urlSuffix(partition string) string {
	if partition == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

// getAtt takes [resource, attribute] or, in JSON, also "resource.attribute". The attribute may itself be an expression.
func (ev *evaluator) getAtt(arg *node, line int, p *place) (*node, error) {
	if arg.kind == kindString {
		arg = splitAttr(arg)
	}
	if err := ev.args(arg, line, p, 2, 2, "[resource, attribute]"); err != nil {
		return nil, err
	}
	if arg.items[0].kind != kindString {
		return nil, ev.fail(line, p, "the resource must be named plainly")
	}
	attr, err := ev.text(arg.items[1], p.item(1))
	if err != nil {
		return nil, err
	}
	return ev.attribute(arg.items[0].text, attr.text, line, p)
}

func (ev *evaluator) attribute(id, attr string, line int, p *place) (*node, error) {
	d, err := ev.live(id, line, p)
	if err != nil {
		return nil, err
	}
	if d.standin != nil {
		return ev.charge(text(d.standin.attribute(attr), line), p)
	}
	v, ok := ev.ownAttributes(d.out)[attr]
	if !ok {
		return nil, ev.fail(line, p, "%s has no attribute %q", d.typ, clip(attr))
	}
	return ev.charge(text(v, line), p)
}

// sub fills ${Name}, ${Resource.Attribute} and the variables of its second form; ${!Text} stays as ${Text}.
func (ev *evaluator) sub(arg *node, line int, p *place) (*node, error) {
	format, vars := arg, (*node)(nil)
	if arg.kind == kindList {
		if err := ev.args(arg, line, p, 2, 2, "a string, or [string, {name: value}]"); err != nil {
			return nil, err
		}
		format, vars = arg.items[0], arg.items[1]
	}
	if format.kind != kindString || vars != nil && vars.kind != kindObject {
		return nil, ev.fail(line, p, "its argument is a string, or [string, {name: value}]")
	}
	var b strings.Builder
	out := &node{kind: kindString, line: format.line}
	rest := format.text
	for {
		before, after, found := strings.Cut(rest, "${")
		b.WriteString(before)
		if !found {
			break
		}
		name, tail, closed := strings.Cut(after, "}")
		if !closed {
			return nil, ev.fail(format.line, p, "a ${ has no closing brace")
		}
		rest = tail
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			b.WriteString("${" + literal + "}")
			continue
		}
		v, err := ev.variable(strings.TrimSpace(name), vars, format.line, p)
		if err != nil {
			return nil, err
		}
		out.secret = out.secret || v.secret
		b.WriteString(v.text)
		if b.Len() > maxProduced {
			break // charge says so
		}
	}
	out.text = b.String()
	return ev.charge(out, p)
}

func (ev *evaluator) variable(name string, vars *node, line int, p *place) (*node, error) {
	if v := vars.get(name); v != nil {
		return ev.text(v, p.item(1).dot(name))
	}
	var v *node
	var err error
	if id, attr, ok := strings.Cut(name, "."); ok {
		v, err = ev.attribute(id, attr, line, p)
	} else {
		v, err = ev.reference(name, line, p)
	}
	if err != nil {
		return nil, err
	}
	if v == nil || !v.scalar() {
		return nil, ev.fail(line, p, "${%s} is not a string", clip(name))
	}
	return v, nil
}

func (ev *evaluator) join(arg *node, line int, p *place) (*node, error) {
	if err := ev.args(arg, line, p, 2, 2, "[delimiter, list of strings]"); err != nil {
		return nil, err
	}
	delim, err := ev.text(arg.items[0], p.item(0))
	if err != nil {
		return nil, err
	}
	list, err := ev.strings(arg.items[1], p.item(1))
	if err != nil {
		return nil, err
	}
	out := &node{kind: kindString, line: line, secret: delim.secret}
	var b strings.Builder
	for i, item := range list.items {
		if i > 0 {
			b.WriteString(delim.text)
		}
		b.WriteString(item.text)
		out.secret = out.secret || item.secret
		if b.Len() > maxProduced {
			break // charge says so
		}
	}
	out.text = b.String()
	return ev.charge(out, p)
}

// ifElse evaluates only the branch that is taken: the other may refer to resources that do not exist.
func (ev *evaluator) ifElse(arg *node, line int, p *place) (*node, error) {
	if err := ev.args(arg, line, p, 3, 3, "[condition, value if true, value if false]"); err != nil {
		return nil, err
	}
	if arg.items[0].kind != kindString {
		return nil, ev.fail(line, p, "its first argument is the name of a condition")
	}
	holds, err := ev.named(arg.items[0].text, arg.items[0].line, p.item(0))
	if err != nil {
		return nil, err
	}
	if holds {
		return ev.value(arg.items[1], p.item(1))
	}
	return ev.value(arg.items[2], p.item(2))
}

func (ev *evaluator) selectItem(arg *node, line int, p *place) (*node, error) {
	if err := ev.args(arg, line, p, 2, 2, "[index, list]"); err != nil {
		return nil, err
	}
	at, err := ev.text(arg.items[0], p.item(0))
	if err != nil {
		return nil, err
	}
	list, err := ev.value(arg.items[1], p.item(1))
	if err != nil {
		return nil, err
	}
	if list == nil || list.kind != kindList {
		return nil, ev.fail(line, p, "its second argument is a list")
	}
	i, err := strconv.Atoi(at.text)
	if err != nil || i < 0 || i >= len(list.items) {
		return nil, ev.fail(line, p, "the index %s is outside the list of %d elements", at.show(), len(list.items))
	}
	return ev.charge(used(list.items[i], line), p)
}

func (ev *evaluator) split(arg *node, line int, p *place) (*node, error) {
	if err := ev.args(arg, line, p, 2, 2, "[delimiter, string]"); err != nil {
		return nil, err
	}
	delim, err := ev.text(arg.items[0], p.item(0))
	if err != nil {
		return nil, err
	}
	s, err := ev.text(arg.items[1], p.item(1))
	if err != nil {
		return nil, err
	}
	if delim.text == "" {
		return nil, ev.fail(line, p, "the delimiter is empty")
	}
	out := &node{kind: kindList, line: line, secret: s.secret || delim.secret}
	for part := range strings.SplitSeq(s.text, delim.text) {
		out.items = append(out.items, &node{kind: kindString, text: part, line: line, secret: out.secret})
	}
	return ev.charge(out, p)
}

// findInMap looks up mapping, first and second key; {DefaultValue: v} as fourth argument stands in for a missing one.
func (ev *evaluator) findInMap(arg *node, line int, p *place) (*node, error) {
	if err := ev.args(arg, line, p, 3, 4, "[mapping, first key, second key] with an optional {DefaultValue: value}"); err != nil {
		return nil, err
	}
	var names [3]*node
	for i := range names {
		var err error
		if names[i], err = ev.text(arg.items[i], p.item(i)); err != nil {
			return nil, err
		}
	}
	if v := ev.mappings.get(names[0].text).get(names[1].text).get(names[2].text); v != nil {
		return ev.charge(used(v, line), p)
	}
	if len(arg.items) == 4 {
		d := arg.items[3].get("DefaultValue")
		if d == nil {
			return nil, ev.fail(line, p, "its fourth argument is {DefaultValue: value}")
		}
		return ev.value(d, p.item(3).dot("DefaultValue"))
	}
	return nil, ev.fail(line, p, "the mapping %s has no %s, %s", names[0].show(), names[1].show(), names[2].show())
}

func (ev *evaluator) base64(arg *node, line int, p *place) (*node, error) {
	s, err := ev.text(arg, p)
	if err != nil {
		return nil, err
	}
	return ev.charge(&node{kind: kindString, line: line, secret: s.secret, text: base64.StdEncoding.EncodeToString([]byte(s.text))}, p)
}

// zones gives three synthetic availability zones, a to c; nothing here depends on them.
func (ev *evaluator) zones(arg *node, line int, p *place) (*node, error) {
	region, err := ev.text(arg, p)
	if err != nil {
		return nil, err
	}
	name := region.text
	if name == "" {
		name = ev.region
	}
	out := &node{kind: kindList, line: line}
	for _, z := range []string{"a", "b", "c"} {
		out.items = append(out.items, text(name+z, line))
	}
	return ev.charge(out, p)
}

func (ev *evaluator) length(arg *node, line int, p *place) (*node, error) {
	v, err := ev.value(arg, p)
	if err != nil {
		return nil, err
	}
	if v == nil || v.kind != kindList {
		return nil, ev.fail(line, p, "its argument is a list")
	}
	return &node{kind: kindNumber, line: line, text: strconv.Itoa(len(v.items))}, nil
}

func (ev *evaluator) toJSON(arg *node, line int, p *place) (*node, error) {
	v, err := ev.value(arg, p)
	if err != nil {
		return nil, err
	}
	if v == nil || v.scalar() || v.kind == kindNull {
		return nil, ev.fail(line, p, "its argument is an object or a list")
	}
	if _, err := ev.charge(v, p); err != nil { // before it is written out
		return nil, err
	}
	return ev.charge(&node{kind: kindString, line: line, secret: v.secret, text: string(appendJSON(nil, v, false))}, p)
}

// appendJSON writes a value as JSON. The canonical form sorts keys and makes every scalar a string, because to
// CloudFormation 10 and "10" are the same property value.
func appendJSON(b []byte, n *node, canonical bool) []byte {
	switch n.kind {
	case kindNull:
		return append(b, "null"...)
	case kindNumber, kindBool:
		if !canonical {
			return append(b, n.text...)
		}
	case kindList:
		b = append(b, '[')
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, item, canonical)
		}
		return append(b, ']')
	case kindObject:
		order := make([]int, len(n.keys))
		for i := range order {
			order[i] = i
		}
		if canonical {
			slices.SortFunc(order, func(i, j int) int { return strings.Compare(n.keys[i].name, n.keys[j].name) })
		}
		b = append(b, '{')
		for at, i := range order {
			if at > 0 {
				b = append(b, ',')
			}
			b = append(appendQuoted(b, n.keys[i].name), ':')
			b = appendJSON(b, n.items[i], canonical)
		}
		return append(b, '}')
	}
	return appendQuoted(b, n.text)
}

func appendQuoted(b []byte, s string) []byte {
	// The only error is invalid UTF-8, which neither parser lets through; the text is then written with replacements.
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// test evaluates one condition function.
func (ev *evaluator) test(n *node, p *place) (bool, error) {
	if n.kind != kindObject || len(n.keys) != 1 {
		return false, ev.fail(n.line, p, "a condition is one of Fn::Equals, Fn::And, Fn::Or, Fn::Not and Condition")
	}
	name, arg, line := n.keys[0].name, n.items[0], n.keys[0].line
	p = p.dot(name)
	switch name {
	case "Condition":
		return ev.named(arg.text, line, p)
	case "Fn::Equals":
		return ev.equals(arg, line, p)
	case "Fn::Not":
		if err := ev.args(arg, line, p, 1, 1, "[condition]"); err != nil {
			return false, err
		}
		v, err := ev.test(arg.items[0], p.item(0))
		return !v, err
	case "Fn::And", "Fn::Or":
		if err := ev.args(arg, line, p, 2, 10, "a list of 2 to 10 conditions"); err != nil {
			return false, err
		}
		decides := name == "Fn::Or" // one such value settles it; all are evaluated, so that every mistake shows
		result := !decides
		for i, item := range arg.items {
			v, err := ev.test(item, p.item(i))
			if err != nil {
				return false, err
			}
			if v == decides {
				result = decides
			}
		}
		return result, nil
	}
	return false, ev.fail(line, p, "a condition is one of Fn::Equals, Fn::And, Fn::Or, Fn::Not and Condition")
}

// equals compares text: CloudFormation makes no difference between true and "true".
func (ev *evaluator) equals(arg *node, line int, p *place) (bool, error) {
	if err := ev.args(arg, line, p, 2, 2, "[value, value]"); err != nil {
		return false, err
	}
	var sides [2]string
	for i := range sides {
		v, err := ev.value(arg.items[i], p.item(i))
		if err != nil {
			return false, err
		}
		if v == nil {
			return false, ev.fail(line, p.item(i), "AWS::NoValue cannot be compared")
		}
		if v, err = ev.charge(v, p); err != nil {
			return false, err
		}
		sides[i] = string(appendJSON(nil, v, true))
	}
	return sides[0] == sides[1], nil
}
