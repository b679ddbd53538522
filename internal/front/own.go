package front

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tenon/internal/glueapi"
	"tenon/internal/launch"
	"tenon/internal/wire/auth"
	"tenon/internal/wire/awsjson"
)

// This file holds Tenon's own routes, below /_tenon/. Each declares its
// permission; one that does not is denied.

// ownHandler answers with a value to encode, or writes by itself and returns nil.
type ownHandler func(q *request, ctx context.Context, body []byte) (any, error)

type contextKey struct{}

func (f *Front) routes() {
	f.own, f.permission = http.NewServeMux(), map[string]auth.Permission{}
	add := func(pattern string, p auth.Permission, h ownHandler) {
		f.permission[pattern] = p
		f.own.HandleFunc(pattern, func(_ http.ResponseWriter, r *http.Request) {
			q := r.Context().Value(contextKey{}).(*ownRequest)
			q.r = r // the mux has put the path's values into it
			out, err := h(q.request, r.Context(), q.body)
			switch {
			case err != nil:
				f.failOwn(q.request, err)
			case out != nil:
				f.reply(q.request, http.StatusOK, out)
			}
		})
	}
	add("GET /_tenon/capabilities", "tenon:GetCapabilities", f.capabilities)
	add("GET /_tenon/explain", "tenon:ExplainRun", f.explain)
	add("GET /_tenon/runs", "tenon:ListRuns", f.activeRuns)
	add("POST /_tenon/runs/{id}/stop", "tenon:StopRun", f.stopRun)
	add("GET /_tenon/logs/{id}", "tenon:GetLogs", f.logs)
	add("GET /_tenon/stacks", "tenon:ListStacks", f.stacks)
	add("GET /_tenon/stacks/{name}", "tenon:GetStack", f.getStack)
	add("PUT /_tenon/stacks/{name}", "tenon:PutStack", f.putStack)
	add("DELETE /_tenon/stacks/{name}", "tenon:DeleteStack", f.deleteStack)
	if f.Reset != nil {
		add("POST /_tenon/reset", "tenon:Reset", f.reset)
	}
}

// Routes lists every route of the JSON doors with the permission that it asks
// for: our own by method and pattern, operations of Glue by their target. S3's
// are the business of its door.
func (f *Front) Routes() map[string]auth.Permission {
	out := maps.Clone(f.permission)
	for name := range f.operations {
		out["POST / "+targetGlue+name] = glueAction(name)
	}
	return out
}

type ownRequest struct {
	*request
	body []byte
}

// tenon serves our own routes.
func (f *Front) tenon(q *request) {
	body, err := f.body(q)
	if err == nil {
		err = f.prove(q, body)
	}
	if err != nil {
		f.fail(q, err)
		return
	}
	q.call.InvocationID = "" // replies of these routes are not kept
	_, pattern := f.own.Handler(q.r)
	q.call.Operation = pattern
	p, ok := f.permission[pattern]
	if !ok {
		f.failStatus(q, http.StatusNotFound, "NotFound", "There is nothing at this path, or not for this method.")
		return
	}
	if err := f.allow(q, p); err != nil {
		f.fail(q, err)
		return
	}
	ctx := context.WithValue(auth.WithCall(q.r.Context(), q.call), contextKey{}, &ownRequest{q, body})
	f.own.ServeHTTP(q.w, q.r.WithContext(ctx))
}

func (f *Front) reply(q *request, status int, out any) {
	body, err := json.Marshal(out, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		f.fail(q, fmt.Errorf("encode reply: %w", err))
		return
	}
	q.w.Header().Set("X-Content-Type-Options", "nosniff")
	f.write(q, status, append(body, '\n'))
}

func (f *Front) failStatus(q *request, status int, code, message string) {
	q.w.code = code
	f.reply(q, status, map[string]string{"__type": code, "message": message})
}

func (f *Front) failOwn(q *request, err error) {
	switch {
	case errors.Is(err, glueapi.ErrNoStack):
		f.failStatus(q, http.StatusNotFound, "NotFound", "The stack does not exist.")
	case errors.Is(err, glueapi.ErrStackVersion):
		f.failStatus(q, http.StatusConflict, "Conflict", "The stack was changed by somebody else.")
	default:
		f.fail(q, err)
	}
}

func (f *Front) health(q *request) {
	f.reply(q, http.StatusOK, map[string]string{"status": "ok", "version": f.Version})
}

func (f *Front) capabilities(*request, context.Context, []byte) (any, error) {
	type operation struct {
		Operation string          `json:"operation"`
		Support   glueapi.Support `json:"support"`
		Note      string          `json:"note,omitzero"`
	}
	out := make([]operation, 0, len(f.operations))
	for _, o := range f.operations {
		out = append(out, operation{o.Name, o.Support, o.Note})
	}
	slices.SortFunc(out, func(a, b operation) int { return strings.Compare(a.Operation, b.Operation) })
	return map[string]any{"operations": out}, nil
}

func (f *Front) explain(q *request, ctx context.Context, _ []byte) (any, error) {
	v := q.r.URL.Query()
	if v.Get("workflow") == "" || v.Get("run") == "" {
		return nil, &awsjson.Error{Code: "ValidationException", Message: "The parameters workflow and run are required."}
	}
	x, err := f.Glue.Explain(ctx, v.Get("workflow"), v.Get("run"))
	if err != nil {
		return nil, err
	}
	return explanation(x), nil
}

type explainedTrigger struct {
	Trigger  string           `json:"trigger"`
	Inactive bool             `json:"inactive"`
	Unmet    []explainedUnmet `json:"unmet"`
	Starts   []string         `json:"starts"`
}

type explainedUnmet struct {
	Type  string `json:"type"`
	Name  string `json:"name"`
	Wants string `json:"wants"`
	Is    string `json:"is,omitzero"`
}

type explainedNode struct {
	Type string `json:"type"`
	Name string `json:"name"`
	Why  string `json:"why"`
}

func explanation(x *glueapi.Explanation) any {
	out := struct {
		Waiting []explainedTrigger `json:"waiting"`
		Unrun   []explainedNode    `json:"unrun"`
	}{[]explainedTrigger{}, []explainedNode{}}
	for _, w := range x.Waiting {
		t := explainedTrigger{w.Trigger, w.Inactive, []explainedUnmet{}, w.Starts}
		for _, u := range w.Unmet {
			t.Unmet = append(t.Unmet, explainedUnmet{string(u.Type), u.Name, u.Wants, string(u.Is)})
		}
		out.Waiting = append(out.Waiting, t)
	}
	for _, n := range x.Unrun {
		out.Unrun = append(out.Unrun, explainedNode{string(n.Type), n.Name, string(n.Why)})
	}
	return out
}

func (f *Front) activeRuns(_ *request, ctx context.Context, _ []byte) (any, error) {
	runs, err := f.Glue.ActiveRuns(ctx)
	return map[string]any{"runs": runs}, err
}

func (f *Front) stopRun(q *request, ctx context.Context, _ []byte) (any, error) {
	return map[string]string{}, f.Glue.StopActiveRun(ctx, q.r.PathValue("id"))
}

// logs streams what a job run wrote, one JSON object a line.
func (f *Front) logs(q *request, ctx context.Context, _ []byte) (any, error) {
	id := q.r.PathValue("id")
	ok, err := f.Glue.JobRunVisible(ctx, id)
	if err != nil {
		return nil, err
	}
	if !ok {
		f.failStatus(q, http.StatusNotFound, "NotFound", "The job run does not exist.")
		return nil, nil
	}
	follow := q.r.URL.Query().Get("follow") == "1"
	frames, err := f.Output(ctx, id, follow)
	if errors.Is(err, fs.ErrNotExist) {
		f.failStatus(q, http.StatusNotFound, "NotFound", "The job run has written nothing, or its output was removed.")
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open output: %w", err)
	}
	q.w.Header().Set("Content-Type", "application/x-ndjson")
	q.w.Header().Set("X-Content-Type-Options", "nosniff")
	q.w.WriteHeader(http.StatusOK)
	err = f.stream(q, frames, follow)
	return nil, errors.Join(err, frames.Close())
}

var streamNames = map[launch.Stream]string{launch.Stdout: "stdout", launch.Stderr: "stderr", launch.Meta: "meta"}

// stream writes frames until they end. An error cannot be answered any more: the
// connection is cut, so that the client sees it.
func (f *Front) stream(q *request, frames launch.FrameReader, flush bool) error {
	control := http.NewResponseController(q.w)
	if flush {
		if err := control.Flush(); err != nil {
			return nil
		}
	}
	for {
		frame, err := frames.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			if q.r.Context().Err() == nil {
				f.Logger.Error("read output", "id", q.id, "error", err)
			}
			panic(http.ErrAbortHandler)
		}
		line, err := json.Marshal(struct {
			Time   string `json:"time"`
			Stream string `json:"stream"`
			Data   []byte `json:"data"`
		}{frame.Time.UTC().Format(time.RFC3339Nano), streamNames[frame.Stream], frame.Data})
		if err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
		if _, err := q.w.Write(append(line, '\n')); err != nil {
			return nil // the client went away
		}
		if flush {
			if err := control.Flush(); err != nil {
				return nil
			}
		}
	}
}

type stackBody struct {
	Version int64          `json:"version"`
	State   jsontext.Value `json:"state,omitzero"`
}

func (f *Front) stacks(_ *request, ctx context.Context, _ []byte) (any, error) {
	names, err := f.Glue.Stacks(ctx)
	return map[string][]string{"stacks": names}, err
}

func (f *Front) getStack(q *request, ctx context.Context, _ []byte) (any, error) {
	s, err := f.Glue.GetStack(ctx, q.r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return stackBody{Version: s.Version, State: s.State}, nil
}

func (f *Front) putStack(q *request, ctx context.Context, body []byte) (any, error) {
	var in stackBody
	if err := json.Unmarshal(body, &in); err != nil || len(in.State) == 0 {
		return nil, &awsjson.Error{Code: "SerializationException", Message: "The body must be a JSON object with version and state."}
	}
	version, err := f.Glue.PutStack(ctx, q.r.PathValue("name"), glueapi.Stack{Version: in.Version, State: in.State})
	return stackBody{Version: version}, err
}

func (f *Front) deleteStack(q *request, ctx context.Context, _ []byte) (any, error) {
	return map[string]string{}, f.Glue.DeleteStack(ctx, q.r.PathValue("name"))
}

func (f *Front) reset(_ *request, ctx context.Context, _ []byte) (any, error) {
	return map[string]string{}, f.Reset(ctx)
}
