package template

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	const good = "Resources: {W: {Type: AWS::Glue::Workflow}}"
	const goodJSON = `{"Resources": {"W": {"Type": "AWS::Glue::Workflow"}}}`
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string // file, or part of the error
	}{
		{"template first", map[string]string{"template.yaml": good, "other.yaml": good, "x.template.json": goodJSON}, "template.yaml"},
		{"yml", map[string]string{"template.yml": good}, "template.yml"},
		{"cdk", map[string]string{"S.template.json": goodJSON, "manifest.json": "{}", "tree.json": "{}"}, "S.template.json"},
		{"only one with Resources", map[string]string{"a.yaml": "x: 1", "b.yaml": good, "c.json": "[1]", "d.txt": good}, "b.yaml"},
		{"broken but meant", map[string]string{"b.yaml": good + "\n  }"}, "b.yaml:1: it is not valid YAML"},
		{"two named", map[string]string{"template.yaml": good, "template.json": goodJSON}, "holds several templates"},
		{"two stacks", map[string]string{"A.template.json": goodJSON, "B.template.json": goodJSON}, "A.template.json, "},
		{"two others", map[string]string{"a.yaml": good, "b.yaml": good}, "name the one to use"},
		{"none", map[string]string{"a.txt": good, "sub/template.yaml": good}, "holds no template.yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := write(t, t.TempDir(), c.files)
			tmpl, err := Load(dir)
			if err != nil {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %s", err, c.want)
				}
				return
			}
			if got, _ := filepath.Rel(dir, tmpl.File()); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "absent.yaml")); err == nil || !strings.Contains(err.Error(), "find template") {
		t.Error(err)
	}
	if _, err := Load(os.DevNull); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Error(err)
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"A%d": {"Type": "String"}`, i)
	}
	return b.String()[1:]
}

func TestParseErrors(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c <= 'i'; c++ {
		prev := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+prev+", ", 10), ", ") + "]\n"
	}
	for _, c := range []struct{ name, file, text, want string }{
		{"too large", "t.yaml", strings.Repeat("#", maxBytes+1), "t.yaml: the template is larger than 1048576 bytes"},
		{"empty", "t.yaml", "", "t.yaml: the template is empty"},
		{"scalar", "t.yaml", "hello", "t.yaml:1: a template is an object, this is a string"},
		{"duplicate key", "t.yaml", "Resources:\n  A: {Type: x}\n  A: {Type: y}", `t.yaml:3: Resources: the key "A" stands twice; the first is at line 2`},
		{"duplicate JSON key", "t.json", "{\n \"Resources\": {},\n \"Resources\": {}}", `t.json:3: it is not valid JSON: duplicate object member name`},
		{"trailing JSON", "t.json", "{}\n{}", "t.json:1: there is something after the end of the JSON value"},
		{"bad JSON", "t.json", "{\n\n\"a\": tru}", "t.json:3: a: it is not valid JSON: invalid character '}' in literal true (expecting 'e')"},
		{"bad UTF-8", "t.json", "{\"a\": \"\xff\"}", "t.json:1: a: it is not valid JSON: invalid UTF-8"},
		{"two documents", "t.yaml", "a: 1\n---\nb: 2", "t.yaml:2: it holds more than one YAML document"},
		{"alias bomb", "t.yaml", bomb, "the template has more than 200000 values once its aliases are expanded"},
		{"alias of itself", "t.yaml", "a: &a [*a]", "t.yaml:1: a"},
		{"deep", "t.json", strings.Repeat("[", 500), "the template is nested deeper than 100 levels"},
		{"deep YAML", "t.yaml", strings.Repeat("[", 500) + strings.Repeat("]", 500), "the template is nested deeper than 100 levels"},
		{"unknown tag", "t.yaml", "Resources:\n  A: !Nope x", "t.yaml:2: Resources.A: the tag !Nope is not known"},
		{"merge", "t.yaml", "a:\n  <<: {b: 1}", "t.yaml:2: a: YAML merge keys (<<) are not part of CloudFormation templates"},
		{"key", "t.yaml", "? [a]\n: b", "t.yaml:1: a key must be a plain word"},
		{"section", "t.yaml", "Resources: {}\nParams: {}", `t.yaml:2: "Params" is not a section of a template; there are ` + strings.Join(sections, ", ")},
		{"no resources", "t.yaml", "Description: x", "t.yaml: the template has no Resources"},
		{"version", "t.yaml", "Resources: {}\nAWSTemplateFormatVersion: 2011-01-01", "t.yaml:2: AWSTemplateFormatVersion: the only format version is 2010-09-09"},
		{"SAM", "t.yaml", "Transform: AWS::Serverless-2016-10-31\nResources: {}", `t.yaml:1: Transform: transforms and macros cannot be run here ("AWS::Serverless-2016-10-31"): apply the template as AWS expands it`},
		{"include", "t.yaml", "Transform: [AWS::LanguageExtensions, {Name: 'AWS::Include'}]\nResources: {}", `t.yaml:1: Transform: transforms and macros cannot be run here ("AWS::Include"): apply the template as AWS expands it`},
		{"for each", "t.yaml", "Resources:\n  Fn::ForEach::X: []", "t.yaml:2: Resources.Fn::ForEach::X: Fn::ForEach::X cannot be expanded here: apply the template as AWS expands it"},
		{"logical id", "t.yaml", "Resources:\n  my-job: {Type: x}", "t.yaml:2: Resources.my-job: a logical id has 1 to 255 letters and digits"},
		{"no type", "t.yaml", "Resources:\n  J: {Properties: {}}", "t.yaml:2: Resources.J: the resource has no Type"},
		{"attribute", "t.yaml", "Resources:\n  J: {Type: x, Propertys: {}}", "t.yaml:2: Resources.J.Propertys: a resource has no such attribute; there are " + strings.Join(resourceKeys, ", ")},
		{"policy", "t.yaml", "Resources:\n  J: {Type: x, DeletionPolicy: Keep}", `t.yaml:2: Resources.J.DeletionPolicy: "Keep" is none of Delete, Retain, RetainExceptOnCreate, Snapshot`},
		{"parameter type", "t.yaml", "Resources: {}\nParameters:\n  A: {Type: Text}", `t.yaml:3: Parameters.A.Type: "Text" is not a parameter type`},
		{"parameter key", "t.yaml", "Resources: {}\nParameters:\n  A: {Type: String, Defalt: x}", "t.yaml:3: Parameters.A.Defalt: a parameter has no such property"},
		{"resources", "t.json", `{"Resources": {` + many(maxResources+1) + `}}`, "t.json:1: Resources: a template has at most 500 resources, this has 501"},
		{"parameters", "t.json", `{"Parameters": {` + many(maxParameters+1) + `}}`, "t.json:1: Parameters: a template has at most 200 parameters, this has 201"},
		{"mapping", "t.yaml", "Resources: {}\nMappings:\n  M: {a: b}", "t.yaml:3: Mappings.M.a: a mapping has two levels of keys"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(c.file, []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// Several mistakes come in one go, each on its line.
func TestErrorsAreCollected(t *testing.T) {
	_, err := evaluate(t, "Resources:\n  A: {Type: AWS::Glue::Job}\n  B: {Type: AWS::Glue::Workflow, Properties: {Nme: x}}\n  C: {Type: AWS::Glue::Workflow, Properties: {Description: !Ref A}}\n")
	want := "t.yaml:2: Resources.A.Properties: the property Command is required for AWS::Glue::Job\n" +
		`t.yaml:3: Resources.B.Properties: there is no property "Nme" here; there are DefaultRunProperties, Description, MaxConcurrentRuns, Name, Tags`
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestProducedTextIsBounded(t *testing.T) {
	expr := "x"
	for range 30 {
		expr = `!Sub ["${a}${a}", {a: ` + expr + `}]`
	}
	_, err := evaluate(t, strings.Replace(body("X"), "X", expr, 1))
	if err == nil {
		_, err = evaluate(t, body(expr))
	}
	if err == nil || !strings.Contains(err.Error(), "functions make more than 16777216 bytes") {
		t.Errorf("got %.300v", err)
	}
}
