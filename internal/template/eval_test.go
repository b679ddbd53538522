package template

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

// options is the environment of every test: one account and region, stack "shop".
func options(params map[string]string) Options {
	return Options{Account: "123456789012", Region: "eu-west-1", Params: params, Prev: NewState("shop", "7d0c")}
}

// golden compares got with testdata/name. To renew a file, remove it and run once; that run fails, so that nobody forgets to look.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	want, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Fatalf("%s was missing and is written: check it and run again", file)
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func describe(t *testing.T, e *Evaluated) string {
	t.Helper()
	var b strings.Builder
	for _, r := range e.Resources {
		b.WriteString(r.Type + " " + r.LogicalID + " " + r.ARN + " needs " + strings.Join(r.DependsOn, ",") + "\n")
		data, err := json.Marshal(r.Input, json.Deterministic(true), json.OmitZeroStructFields(true), jsontext.WithIndent("  "))
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(data, '\n'))
	}
	for _, s := range e.Skipped {
		b.WriteString("skipped " + s.Type + " " + s.LogicalID + "\n")
	}
	for _, n := range e.Notes {
		b.WriteString("note: " + n.Text + "\n")
	}
	for _, o := range e.Outputs {
		b.WriteString("output " + o.Name + " = " + o.Value + "\n")
	}
	return b.String()
}

func TestRealTemplates(t *testing.T) {
	for _, c := range []struct {
		name, dir string
		params    map[string]string
	}{
		{"etl-dev", "testdata/etl", map[string]string{"Password": "hunter2hunter2"}},
		{"etl-prod", "testdata/etl", map[string]string{"Password": "hunter2hunter2", "Stage": "prod", "Tables": "a,b,c"}},
		{"cdk", "testdata/cdk", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			tmpl, err := Load(c.dir)
			if err != nil {
				t.Fatal(err)
			}
			e, err := tmpl.Evaluate(options(c.params))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, c.name+".golden", describe(t, e))
		})
	}
}

// body is a template with one workflow whose Description is the expression under test, which stands at line 40.
func body(expr string) string {
	head := `Parameters:
  P: {Type: String, Default: pv}
  N: {Type: Number, Default: 5}
  L: {Type: CommaDelimitedList, Default: "a, b,c"}
  Secret: {Type: String, NoEcho: true, Default: hidden}
  Ssm: {Type: "AWS::SSM::Parameter::Value<String>", Default: /x}
Mappings:
  M:
    k: {v: mapped, list: [x, y]}
Conditions:
  Yes: !Equals [!Ref P, pv]
  No: !Not [!Condition Yes]
  Num: !Equals [5, "5"]
  Both: !And [!Condition Yes, !Condition Num]
  Either: !Or [!Condition No, !Condition Num]
  Neither: !Or [!Condition No, !Not [!Condition Yes]]
  Mapped: !Equals [!FindInMap [M, k, v], mapped]
Resources:
  Bucket: {Type: AWS::S3::Bucket, Properties: {BucketName: data}}
  Role: {Type: AWS::IAM::Role, Properties: {RoleName: r}}
  Other: {Type: AWS::Foo::Bar}
  Gone: {Type: AWS::SNS::Topic, Condition: No}
  Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: q}}
  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: t}}
  Fn: {Type: AWS::Lambda::Function, Properties: {FunctionName: f}}
  Log: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /l}}
  Db: {Type: AWS::Glue::Database, Properties: {DatabaseInput: {Name: db}}}
  Policy: {Type: AWS::IAM::ManagedPolicy, Properties: {ManagedPolicyName: mp}}
`
	head += strings.Repeat("\n", 36-strings.Count(head, "\n"))
	return head + "  W:\n    Type: AWS::Glue::Workflow\n    Properties:\n      Description: " + expr + "\n"
}

func evaluate(t *testing.T, text string) (*Evaluated, error) {
	t.Helper()
	tmpl, err := Parse("t.yaml", []byte(text))
	if err != nil {
		return nil, err
	}
	return tmpl.Evaluate(options(nil))
}

// Sources: CloudFormation's "Intrinsic function reference"; synthetic values: the table at syntheticKinds.
func TestIntrinsics(t *testing.T) {
	for _, c := range []struct{ expr, want string }{
		{`!Ref P`, "pv"},
		{`{Ref: N}`, "5"},
		{`!Ref AWS::AccountId`, "123456789012"},
		{`!Ref "AWS::Region"`, "eu-west-1"},
		{`!Ref AWS::Partition`, "aws"},
		{`!Ref AWS::StackName`, "shop"},
		{`!Ref AWS::StackId`, "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/7d0c"},
		{`!Ref AWS::URLSuffix`, "amazonaws.com"},
		{`!Join ["-", !Ref AWS::NotificationARNs]`, ""},
		{`!Ref Bucket`, "data"},
		{`!GetAtt Bucket.Arn`, "arn:aws:s3:::data"},
		{`!GetAtt Bucket.RegionalDomainName`, "data.s3.eu-west-1.amazonaws.com"},
		{`!Ref Role`, "r"},
		{`!GetAtt Role.Arn`, "arn:aws:iam::123456789012:role/r"},
		{`{"Fn::GetAtt": Role.Arn}`, "arn:aws:iam::123456789012:role/r"},
		{`!GetAtt [Role, !Join ["", [Ar, n]]]`, "arn:aws:iam::123456789012:role/r"},
		{`!Ref Queue`, "https://sqs.eu-west-1.amazonaws.com/123456789012/q"},
		{`!GetAtt Queue.Arn`, "arn:aws:sqs:eu-west-1:123456789012:q"},
		{`!Ref Topic`, "arn:aws:sns:eu-west-1:123456789012:t"},
		{`!GetAtt Topic.TopicName`, "t"},
		{`!GetAtt Topic.TopicArn`, "arn:aws:sns:eu-west-1:123456789012:t"},
		{`!GetAtt Fn.Arn`, "arn:aws:lambda:eu-west-1:123456789012:function:f"},
		{`!GetAtt Log.Arn`, "arn:aws:logs:eu-west-1:123456789012:log-group:/l:*"},
		{`!Ref Db`, "db"},
		{`!Ref Policy`, "arn:aws:iam::123456789012:policy/mp"},
		{`!Select [0, !Split ["-", !Ref Other]]`, "shop"},
		{`!Select [4, !Split [":", !GetAtt Other.Arn]]`, "123456789012"},
		{`!Select [1, !Split [".", !GetAtt Other.Endpoint.Address]]`, "Endpoint"},
		{`!Sub "${P}/${Role.Arn}/${AWS::Region}/${!P}"`, "pv/arn:aws:iam::123456789012:role/r/eu-west-1/${P}"},
		{`!Sub ["${X}${P}", {X: !Ref N, P: own}]`, "5own"},
		{`!Sub "costs $5 {and} $$"`, "costs $5 {and} $$"},
		{`!Sub ""`, ""},
		{`!Join [",", [a, 1, true, !Ref AWS::NoValue, !Ref P]]`, "a,1,true,pv"},
		{`!Join [":", !Ref L]`, "a:b:c"},
		{`!Select ["2", !Ref L]`, "c"},
		{`!Select [1, !FindInMap [M, k, list]]`, "y"},
		{`!FindInMap [M, !Sub k, v]`, "mapped"},
		{`!FindInMap [M, z, v, {DefaultValue: !Ref P}]`, "pv"},
		{`!If [Yes, a, !Ref Gone]`, "a"},
		{`!If [No, !Ref Gone, !If [Both, b, c]]`, "b"},
		{`!If [Either, x, y]`, "x"},
		{`!If [Neither, x, y]`, "y"},
		{`!If [Mapped, x, y]`, "x"},
		{`!Base64 abc`, "YWJj"},
		{`{"Fn::Base64": !Sub "${P}"}`, "cHY="},
		{`!Join [",", !GetAZs ""]`, "eu-west-1a,eu-west-1b,eu-west-1c"},
		{`!Length [a, b]`, "2"},
		{`!ToJsonString {a: [1, "2", !Ref P], b: true}`, `{"a":[1,"2","pv"],"b":true}`},
		{`012345678901`, "012345678901"},
		{`3.10`, "3.10"},
		{`2024-01-01`, "2024-01-01"},
		{`yes`, "yes"},
	} {
		t.Run(c.expr, func(t *testing.T) {
			e, err := evaluate(t, body(c.expr))
			if err != nil {
				t.Fatal(err)
			}
			last := e.Resources[len(e.Resources)-1].Input.(*glue.CreateWorkflowInput)
			if last.Description == nil || *last.Description != c.want {
				t.Errorf("got %v, want %q", last.Description, c.want)
			}
		})
	}
	e, err := evaluate(t, body(`!If [No, x, !Ref AWS::NoValue]`))
	if err != nil || e.Resources[1].Input.(*glue.CreateWorkflowInput).Description != nil {
		t.Errorf("AWS::NoValue must remove the property: %v", err)
	}
}

// Every refusal names file and line 40, the place, and what is wrong.
func TestIntrinsicErrors(t *testing.T) {
	for _, c := range []struct{ expr, want string }{
		{`!Ref Nope`, `.Ref: "Nope" is neither a parameter nor a resource of this template`},
		{`!Ref AWS::Nope`, `.Ref: "AWS::Nope" is not a pseudo parameter`},
		{`!Ref [a]`, `.Ref: its argument is the name of a parameter or resource`},
		{`!Ref Gone`, `.Ref: the resource Gone does not exist: its condition No is false`},
		{`!Ref Ssm`, `.Ref: parameter Ssm stands for the content of an SSM parameter, which is not known here: declare it as String`},
		{`!Ref L`, `: a single value is needed here, not a list`},
		{`!GetAtt Bucket`, `.Fn::GetAtt: its argument is [resource, attribute]`},
		{`!GetAtt Bucket.Nope`, `.Fn::GetAtt: AWS::S3::Bucket has no attribute "Nope"`},
		{`!GetAtt P.Arn`, `.Fn::GetAtt: "P" is neither a parameter nor a resource of this template`},
		{`!Sub "${Nope}"`, `.Fn::Sub: "Nope" is neither a parameter nor a resource of this template`},
		{`!Sub "${L}"`, `.Fn::Sub: ${L} is not a string`},
		{`!Sub "${P"`, `.Fn::Sub: a ${ has no closing brace`},
		{`!Sub [x]`, `.Fn::Sub: its argument is a string, or [string, {name: value}]`},
		{`!Join [x]`, `.Fn::Join: its argument is [delimiter, list of strings]`},
		{`!Join [x, y]`, `.Fn::Join[1]: a list of strings is needed here`},
		{`!Join [x, [[y]]]`, `.Fn::Join[1][0]: a string is needed here, not a list`},
		{`!Select [3, !Ref L]`, `.Fn::Select: the index "3" is outside the list of 3 elements`},
		{`!Select [-1, !Ref L]`, `.Fn::Select: the index "-1" is outside the list of 3 elements`},
		{`!Split ["", x]`, `.Fn::Split: the delimiter is empty`},
		{`!FindInMap [M, k, z]`, `.Fn::FindInMap: the mapping "M" has no "k", "z"`},
		{`!If [Nope, a, b]`, `.Fn::If[0]: there is no condition "Nope"`},
		{`!If [Yes, a]`, `.Fn::If: its argument is [condition, value if true, value if false]`},
		{`!Equals [a, b]`, `.Fn::Equals: this function stands only in Conditions`},
		{`!ImportValue x`, `.Fn::ImportValue: values of other stacks cannot be imported here: make it a parameter`},
		{`!Transform {Name: x}`, `.Fn::Transform: transforms and macros cannot be run here: apply the template as AWS expands it`},
		{`{"Fn::Nope": 1}`, `.Fn::Nope: the function Fn::Nope is not known here`},
		{`{"Fn::Sub": a, b: c}`, `: Fn::Sub must be the only key of its object`},
		{`!Cidr [a, b]`, `.Fn::Cidr: the function Fn::Cidr is not known here`},
		{`!Ref W`, `.Ref: circular dependency between resources: W → W`},
		{`"{{resolve:ssm:/x}}"`, `: dynamic references ({{resolve:…}}) cannot be resolved here: make it a parameter`},
		{`{a: b}`, `: a single value is needed here, not an object`},
		{`null`, `: null values are not allowed; leave the property out or use AWS::NoValue`},
	} {
		t.Run(c.expr, func(t *testing.T) {
			_, err := evaluate(t, body(c.expr))
			want := "t.yaml:40: Resources.W.Properties.Description" + c.want
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

func TestPropertyConversion(t *testing.T) {
	const tmpl = "Resources:\n  J:\n    Type: AWS::Glue::Job\n    Properties:\n      Role: r\n      Command: {Name: x}\n      "
	for _, c := range []struct{ prop, want string }{
		{`MaxRetries: "3"`, ""}, {`MaxRetries: 3.0`, ""}, {`MaxRetries: 1e1`, ""},
		{`JobRunQueuingEnabled: "True"`, ""}, {`MaxCapacity: ".5"`, ""}, {`GlueVersion: 4.0`, ""}, {`DefaultArguments: {--n: 1, --b: true}`, ""},
		{`MaxRetries: ten`, `.MaxRetries: "ten" is not a whole number of 32 bits`},
		{`MaxRetries: 1.5`, `.MaxRetries: "1.5" is not a whole number of 32 bits`},
		{`Timeout: 3000000000`, `.Timeout: "3000000000" is not a whole number of 32 bits`},
		{`Timeout: 0x10`, `.Timeout: "0x10" is not a whole number of 32 bits`},
		{`MaxCapacity: NaN`, `.MaxCapacity: "NaN" is not a number`},
		{`JobRunQueuingEnabled: yes`, `.JobRunQueuingEnabled: "yes" is not true or false`},
		{`JobRunQueuingEnabled: 1`, `.JobRunQueuingEnabled: "1" is not true or false`},
		{`DefaultArguments: [a]`, `.DefaultArguments: an object of strings is needed here, not a list`},
		{`DefaultArguments: {a: [b]}`, `.DefaultArguments.a: a single value is needed here, not a list`},
		{`Tags: [{Key: a, Value: b}]`, `.Tags: an object of strings is needed here, not a list; the Tags of Glue resources are {key: value}, not a list of Key and Value`},
		{`Connections: {Connections: a}`, `.Connections.Connections: a list is needed here, not "a"`},
		{`ExecutionProperty: 3`, `.ExecutionProperty: an object is needed here, not "3"`},
		{`ExecutionProperty: {Max: 3, Min: 1}`, `.ExecutionProperty: there is no property "Max", "Min" here; there are MaxConcurrentRuns`},
		{`Name: ""`, `.Name: a name is a string of at least one character`},
	} {
		t.Run(c.prop, func(t *testing.T) {
			_, err := evaluate(t, tmpl+c.prop+"\n")
			want := "t.yaml:7: Resources.J.Properties" + c.want
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case c.want != "" && (err == nil || err.Error() != want):
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
	_, err := evaluate(t, tmpl+"SourceControlDetails: {}\n      Rolle: x\n")
	if err == nil || !strings.HasPrefix(err.Error(), `t.yaml:7: Resources.J.Properties: there is no property "SourceControlDetails", "Rolle" here; there are AllocatedCapacity, Command,`) {
		t.Errorf("unknown properties must be named together: %v", err)
	}
	_, err = evaluate(t, "Resources:\n  J:\n    Type: AWS::Glue::Trigger\n    Properties: {Type: ON_DEMAND}\n")
	if err == nil || err.Error() != "t.yaml:2: Resources.J.Properties: the property Actions is required for AWS::Glue::Trigger" {
		t.Errorf("got %v", err)
	}
}

func TestParameters(t *testing.T) {
	const tmpl = `Parameters:
  A: {Type: String, AllowedPattern: "[a-z]+", MinLength: 2, MaxLength: 4, ConstraintDescription: two to four letters, Default: ab}
  B: {Type: Number, MinValue: 1, MaxValue: 3, Default: 2}
  C: {Type: List<Number>, Default: "1,2"}
  D: {Type: String, NoEcho: true, AllowedValues: [swordfish, marlin], Default: marlin}
  E: {Type: String}
  F: {Type: String, AllowedPattern: "(?=x)y"}
Resources: {W: {Type: AWS::Glue::Workflow}}
`
	for _, c := range []struct {
		params map[string]string
		want   []string
	}{
		{map[string]string{"E": "", "F": "z", "A": "abcd", "B": "3", "C": "1, 2.5", "D": "swordfish"}, nil},
		{nil, []string{"t.yaml: these parameters have no default and need a value: E, F"}},
		{map[string]string{"E": "e", "F": "f", "Z": "1"}, []string{`t.yaml: the template has no parameter "Z"; it has A, B, C, D, E, F`}},
		{map[string]string{"E": "e", "F": "f", "A": "a"}, []string{`t.yaml:2: Parameters.A: "a" has fewer than 2 characters: two to four letters`}},
		{map[string]string{"E": "e", "F": "f", "A": "abcde"}, []string{`t.yaml:2: Parameters.A: "abcde" has more than 4 characters: two to four letters`}},
		{map[string]string{"E": "e", "F": "f", "A": "ab1"}, []string{`t.yaml:2: Parameters.A: "ab1" does not match its AllowedPattern: two to four letters`}},
		{map[string]string{"E": "e", "F": "f", "B": "4"}, []string{`t.yaml:3: Parameters.B: "4" is more than 3`}},
		{map[string]string{"E": "e", "F": "f", "B": "0.5"}, []string{`t.yaml:3: Parameters.B: "0.5" is less than 1`}},
		{map[string]string{"E": "e", "F": "f", "B": "0x2"}, []string{`t.yaml:3: Parameters.B: "0x2" is not a number`}},
		{map[string]string{"E": "e", "F": "f", "C": "1,x"}, []string{`t.yaml:4: Parameters.C: "x" is not a number`}},
		{map[string]string{"E": "e", "F": "f", "D": "tuna"}, []string{`t.yaml:5: Parameters.D: the value (not shown) is not one of the AllowedValues`}},
		{map[string]string{"E": "e", "B": "9"}, []string{`t.yaml:3: Parameters.B: "9" is more than 3`, "t.yaml: these parameters have no default and need a value: F"}},
	} {
		tm, err := Parse("t.yaml", []byte(tmpl))
		if err != nil {
			t.Fatal(err)
		}
		_, err = tm.Evaluate(options(c.params))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if want := strings.Join(c.want, "\n"); got != want {
			t.Errorf("%v:\ngot  %s\nwant %s", c.params, got, want)
		}
		if len(tm.notes) != 1 || !strings.Contains(tm.notes[0].Text, "AllowedPattern of parameter F is not checked") {
			t.Errorf("notes %v", tm.notes)
		}
		if ps := tm.Parameters(); ps[3].Default != "" || !ps[3].HasDefault || ps[0].Default != "ab" {
			t.Errorf("defaults %+v", ps)
		}
	}
}

// A NoEcho value shows in no error, output, state or note.
func TestNoEchoNeverShows(t *testing.T) {
	for _, prop := range []string{"MaxRetries: !Ref S", "Timeout: !Sub 'x${S}'", "Name: !Ref S", "DefaultArguments: !Split [',', !Ref S]",
		"MaxRetries: !Select [0, !Split [q, !Ref S]]", "Connections: !Join ['', [!Ref S]]", "JobRunQueuingEnabled: !Base64 {Ref: S}",
		"DefaultArguments: !ToJsonString {a: !Ref S}", "MaxRetries: !Select [!Ref S, [a]]"} {
		_, err := evaluate(t, "Parameters: {S: {Type: String, NoEcho: 'true', Default: hunter2}}\nResources:\n  J:\n    Type: AWS::Glue::Job\n    Properties:\n      Role: r\n      Command: {}\n      "+prop+"\n")
		if err == nil || strings.Contains(err.Error(), "unter") || strings.Contains(err.Error(), "aHVudGVyMg") {
			t.Errorf("%s: %v", prop, err)
		}
	}
}

func TestOrderAndCycles(t *testing.T) {
	order := func(text string) string {
		e, err := evaluate(t, text)
		if err != nil {
			return err.Error()
		}
		var ids []string
		for _, r := range e.Resources {
			ids = append(ids, r.LogicalID)
		}
		return strings.Join(ids, " ")
	}
	w := func(id, rest string) string { return "  " + id + ": {Type: AWS::Glue::Workflow, " + rest + "}\n" }
	for _, c := range []struct{ text, want string }{
		{w("C", "x: 0") + w("A", ""), "t.yaml:2: Resources.C.x: a resource has no such attribute; there are " + strings.Join(resourceKeys, ", ")},
		{w("C", "") + w("B", "") + w("A", ""), "C B A"},
		{w("C", "DependsOn: A") + w("B", "") + w("A", ""), "A C B"},
		{w("C", "Properties: {Description: !Ref A}") + w("B", "DependsOn: [C]") + w("A", "DependsOn: D") + w("D", ""), "D A C B"},
		{w("A", "DependsOn: B") + w("B", "DependsOn: C") + w("C", "DependsOn: B"), "t.yaml:4: Resources.C.DependsOn: circular dependency between resources: B → C → B"},
		{w("A", "DependsOn: Z"), `t.yaml:2: Resources.A.DependsOn: "Z" is not a resource of this template`},
		{w("A", "Properties: {Name: x}") + w("B", "Properties: {Name: x}"), `t.yaml:3: Resources.B: it has the same name "x" as A at line 2`},
		{w("A", "Properties: {Description: !Ref S}") + "  S: {Type: AWS::X::Y, DependsOn: B}\n" + w("B", ""), "B A"},
	} {
		if got := order("Resources:\n" + c.text); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.text, got, c.want)
		}
	}
	got := order("Conditions:\n  A: !Not [!Condition B]\n  B: !Not [!Condition A]\nResources: {W: {Type: AWS::Glue::Workflow, Condition: A}}\n")
	if want := `t.yaml:3: Conditions.B.Fn::Not[0].Condition: the condition "A" refers to itself`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWorkflowAndBucketLookup(t *testing.T) {
	e, err := evaluate(t, "Resources:\n  A: {Type: AWS::Glue::Workflow, Properties: {Name: first}}\n  B: {Type: AWS::Glue::Workflow, Properties: {Name: second}}\n  Data: {Type: AWS::S3::Bucket}\n")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.Workflow("B"); got != "second" || err != nil {
		t.Errorf("by logical id: %q %v", got, err)
	}
	if got, err := e.Workflow("first"); got != "first" || err != nil {
		t.Errorf("by name: %q %v", got, err)
	}
	if _, err := e.Workflow(""); err == nil || err.Error() != "t.yaml has several workflows (first, second): name one" {
		t.Error(err)
	}
	if _, err := e.Workflow("C"); err == nil || err.Error() != `t.yaml has no workflow "C"; it has first, second` {
		t.Error(err)
	}
	if got, err := e.Bucket("@Data"); !bucketFolder.MatchString(got) || !strings.HasPrefix(got, "shop-data-") || err != nil {
		t.Errorf("generated bucket name %q %v", got, err)
	}
	if _, err := e.Bucket("@A"); err == nil {
		t.Error("a workflow is no bucket")
	}
	if got, _ := e.Bucket("plain"); got != "plain" {
		t.Errorf("plain bucket %q", got)
	}
}
