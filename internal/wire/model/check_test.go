package model

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
)

func mustCompile(p string) *regexp.Regexp { return regexp.MustCompile(`\A(?s:` + p + `)\z`) }

const namePattern = `[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*`

// spec/workflows §1.5: the grammar of violations, form by form.
func TestCheckMessages(t *testing.T) {
	long := strings.Repeat("x", 256)
	one := "1 validation error detected: "
	keyRules := "[Member must have length less than or equal to 255, Member must have length greater than or equal to 1, " +
		"Member must satisfy regular expression pattern: " + namePattern + "]"
	for _, c := range []struct {
		name, op string
		in       any
		want     string
	}{
		{"null", "StartWorkflowRun", &glue.StartWorkflowRunInput{},
			one + "Value null at 'name' failed to satisfy constraint: Member must not be null"},
		{"short", "StartWorkflowRun", &glue.StartWorkflowRunInput{Name: aws.String("")},
			one + "Value '' at 'name' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"long", "StartWorkflowRun", &glue.StartWorkflowRunInput{Name: &long},
			one + "Value '" + long + "' at 'name' failed to satisfy constraint: Member must have length less than or equal to 255"},
		{"pattern", "StartWorkflowRun", &glue.StartWorkflowRunInput{Name: aws.String("a\nb")},
			one + "Value 'a\nb' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: " + namePattern},
		{"map key", "StartWorkflowRun", &glue.StartWorkflowRunInput{Name: aws.String("w"), RunProperties: map[string]string{"": "v", "k": ""}},
			one + "Value '{=v, k=}' at 'runProperties' failed to satisfy constraint: Map keys must satisfy constraint: " + keyRules},
		{"several", "StopWorkflowRun", &glue.StopWorkflowRunInput{RunId: aws.String("")},
			"2 validation errors detected: Value null at 'name' failed to satisfy constraint: Member must not be null; " +
				"Value '' at 'runId' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"enum", "CreateTrigger", &glue.CreateTriggerInput{Name: aws.String("t"), Type: "BOGUS", Actions: []types.Action{}},
			one + "Value 'BOGUS' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [SCHEDULED, CONDITIONAL, ON_DEMAND, EVENT]"},
		{"enum left out", "CreateTrigger", &glue.CreateTriggerInput{Name: aws.String("t"), Actions: []types.Action{}},
			one + "Value null at 'type' failed to satisfy constraint: Member must not be null"},
		{"list element", "CreateTrigger", &glue.CreateTriggerInput{Name: aws.String("t"), Type: "ON_DEMAND",
			Actions: []types.Action{{JobName: aws.String("j")}, {JobName: aws.String(""), Timeout: aws.Int32(0)}}},
			"2 validation errors detected: Value '' at 'actions.2.member.jobName' failed to satisfy constraint: Member must have length greater than or equal to 1; " +
				"Value '0' at 'actions.2.member.timeout' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"nested enum", "CreateTrigger", &glue.CreateTriggerInput{Name: aws.String("t"), Type: "CONDITIONAL", Actions: []types.Action{},
			Predicate: &types.Predicate{Conditions: []types.Condition{{}, {CrawlState: "DONE"}}}},
			one + "Value 'DONE' at 'predicate.conditions.2.member.crawlState' failed to satisfy constraint: " +
				"Member must satisfy enum value set: [RUNNING, CANCELLING, CANCELLED, SUCCEEDED, FAILED, ERROR]"},
		{"number", "ListTriggers", &glue.ListTriggersInput{MaxResults: aws.Int32(1000)},
			one + "Value '1000' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 200"},
		{"text elements", "BatchGetWorkflows", &glue.BatchGetWorkflowsInput{Names: []string{"a", ""}},
			one + "Value '' at 'names.2.member' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"empty list", "BatchGetWorkflows", &glue.BatchGetWorkflowsInput{Names: []string{}},
			one + "Value '[]' at 'names' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"tag value", "TagResource", &glue.TagResourceInput{ResourceArn: aws.String("arn:aws:glue:eu-west-1:1:job/j"),
			TagsToAdd: map[string]string{"k": long + "y"}},
			one + "Value '{k=" + long + "y}' at 'tagsToAdd' failed to satisfy constraint: Map value must satisfy constraint: " +
				"[Member must have length less than or equal to 256, Member must have length greater than or equal to 0]"},
		{"sensitive", "CreateConnection", &glue.CreateConnectionInput{ConnectionInput: &types.ConnectionInput{
			Name: aws.String("c"), ConnectionType: "JDBC", ConnectionProperties: map[string]string{},
			AuthenticationConfiguration: &types.AuthenticationConfigurationInput{
				BasicAuthenticationCredentials: &types.BasicAuthenticationCredentials{Password: aws.String(strings.Repeat("p", 600))}}}},
			one + "Value at 'connectionInput.authenticationConfiguration.basicAuthenticationCredentials.password' failed to satisfy constraint: " +
				"Member must have length less than or equal to 512"},
		{"structures in a map", "CreateJob", &glue.CreateJobInput{Name: aws.String("j"), Role: aws.String("r"), Command: &types.JobCommand{},
			CodeGenConfigurationNodes: map[string]types.CodeGenConfigurationNode{"n1": {Spigot: &types.Spigot{Name: aws.String("s"), Inputs: []string{"i"}}}}},
			one + "Value null at 'codeGenConfigurationNodes.n1.member.spigot.path' failed to satisfy constraint: Member must not be null"},
		{"union", "CreateTableOptimizer", &glue.CreateTableOptimizerInput{CatalogId: aws.String("1"), DatabaseName: aws.String("d"), TableName: aws.String("t"),
			Type: "compaction", TableOptimizerConfiguration: &types.TableOptimizerConfiguration{
				VpcConfiguration: &types.TableOptimizerVpcConfigurationMemberGlueConnectionName{Value: ""}}},
			one + "Value '' at 'tableOptimizerConfiguration.vpcConfiguration.glueConnectionName' failed to satisfy constraint: " +
				"Member must have length greater than or equal to 1"},
	} {
		err := Check(c.op, c.in)
		var v *ValidationError
		if !errors.As(err, &v) {
			t.Errorf("%s: got %v, want a violation", c.name, err)
			continue
		}
		if v.Message != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, v.Message, c.want)
		}
	}
}

// Inputs that real clients send and that have to pass.
func TestCheckAccepts(t *testing.T) {
	emoji := strings.Repeat("🚀", 255) // 255 characters, 1020 bytes
	for _, c := range []struct {
		name, op string
		in       any
	}{
		{"spaces, slash, tab, emoji", "StartWorkflowRun", &glue.StartWorkflowRunInput{Name: aws.String("my flow/1\t"), RunProperties: map[string]string{emoji: "\n"}}},
		{"longest name", "StartWorkflowRun", &glue.StartWorkflowRunInput{Name: &emoji}},
		{"several lines of schema, §1.5", "CreateSchema", &glue.CreateSchemaInput{SchemaName: aws.String("s"), DataFormat: "AVRO",
			SchemaDefinition: aws.String("{\n  \"type\": \"string\"\n}\n")}},
		{"newer Python, jobs §5.1", "CreateJob", &glue.CreateJobInput{Name: aws.String("j"), Role: aws.String("r"),
			WorkerType: "R.8X", Command: &types.JobCommand{PythonVersion: aws.String("3.13")}}},
		{"nothing required", "ListTriggers", &glue.ListTriggersInput{}},
		{"empty description", "CreateWorkflow", &glue.CreateWorkflowInput{Name: aws.String("w"), Description: aws.String("")}},
	} {
		if err := Check(c.op, c.in); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A document of bounded size answers any request: ten items, values cut.
func TestCheckBoundsItsMessage(t *testing.T) {
	in := &glue.BatchGetWorkflowsInput{Names: make([]string, 1000)}
	in.Names[0] = strings.Repeat("é", 5000)
	err := Check("BatchGetWorkflows", in)
	var v *ValidationError
	if !errors.As(err, &v) || v.Count != 1001 { // the list itself, the long name, 999 empty ones
		t.Fatalf("got %v", err)
	}
	if !strings.HasPrefix(v.Message, "1001 validation errors detected: ") || strings.Count(v.Message, "; ") != maxItems-1 {
		t.Errorf("message: %.200s…", v.Message)
	}
	if len(v.Message) > maxItems*(2*maxShown+400) {
		t.Errorf("message has %d bytes", len(v.Message))
	}
}

func TestCheckRefusesMisuse(t *testing.T) {
	for _, c := range []struct {
		op string
		in any
	}{
		{"NoSuchOperation", &glue.StartWorkflowRunInput{}},
		{"StartWorkflowRun", &glue.StopWorkflowRunInput{}},
		{"StartWorkflowRun", glue.StartWorkflowRunInput{}},
		{"StartWorkflowRun", (*glue.StartWorkflowRunInput)(nil)},
		{"StartWorkflowRun", nil},
	} {
		var v *ValidationError
		if err := Check(c.op, c.in); err == nil || errors.As(err, &v) {
			t.Errorf("Check(%s, %T) = %v, want a plain error", c.op, c.in, err)
		}
	}
}

func TestCheckNumbers(t *testing.T) {
	for v, want := range map[float64]bool{0: true, 1: true, 100: true, 100.5: false, -1: false, math.NaN(): false, math.Inf(1): false} {
		in := &glue.StartColumnStatisticsTaskRunInput{DatabaseName: aws.String("d"), TableName: aws.String("t"), Role: aws.String("r"), SampleSize: v}
		if err := Check("StartColumnStatisticsTaskRun", in); (err == nil) != want {
			t.Errorf("SampleSize %v: %v", v, err)
		}
	}
}

func startInput() *glue.StartWorkflowRunInput {
	return &glue.StartWorkflowRunInput{Name: aws.String("nightly-etl"),
		RunProperties: map[string]string{"date": "2026-01-31", "bucket": "landing", "full": "false"}}
}

func BenchmarkCheckStartWorkflowRun(b *testing.B) {
	in := startInput()
	b.ReportAllocs()
	for b.Loop() {
		if err := Check("StartWorkflowRun", in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckCreateTrigger(b *testing.B) {
	in := &glue.CreateTriggerInput{Name: aws.String("t"), Type: "CONDITIONAL", WorkflowName: aws.String("w"), Predicate: &types.Predicate{Logical: "AND"}}
	for i := range 10 {
		name := aws.String(fmt.Sprintf("job-%d", i))
		in.Actions = append(in.Actions, types.Action{JobName: name, Timeout: aws.Int32(10), Arguments: map[string]string{"--a": "b"}})
		in.Predicate.Conditions = append(in.Predicate.Conditions, types.Condition{JobName: name, LogicalOperator: "EQUALS", State: "SUCCEEDED"})
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := Check("CreateTrigger", in); err != nil {
			b.Fatal(err)
		}
	}
}
