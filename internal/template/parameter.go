package template

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Parameter is what a user can set with NAME=VALUE. Default is empty for a NoEcho parameter, whatever the template says.
type Parameter struct {
	Name, Type, Description, Default string
	HasDefault, NoEcho               bool
	Line                             int
}

type parameter struct {
	Parameter
	def                *node
	allowed            []*node
	pattern            *regexp.Regexp
	minLen, maxLen     *node
	minValue, maxValue *node
	constraint         string
}

// Parameters lists the parameters in the order of the template.
func (t *Template) Parameters() []Parameter {
	var list []Parameter
	for _, p := range t.params {
		list = append(list, p.Parameter)
	}
	return list
}

func (t *Template) readParameters(n *node, p *place) error {
	if len(n.keys) > maxParameters {
		return t.fail(n.line, p, "a template has at most %d parameters, this has %d", maxParameters, len(n.keys))
	}
	var errs []error
	for i, k := range n.keys {
		prm, err := t.readParameter(k, n.items[i], p.dot(k.name))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		t.params = append(t.params, prm)
		t.paramOf[prm.Name] = prm
	}
	return joinErrors(errs)
}

func (t *Template) readParameter(k key, n *node, p *place) (*parameter, error) {
	if !alphanumeric.MatchString(k.name) {
		return nil, t.fail(k.line, p, "a parameter name has 1 to 255 letters and digits")
	}
	if n.kind != kindObject {
		return nil, t.fail(k.line, p, "a parameter is an object, not %s", n.kind)
	}
	prm := &parameter{Parameter: Parameter{Name: k.name, Line: k.line}}
	for i, pk := range n.keys {
		if err := t.readParameterKey(prm, pk, n.items[i], p.dot(pk.name)); err != nil {
			return nil, err
		}
	}
	if prm.Type == "" {
		return nil, t.fail(k.line, p, "the parameter has no Type")
	}
	prm.HasDefault = prm.def != nil
	if prm.HasDefault && !prm.NoEcho {
		prm.Default = prm.def.text
	}
	return prm, nil
}

func (t *Template) readParameterKey(prm *parameter, k key, v *node, p *place) error {
	if k.name == "AllowedValues" {
		if v.kind != kindList || slices.ContainsFunc(v.items, func(n *node) bool { return !n.scalar() }) {
			return t.fail(v.line, p, "it is a list of strings")
		}
		prm.allowed = v.items
		return nil
	}
	if !v.scalar() {
		return t.fail(k.line, p, "it is a string or a number, not %s", v.kind)
	}
	switch k.name {
	case "Type":
		prm.Type = v.text
		if !parameterType(v.text) {
			return t.fail(v.line, p, "%s is not a parameter type", v.show())
		}
	case "Default":
		prm.def = v
	case "Description":
		prm.Description = v.text
	case "ConstraintDescription":
		prm.constraint = v.text
	case "NoEcho":
		b, err := strconv.ParseBool(strings.ToLower(v.text))
		if err != nil {
			return t.fail(v.line, p, "%s is not true or false", v.show())
		}
		prm.NoEcho = b
	case "AllowedPattern":
		// Java's regular expressions have look-around, which Go's have not: such a pattern is reported, not refused.
		re, err := regexp.Compile(`^(?:` + v.text + `)$`)
		if err != nil {
			t.notes = append(t.notes, Note{v.line, "the AllowedPattern of parameter " + prm.Name + " is not checked: it cannot be read here"})
		}
		prm.pattern = re
	case "MinLength", "MaxLength", "MinValue", "MaxValue":
		if _, err := strconv.ParseFloat(v.text, 64); err != nil {
			return t.fail(v.line, p, "%s is not a number", v.show())
		}
		*map[string]**node{"MinLength": &prm.minLen, "MaxLength": &prm.maxLen, "MinValue": &prm.minValue, "MaxValue": &prm.maxValue}[k.name] = v
	default:
		return t.fail(k.line, p, "a parameter has no such property")
	}
	return nil
}

func parameterType(s string) bool {
	return s == "String" || s == "Number" || s == "CommaDelimitedList" || s == "List<Number>" || s == "List<String>" || strings.HasPrefix(s, "AWS::") ||
		strings.HasPrefix(s, "List<AWS::") && strings.HasSuffix(s, ">")
}

func (p *parameter) list() bool {
	return p.Type == "CommaDelimitedList" || strings.HasPrefix(p.Type, "List<")
}

// ssm says that the value is the name of an SSM parameter, whose content nothing here can know.
func (p *parameter) ssm() bool { return strings.HasPrefix(p.Type, "AWS::SSM::Parameter::Value<") }

// parameterValues checks what the user gave against the declarations and gives each parameter its value. All
// complaints come together: unknown names, all missing ones in one sentence, and each value that breaks its constraint.
func (t *Template) parameterValues(given map[string]string) (map[string]*node, error) {
	values := make(map[string]*node, len(t.params))
	var errs []error
	var missing []string
	for _, p := range t.params {
		s, ok := given[p.Name]
		switch {
		case ok:
		case p.def != nil:
			s = p.def.text
		default:
			missing = append(missing, p.Name)
			continue
		}
		if err := p.check(s); err != nil {
			errs = append(errs, t.fail(p.Line, at("Parameters").dot(p.Name), "%s", err))
			continue
		}
		values[p.Name] = p.value(s)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if t.paramOf[name] == nil {
			errs = append(errs, t.fail(0, nil, "the template has no parameter %q; it has %s", clip(name), t.parameterNames()))
		}
	}
	if len(missing) > 0 {
		errs = append(errs, t.fail(0, nil, "these parameters have no default and need a value: %s", strings.Join(missing, ", ")))
	}
	return values, joinErrors(errs)
}

func (t *Template) parameterNames() string {
	var names []string
	for _, p := range t.params {
		names = append(names, p.Name)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func splitList(s string) []string {
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

func (p *parameter) value(s string) *node {
	if !p.list() {
		return &node{kind: kindString, text: s, line: p.Line, secret: p.NoEcho}
	}
	n := &node{kind: kindList, line: p.Line, secret: p.NoEcho}
	for _, part := range splitList(s) {
		n.items = append(n.items, &node{kind: kindString, text: part, line: p.Line, secret: p.NoEcho})
	}
	return n
}

// check tests one value; a list is tested element by element, as CloudFormation does.
func (p *parameter) check(s string) error {
	parts := []string{s}
	if p.list() {
		parts = splitList(s)
	}
	for _, part := range parts {
		if why := p.violation(part); why != "" {
			shown := strconv.Quote(clip(part))
			if p.NoEcho {
				shown = "the value (not shown)"
			}
			if p.constraint != "" {
				why += ": " + p.constraint
			}
			return fmt.Errorf("%s %s", shown, why)
		}
	}
	return nil
}

// decimal keeps out what ParseFloat also reads: hexadecimal, NaN, Inf and digit separators.
var decimal = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

func (p *parameter) violation(s string) string {
	if p.Type == "Number" || p.Type == "List<Number>" {
		v, err := strconv.ParseFloat(s, 64)
		switch {
		case err != nil || !decimal.MatchString(s):
			return "is not a number"
		case p.minValue != nil && v < number(p.minValue):
			return "is less than " + p.minValue.text
		case p.maxValue != nil && v > number(p.maxValue):
			return "is more than " + p.maxValue.text
		}
	}
	n := float64(utf8.RuneCountInString(s))
	switch {
	case !utf8.ValidString(s):
		return "is not valid UTF-8"
	case p.minLen != nil && n < number(p.minLen):
		return "has fewer than " + p.minLen.text + " characters"
	case p.maxLen != nil && n > number(p.maxLen):
		return "has more than " + p.maxLen.text + " characters"
	case p.pattern != nil && !p.pattern.MatchString(s):
		return "does not match its AllowedPattern"
	case len(p.allowed) > 0 && !slices.ContainsFunc(p.allowed, func(a *node) bool { return a.text == s }):
		if p.NoEcho {
			return "is not one of the AllowedValues"
		}
		var all []string
		for _, a := range p.allowed {
			all = append(all, clip(a.text))
		}
		return "is not one of " + strings.Join(all, ", ")
	}
	return ""
}

// number is the value of a bound that readParameterKey has already checked.
func number(n *node) float64 {
	v, _ := strconv.ParseFloat(n.text, 64) // checked when it was read
	return v
}
