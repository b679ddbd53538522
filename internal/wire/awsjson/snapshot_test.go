package awsjson

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/smithy-go"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"tenon/internal/wire/model"
)

// snapshots returns the bodies of the recorded messages that the SDK ships, by
// name, with the HTTP status of replies.
func snapshots(t testing.TB, folder, suffix string) map[string]snapshot {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/glue").Output()
	if err != nil {
		t.Fatalf("find the SDK: %v", err)
	}
	paths, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), folder, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]snapshot{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// The start, the headers and the body are separated by empty lines.
		parts := bytes.Split(data, []byte("\n\n"))
		first, _, _ := bytes.Cut(data, []byte("\n"))
		status, _ := strconv.Atoi(string(first)) // requests have none
		found[strings.TrimSuffix(filepath.Base(path), suffix)] = snapshot{status, parts[len(parts)-1]}
	}
	return found
}

type snapshot struct {
	status int
	body   []byte
}

// operationTypes returns the input and output types of every operation.
func operationTypes() map[string][2]reflect.Type {
	found := map[string][2]reflect.Type{}
	for m := range reflect.TypeFor[*glue.Client]().Methods() {
		if t := m.Type; t.NumIn() == 4 && t.NumOut() == 2 && strings.HasSuffix(t.In(2).Elem().Name(), "Input") {
			found[m.Name] = [2]reflect.Type{t.In(2).Elem(), t.Out(0).Elem()}
		}
	}
	return found
}

// DESIGN §6: every request and response snapshot of the SDK decodes, and
// encodes to what it was.
func TestSnapshots(t *testing.T) {
	ops := operationTypes()
	for i, c := range []struct{ folder, suffix string }{{"request_snapshot", ".request.snap"}, {"response_snapshot", ".response.snap"}} {
		found := snapshots(t, c.folder, c.suffix)
		if len(found) != len(ops) || len(ops) < 300 {
			t.Fatalf("%d files in %s for %d operations", len(found), c.folder, len(ops))
		}
		for op, snap := range found {
			roundTrip(t, c.folder+" of "+op, ops[op][i], snap.body)
		}
	}
}

func roundTrip(t *testing.T, name string, typ reflect.Type, body []byte) {
	t.Helper()
	v := reflect.New(typ).Interface()
	if err := Unmarshal(body, v); err != nil {
		t.Errorf("%s: decode: %v", name, err)
		return
	}
	again, err := Marshal(v)
	if err != nil {
		t.Errorf("%s: encode: %v", name, err)
		return
	}
	if diff := cmp.Diff(tree(t, body), tree(t, again)); diff != "" {
		t.Errorf("%s: encoded differs (-recorded +ours):\n%s", name, diff)
	}
	second := reflect.New(typ).Interface()
	if err := Unmarshal(again, second); err != nil || !reflect.DeepEqual(v, second) {
		t.Errorf("%s: decoding our own text gives another value, %v", name, err)
	}
}

// tree reads JSON independently of this package's decoder.
func tree(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if len(data) == 0 {
		data = []byte("{}")
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return v
}

// spec/workflows §1.3: exceptions keep their members and the recorded status,
// which is 500 for InternalServiceException alone.
func TestErrorSnapshots(t *testing.T) {
	found := snapshots(t, "response_snapshot", ".error.snap")
	if len(found) < 40 {
		t.Fatalf("only %d error snapshots", len(found))
	}
	for name, snap := range found {
		entry, ok := glue.TypeRegistry.LookupEntry(name)
		if !ok {
			t.Errorf("%s: not in the SDK's registry", name)
			continue
		}
		exception := entry.New()
		if err := Unmarshal(snap.body, exception); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		status, code, body := Fault(exception.(error))
		want := http.StatusBadRequest
		if name == "InternalServiceException" {
			want = http.StatusInternalServerError
		}
		if code != name || status != want {
			t.Errorf("%s: code %s, status %d", name, code, status)
		}
		if diff := cmp.Diff(tree(t, snap.body), tree(t, body)); diff != "" {
			t.Errorf("%s (-recorded +ours):\n%s", name, diff)
		}
	}
}

// The snapshots are nowhere near the bound on nesting.
func TestMaxDepthLeavesRoom(t *testing.T) {
	deepest := 0
	for _, snap := range snapshots(t, "response_snapshot", ".response.snap") {
		depth := 0
		for d := jsontext.NewDecoder(bytes.NewReader(snap.body)); ; {
			tok, err := d.ReadToken()
			if err != nil {
				break
			}
			if k := tok.Kind(); k == '{' || k == '[' {
				depth = d.StackDepth()
				deepest = max(deepest, depth)
			}
		}
	}
	if deepest < 5 || deepest > MaxDepth/2 {
		t.Errorf("the deepest snapshot has %d levels of %d", deepest, MaxDepth)
	}
}

// spec/workflows §1.3, §1.4, §1.6
func TestFault(t *testing.T) {
	text := "Entity not found"
	yes := true
	for _, c := range []struct {
		name   string
		err    error
		status int
		body   string
	}{
		{"modelled", &types.EntityNotFoundException{Message: &text}, 400, `{"__type":"EntityNotFoundException","Message":"Entity not found"}`},
		{"all members", &types.InvalidInputException{Message: &text, FromFederationSource: &yes}, 400,
			`{"__type":"InvalidInputException","Message":"Entity not found","FromFederationSource":true}`},
		{"no text", &types.EntityNotFoundException{}, 400, `{"__type":"EntityNotFoundException"}`},
		{"internal", &types.InternalServiceException{Message: &text}, 500, `{"__type":"InternalServiceException","Message":"Entity not found"}`},
		{"wrapped", wrap{&types.AlreadyExistsException{Message: &text}}, 400, `{"__type":"AlreadyExistsException","Message":"Entity not found"}`},
		{"by code", &smithy.GenericAPIError{Code: "OperationTimeoutException", Message: "x"}, 400, `{"__type":"OperationTimeoutException","Message":"x"}`},
		{"declared ValidationException", &types.ValidationException{Message: &text}, 400, `{"__type":"ValidationException","Message":"Entity not found"}`},
		{"front-end ValidationException", &model.ValidationError{Message: "1 …"}, 400, `{"__type":"ValidationException","message":"1 …"}`},
		{"serialization", &SerializationError{Path: "Name", Reason: "must be a string, not a number"}, 400,
			`{"__type":"SerializationException","message":"The value at Name must be a string, not a number."}`},
		{"unknown operation", &Error{Code: "UnknownOperationException"}, 400, `{"__type":"UnknownOperationException"}`},
		{"front end", &Error{"AccessDeniedException", `no "x"`}, 400, `{"__type":"AccessDeniedException","message":"no \"x\""}`},
		{"anything else", errors.New("disk /secret is full"), 500, `{"__type":"InternalServiceException","Message":"An internal error occurred."}`},
		{"nothing", nil, 500, `{"__type":"InternalServiceException","Message":"An internal error occurred."}`},
	} {
		status, code, body := Fault(c.err)
		if status != c.status || string(body) != c.body {
			t.Errorf("%s: %d %s, want %d %s", c.name, status, body, c.status, c.body)
		}
		if !strings.HasPrefix(string(body), `{"__type":"`+code+`"`) {
			t.Errorf("%s: code %s for %s", c.name, code, body)
		}
	}
}

type wrap struct{ error }

func (w wrap) Unwrap() error { return w.error }
