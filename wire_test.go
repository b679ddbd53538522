package tenon

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// raw sends a body of the Glue API as root and checks what every answer has
// (spec/workflows §1.2, §1.3).
func (w *world) raw(operation, body string) (status int, answer string) {
	w.t.Helper()
	res, out := w.send(w.signed(w.call(operation, body), "glue"))
	if got := res.Header.Get("Content-Type"); got != "application/x-amz-json-1.1" {
		w.t.Errorf("%s: content type %q", operation, got)
	}
	if id := res.Header.Get("X-Amzn-Requestid"); !uuid.MatchString(id) {
		w.t.Errorf("%s: request id %q", operation, id)
	}
	if res.ContentLength != int64(len(out)) {
		w.t.Errorf("%s: length %d of %d bytes", operation, res.ContentLength, len(out))
	}
	return res.StatusCode, string(out)
}

// Bodies as they are on the wire: numbers and booleans of zero are written, what
// is absent is left out, times are seconds with milliseconds, and operations
// without output answer {} (spec/workflows §1.2, spec/jobs §1.1, §2.1, §2.5).
func TestRawReplies(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.advance(1500 * time.Millisecond)
		id := ""
		for _, c := range []struct{ operation, body, want string }{
			{"CreateWorkflow", `{"Name":"W","Unknown":[1]}`, `{"Name":"W"}`},
			{"GetWorkflow", `{"Name":"W"}`, `{"Workflow":{"CreatedOn":946684801.5,"LastModifiedOn":946684801.5,"Name":"W"}}`},
			{"GetWorkflow", `{"Name":"W","IncludeGraph":true}`, `{"Workflow":{"CreatedOn":946684801.5,"Graph":{"Edges":[],"Nodes":[]},"LastModifiedOn":946684801.5,"Name":"W"}}`},
			{"ListWorkflows", `{}`, `{"Workflows":["W"]}`},
			{"GetWorkflowRuns", `{"Name":"W"}`, `{"Runs":[]}`},
			{"BatchGetWorkflows", `{"Names":["V"]}`, `{"MissingWorkflows":["V"],"Workflows":[]}`},
			{"CreateJob", `{"Name":"J","Role":"r","Command":{"Name":"pythonshell","ScriptLocation":"s3://b/k"}}`, `{"Name":"J"}`},
			{"GetJob", `{"JobName":"J"}`, `{"Job":{"AllocatedCapacity":0,"Command":{"Name":"pythonshell","PythonVersion":"3","ScriptLocation":"s3://b/k"},"CreatedOn":946684801.5,"ExecutionProperty":{"MaxConcurrentRuns":1},"GlueVersion":"1.0","JobMode":"SCRIPT","JobRunQueuingEnabled":false,"LastModifiedOn":946684801.5,"MaxCapacity":0.0625,"MaxRetries":0,"Name":"J","Role":"r","Timeout":2880}}`},
			{"StartJobRun", `{"JobName":"J"}`, `{"JobRunId":"ID"}`},
			{"GetJobRun", `{"JobName":"J","RunId":"ID"}`, `{"JobRun":{"AllocatedCapacity":0,"Attempt":0,"ExecutionTime":0,"GlueVersion":"1.0","Id":"ID","JobMode":"SCRIPT","JobName":"J","JobRunQueuingEnabled":false,"JobRunState":"RUNNING","LastModifiedOn":946684801.5,"LogGroupName":"/aws-glue/python-jobs","MaxCapacity":0.0625,"PredecessorRuns":[],"StartedOn":946684801.5,"Timeout":2880}}`},
			{"BatchStopJobRun", `{"JobName":"J","JobRunIds":["ID"]}`, `{"Errors":[],"SuccessfulSubmissions":[{"JobName":"J","JobRunId":"ID"}]}`},
			{"CreateTrigger", `{"Name":"T","Type":"ON_DEMAND","WorkflowName":"W","Actions":[{"JobName":"gone"}]}`, `{"Name":"T"}`},
			{"GetTrigger", `{"Name":"T"}`, `{"Trigger":{"Actions":[{"JobName":"gone"}],"Name":"T","State":"CREATED","Type":"ON_DEMAND","WorkflowName":"W"}}`},
			{"GetTags", `{"ResourceArn":"arn:aws:glue:us-east-1:123456789012:trigger/T"}`, `{"Tags":{}}`},
			{"TagResource", `{"ResourceArn":"arn:aws:glue:us-east-1:123456789012:trigger/T","TagsToAdd":{"a":""}}`, `{}`},
			{"GetTags", `{"ResourceArn":"arn:aws:glue:us-east-1:123456789012:trigger/T"}`, `{"Tags":{"a":""}}`},
			{"StartWorkflowRun", `{"Name":"W"}`, `{"RunId":"ID"}`},
			{"GetWorkflowRun", `{"Name":"W","RunId":"ID"}`, `{"Run":{"CompletedOn":946684801.5,"Name":"W","StartedOn":946684801.5,"Statistics":{"ErroredActions":1,"FailedActions":0,"RunningActions":0,"StoppedActions":0,"SucceededActions":0,"TimeoutActions":0,"TotalActions":1,"WaitingActions":0},"Status":"COMPLETED","WorkflowRunId":"ID","WorkflowRunProperties":{}}}`},
			{"PutWorkflowRunProperties", `{"Name":"W","RunId":"ID","RunProperties":{}}`, `{}`},
			{"GetWorkflowRunProperties", `{"Name":"W","RunId":"ID"}`, `{"RunProperties":{}}`},
			{"DeleteWorkflow", `{"Name":"never was"}`, `{"Name":"never was"}`},
			{"DeleteTrigger", `{"Name":"never was"}`, `{"Name":"never was"}`},
		} {
			status, got := w.raw(c.operation, strings.ReplaceAll(c.body, "ID", id))
			if status != http.StatusOK {
				w.t.Errorf("%s: %d %s", c.operation, status, got)
			}
			if strings.Contains(c.want, `Id":"ID"}`) && !strings.Contains(c.body, "ID") {
				id = regexp.MustCompile(`(jr|wr)_[0-9a-f]{64}`).FindString(got)
			}
			if id != "" {
				got = strings.ReplaceAll(got, id, "ID")
			}
			if got = sorted(w.t, got); got != c.want {
				w.t.Errorf("%s:\ngot  %s\nwant %s", c.operation, got, c.want)
			}
			w.settle()
		}
	})
}

// sorted orders the members of a JSON text by name.
func sorted(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	out, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Errors of operations carry Message, those of the front end message; bad input
// of every kind changes nothing and panics nowhere (spec/workflows §1.3–§1.6).
func TestRawErrors(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		before := w.dump()
		deep := strings.Repeat(`{"Name":`, 20000)
		for _, c := range []struct {
			what, operation, body string
			want                  string // a pattern of the whole body
		}{
			{"modelled", "GetWorkflow", `{"Name":"nowhere"}`, `\{"__type":"EntityNotFoundException","Message":"Entity not found"\}`},
			{"required", "GetWorkflow", `{}`, `\{"__type":"ValidationException","message":"1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null"\}`},
			{"two at once", "CreateTrigger", `{"Name":"","Type":"X","Actions":[]}`, `\{"__type":"ValidationException","message":"2 validation errors detected: .*'name'.*; .*'type' failed to satisfy constraint: Member must satisfy enum value set: \[.*\]"\}`},
			{"nested", "CreateTrigger", `{"Name":"x","Type":"CONDITIONAL","Actions":[{"JobName":"` + strings.Repeat("j", 256) + `"}]}`, `\{"__type":"ValidationException","message":".* at 'actions.1.member.jobName' failed to satisfy constraint: Member must have length less than or equal to 255"\}`},
			{"null is absent", "GetWorkflow", `{"Name":null}`, `.*Value null at 'name'.*`},
			{"no JSON", "GetWorkflow", `name=W`, `\{"__type":"SerializationException","message":".+"\}`},
			{"half", "GetWorkflow", `{"Name":"W"`, `\{"__type":"SerializationException","message":".+"\}`},
			{"nothing", "GetWorkflow", ``, `.*Value null at 'name'.*`},
			{"two values", "GetWorkflow", `{"Name":"W"}{}`, `\{"__type":"SerializationException","message":".+"\}`},
			{"a list", "GetWorkflow", `["W"]`, `\{"__type":"SerializationException","message":".+"\}`},
			{"wrong type", "GetWorkflow", `{"Name":7}`, `\{"__type":"SerializationException","message":"The value at Name .+"\}`},
			{"fraction", "ListWorkflows", `{"MaxResults":1.5}`, `\{"__type":"SerializationException","message":"The value at MaxResults .+"\}`},
			{"huge number", "ListWorkflows", `{"MaxResults":1e400}`, `\{"__type":"SerializationException","message":"The value at MaxResults .+"\}`},
			{"bad UTF-8", "GetWorkflow", "{\"Name\":\"\xff\"}", `\{"__type":"SerializationException","message":".+"\}`},
			{"half a surrogate", "GetWorkflow", `{"Name":"\ud800"}`, `\{"__type":"SerializationException","message":".+"\}`},
			{"a member twice", "GetWorkflow", `{"Name":"W","Name":"V"}`, `\{"__type":"SerializationException","message":".+"\}`},
			{"deep", "GetWorkflow", deep, `\{"__type":"SerializationException","message":".+"\}`},
			{"deep and unknown", "GetWorkflow", `{"Name":"nowhere","X":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, `\{"__type":"SerializationException","message":".+"\}`},
			{"other case", "GetWorkflow", `{"name":"W"}`, `.*Value null at 'name'.*`},
			{"unknown operation", "MakeCoffee", `{}`, `\{"__type":"UnknownOperationException"\}`},
			{"operation of another case", "getworkflow", `{"Name":"W"}`, `\{"__type":"UnknownOperationException"\}`},
			{"path-like name", "GetWorkflow", `{"Name":"../../etc/passwd"}`, `\{"__type":"EntityNotFoundException","Message":"Entity not found"\}`},
			{"path-like run", "GetJobRun", `{"JobName":"J","RunId":"../../x"}`, `\{"__type":"EntityNotFoundException","Message":"Job run not found."\}`},
			{"line break in a name", "CreateWorkflow", `{"Name":"a\nb"}`, `\{"__type":"ValidationException","message":".*regular expression pattern.*"\}`},
			{"NUL in a name", "CreateWorkflow", `{"Name":"a\u0000b"}`, `\{"__type":"ValidationException","message":".*regular expression pattern.*"\}`},
			{"refused", "CreateDatabase", `{"DatabaseInput":{"Name":"d"}}`, `\{"__type":"UnsupportedOperationException","message":"CreateDatabase is not supported by this Tenon server yet\. .*"\}`},
			{"too large", "CreateWorkflow", `{"Name":"big","Description":"` + strings.Repeat("x", 1<<20) + `"}`, `\{"__type":"InvalidInputException","Message":"Request size limit exceeded"\}`},
		} {
			status, got := w.raw(c.operation, c.body)
			if status != http.StatusBadRequest || !regexp.MustCompile(`^`+c.want+`$`).MatchString(got) {
				w.t.Errorf("%s: %d %s, want %s", c.what, status, got, c.want)
			}
			if len(got) > 8<<10 {
				w.t.Errorf("%s: an answer of %d bytes", c.what, len(got))
			}
		}
		for _, target := range []string{"", "GetWorkflow", "AWSGlue", "AWSGlue.", "awsglue.GetWorkflow", "Other.GetWorkflow"} {
			r := w.call("GetWorkflow", `{"Name":"W"}`)
			r.Header.Set("X-Amz-Target", target)
			if res, body := w.send(w.signed(r, "glue")); res.StatusCode != http.StatusBadRequest || string(body) != `{"__type":"UnknownOperationException"}` {
				w.t.Errorf("target %q: %d %s", target, res.StatusCode, body)
			}
		}
		r := w.call("DeleteWorkflow", `{"Name":"W"}`)
		r.Method = http.MethodPut
		if res, body := w.send(w.signed(r, "glue")); res.StatusCode != http.StatusBadRequest {
			w.t.Errorf("PUT: %d %s", res.StatusCode, body)
		}
		if after := w.dump(); after != before {
			w.t.Errorf("bad input changed something:\n%s", after)
		}
		// Names with spaces, slashes, quotes and emoji are as good as any (§1.9).
		for _, name := range []string{"a b", "a/b", "../x", `"`, "'; DROP TABLE workflow; --", "😀", "%2e", strings.Repeat("ü", 255)} {
			quoted, err := json.Marshal(name)
			if err != nil {
				w.t.Fatal(err)
			}
			for _, operation := range []string{"CreateWorkflow", "GetWorkflow", "DeleteWorkflow"} {
				if status, got := w.raw(operation, fmt.Sprintf(`{"Name":%s}`, quoted)); status != http.StatusOK || !strings.Contains(got, string(quoted)) {
					w.t.Errorf("%s %q: %d %s", operation, name, status, got)
				}
			}
		}
		// Content of another type is read all the same (§1.1).
		r = w.call("GetWorkflow", `{"Name":"W"}`)
		r.Header.Set("Content-Type", "application/json")
		if res, body := w.send(w.signed(r, "glue")); res.StatusCode != http.StatusOK {
			w.t.Errorf("application/json: %d %s", res.StatusCode, body)
		}
	})
}

// Capabilities say of each operation what it does here, and what does not follow.
func TestCapabilities(t *testing.T) {
	inWorld(t, inMemory, nil, func(w *world) {
		status, body := w.own(http.MethodGet, "/_tenon/capabilities", nil)
		var out struct {
			Operations []struct{ Operation, Support, Note string } `json:"operations"`
		}
		if err := json.Unmarshal(body, &out, json.MatchCaseInsensitiveNames(true)); err != nil || status != http.StatusOK {
			w.t.Fatalf("%d %s %v", status, body, err)
		}
		acts := 0
		for _, o := range out.Operations {
			switch o.Support {
			case "acts":
				acts++
			case "refuses":
				_, got := w.raw(o.Operation, `{}`)
				if !strings.Contains(got, "UnsupportedOperationException") || !strings.Contains(got, o.Operation) {
					w.t.Errorf("%s refuses with %s", o.Operation, got)
				}
			case "stores":
			default:
				w.t.Errorf("%s is said to %q", o.Operation, o.Support)
			}
		}
		if acts < 34 || len(out.Operations) < 250 || !slices.IsSortedFunc(out.Operations, func(a, b struct{ Operation, Support, Note string }) int {
			return strings.Compare(a.Operation, b.Operation)
		}) {
			w.t.Errorf("%d operations, of which %d act", len(out.Operations), acts)
		}
		if !bytes.Contains(body, []byte("do not fire yet")) {
			w.t.Error("nothing is said of schedules")
		}
	})
}
