package tenon

import (
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/go-json-experiment/json"

	"tenon/internal/launch"
	"tenon/internal/launch/fake"
)

// route is one request that the gate decides about.
type route struct {
	name    string
	service string
	make    func(w *world) *http.Request
	// job tells whether a job may pass.
	job bool
}

// routes lists every route of the server, as the server itself lists them, and
// some of each kind of S3's.
func (w *world) routes() []route {
	var out []route
	all := w.server.front.Routes()
	for _, pattern := range slices.Sorted(maps.Keys(all)) {
		method, path, _ := strings.Cut(pattern, " ")
		if operation, ok := strings.CutPrefix(path, "/ AWSGlue."); ok {
			out = append(out, route{pattern, "glue", func(w *world) *http.Request { return w.call(operation, "{}") }, true})
			continue
		}
		path = strings.NewReplacer("{id}", "some-id", "{name}", "some-name").Replace(path)
		out = append(out, route{pattern, "tenon", func(w *world) *http.Request { return w.request(method, path, nil) }, false})
	}
	for _, s := range []string{"GET /", "PUT /bucket", "HEAD /bucket", "GET /bucket?list-type=2", "PUT /bucket/key", "GET /bucket/key", "DELETE /bucket/key", "POST /bucket?delete", "POST /bucket/key?uploads", "DELETE /bucket"} {
		method, path, _ := strings.Cut(s, " ")
		out = append(out, route{"s3 " + s, "s3", func(w *world) *http.Request { return w.request(method, path, nil) }, true})
	}
	return out
}

// code is an answer's error code, in whichever form the door writes it.
func (w *world) code(res *http.Response, body []byte) string {
	w.t.Helper()
	switch {
	case len(body) == 0:
		return ""
	case strings.HasPrefix(res.Header.Get("Content-Type"), "application/xml"):
		var e struct {
			XMLName xml.Name
			Code    string
		}
		if err := xml.Unmarshal(body, &e); err != nil {
			w.t.Errorf("answer is not XML: %s", body)
		}
		return e.Code
	}
	var e struct {
		Type string `json:"__type"`
	}
	if res.StatusCode != http.StatusOK {
		if err := json.Unmarshal(body, &e); err != nil {
			w.t.Errorf("answer is not JSON: %s", body)
		}
	}
	return e.Type
}

// gateCodes are what a door answers to callers that it does not let in.
var gateCodes = map[string]map[string]string{
	"nobody":        {"json": "MissingAuthenticationTokenException", "s3": "AccessDenied"},
	"bad signature": {"json": "InvalidSignatureException", "s3": "SignatureDoesNotMatch"},
	"unknown key":   {"json": "UnrecognizedClientException", "s3": "InvalidAccessKeyId"},
	"forged token":  {"json": "UnrecognizedClientException", "s3": "InvalidAccessKeyId"},
	"ended job":     {"json": "ExpiredTokenException", "s3": "ExpiredToken"},
	"job":           {"json": "AccessDeniedException", "s3": "AccessDenied"},
}

// Every route, as every kind of caller: who is not let in gets the gate's answer
// in the door's language and changes nothing (DESIGN §7, spec/workflows §1.6,
// spec/faults J21).
func TestGate(t *testing.T) {
	inWorld(t, inMemory, nil, func(w *world) {
		w.scene()
		running, ended := w.jobCredentials("J", true), w.jobCredentials("K", false)
		callers := map[string]func(*http.Request, string) *http.Request{
			"nobody":        func(r *http.Request, _ string) *http.Request { return r },
			"bad signature": func(r *http.Request, s string) *http.Request { return w.sign(r, s, w.key, w.secret+"x", "") },
			"unknown key":   func(r *http.Request, s string) *http.Request { return w.sign(r, s, "AKIAUNKNOWN", w.secret, "") },
			"forged token": func(r *http.Request, s string) *http.Request {
				return w.sign(r, s, running.key, running.secret, running.token+"x")
			},
			"ended job": func(r *http.Request, s string) *http.Request {
				return w.sign(r, s, ended.key, ended.secret, ended.token)
			},
			"job": func(r *http.Request, s string) *http.Request {
				return w.sign(r, s, running.key, running.secret, running.token)
			},
			"root": func(r *http.Request, s string) *http.Request { return w.signed(r, s) },
		}
		before := w.dump()
		refusals := map[string]bool{}
		for _, codes := range gateCodes {
			refusals[codes["json"]], refusals[codes["s3"]] = true, true
		}
		for caller, as := range callers {
			if caller == "root" {
				continue // last, because it acts
			}
			for _, r := range w.routes() {
				res, body := w.send(as(r.make(w), r.service))
				door := "json"
				if r.service == "s3" {
					door = "s3"
				}
				got, want := w.code(res, body), gateCodes[caller][door]
				switch {
				case res.Request.Method == http.MethodHead: // has no body to hold a code
					if let := res.StatusCode == http.StatusOK || res.StatusCode == http.StatusNotFound; let != (caller == "job") {
						w.t.Errorf("%s as %s: %d", r.name, caller, res.StatusCode)
					}
				case caller == "job" && r.job:
					if refusals[got] {
						w.t.Errorf("%s as %s: %d %s", r.name, caller, res.StatusCode, body)
					}
				case got != want:
					w.t.Errorf("%s as %s: %d %s, want %s", r.name, caller, res.StatusCode, body, want)
				}
				if res.Header.Get("X-Amzn-Requestid") == "" {
					w.t.Errorf("%s as %s: no request id", r.name, caller)
				}
			}
			if caller != "job" && w.dump() != before {
				w.t.Fatalf("%s changed something", caller)
			}
		}
		for _, r := range w.routes() {
			res, body := w.send(callers["root"](r.make(w), r.service))
			if code := w.code(res, body); refusals[code] {
				w.t.Errorf("%s as root: %d %s", r.name, res.StatusCode, body)
			}
		}
	})
}

type credentials struct{ attempt, key, secret, token string }

// jobCredentials starts a job and returns what its process was given.
func (w *world) jobCredentials(job string, running bool) credentials {
	w.t.Helper()
	w.plan(job, fake.Outcome{Never: running, After: time.Second})
	id := must[*glue.StartJobRunOutput](w.t)(w.glue.StartJobRun(w.t.Context(), &glue.StartJobRunInput{JobName: &job})).JobRunId
	w.advance(2 * time.Second)
	env := map[string]string{}
	for _, kv := range w.process(*id).Env {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	if env["AWS_ENDPOINT_URL"] != w.server.URL() || env["AWS_REGION"] != DefaultRegion || env["AWS_DEFAULT_REGION"] != DefaultRegion {
		w.t.Errorf("the job's environment is %v", env)
	}
	if env["AWS_ACCESS_KEY_ID"] == w.key || strings.Contains(strings.Join(w.process(*id).Env, " "), w.secret) {
		w.t.Error("the job has the server's credentials")
	}
	return credentials{*id, env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env["AWS_SESSION_TOKEN"]}
}

// A job's credentials are good from its start to its end, however it ends.
func TestJobSession(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		ctx := w.t.Context()
		c := w.jobCredentials("J", true)
		client := w.sdk(c.key, c.secret, c.token)
		run := must[*glue.GetJobRunOutput](w.t)(client.GetJobRun(ctx, &glue.GetJobRunInput{JobName: aws.String("J"), RunId: &c.attempt}))
		if run.JobRun.JobRunState != "RUNNING" {
			w.t.Errorf("the job run is %s", run.JobRun.JobRunState)
		}
		res, body := w.send(w.sign(w.request(http.MethodPost, "/_tenon/runs/x/stop", nil), "tenon", c.key, c.secret, c.token))
		if !strings.Contains(string(body), "assumed-role/tenon-job/"+c.attempt+" is not authorized to perform: tenon:StopRun because") {
			w.t.Errorf("%d %s", res.StatusCode, body)
		}
		must[*glue.BatchStopJobRunOutput](w.t)(client.BatchStopJobRun(ctx, &glue.BatchStopJobRunInput{JobName: aws.String("J"), JobRunIds: []string{c.attempt}}))
		w.settle()
		_, err := client.GetJobRun(ctx, &glue.GetJobRunInput{JobName: aws.String("J"), RunId: &c.attempt})
		wantError(w.t, "after its end", err, "ExpiredTokenException", "The security token included in the request is expired.")
	})
}

// Only the health check is served to anybody, and only to a GET; what is not a
// route is not found, even for root (DESIGN §7).
func TestHealthAndUnknownPaths(t *testing.T) {
	inWorld(t, inMemory, nil, func(w *world) {
		res, body := w.send(w.request(http.MethodGet, "/_tenon/health", nil))
		if res.StatusCode != http.StatusOK || !strings.Contains(string(body), `"ok"`) || strings.Contains(string(body), w.key) {
			w.t.Errorf("health: %d %s", res.StatusCode, body)
		}
		for _, r := range []*http.Request{
			w.request(http.MethodPost, "/_tenon/health", nil), w.request(http.MethodGet, "/_tenon/health/", nil),
			w.request(http.MethodGet, "/_tenon/../_tenon/runs", nil), w.request(http.MethodGet, "/_tenon/", nil), w.request(http.MethodGet, "/metrics", nil),
		} {
			if res, body := w.send(r); res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusForbidden {
				w.t.Errorf("%s %s as nobody: %d %s", r.Method, r.URL, res.StatusCode, body)
			}
		}
		for _, s := range []string{"GET /_tenon/", "GET /_tenon/nothing", "POST /_tenon/runs", "DELETE /_tenon/capabilities", "GET /_tenon/runs/x/stop", "PATCH /_tenon/stacks/x"} {
			method, path, _ := strings.Cut(s, " ")
			if status, body := w.own(method, path, nil); status != http.StatusNotFound {
				w.t.Errorf("%s as root: %d %s", s, status, body)
			}
		}
		// A route cannot be reached with a signature for another door.
		for _, service := range []string{"glue", "s3", "sts"} {
			if res, body := w.send(w.signed(w.request(http.MethodGet, "/_tenon/capabilities", nil), service)); res.StatusCode == http.StatusOK {
				w.t.Errorf("signed for %s: %s", service, body)
			}
		}
	})
	inWorld(t, onDisk, nil, func(w *world) { // a server that keeps its data cannot be emptied
		if status, body := w.own(http.MethodPost, "/_tenon/reset", nil); status != http.StatusNotFound {
			w.t.Errorf("reset: %d %s", status, body)
		}
	})
}

// A signature is good for five minutes, for the bytes and headers that
// were signed (spec/workflows §1.6).
func TestSignatures(t *testing.T) {
	inWorld(t, inMemory, nil, func(w *world) {
		w.scene()
		before := w.dump()
		try := func(what, code string, change func(*http.Request)) {
			w.t.Helper()
			r := w.signed(w.call("DeleteJob", `{"JobName":"J"}`), "glue")
			change(r)
			res, body := w.send(r)
			if got := w.code(res, body); got != code || res.StatusCode != http.StatusBadRequest {
				w.t.Errorf("%s: %d %s, want %s", what, res.StatusCode, body, code)
			}
		}
		try("another operation", "InvalidSignatureException", func(r *http.Request) { r.Header.Set("X-Amz-Target", "AWSGlue.DeleteTrigger") })
		try("another body", "InvalidSignatureException", func(r *http.Request) {
			other := w.call("DeleteJob", `{"JobName":"K"}`)
			r.Body, r.ContentLength = other.Body, other.ContentLength
		})
		try("another date", "InvalidSignatureException", func(r *http.Request) { r.Header.Set("X-Amz-Date", "20000101T000001Z") })
		try("no date", "IncompleteSignatureException", func(r *http.Request) { r.Header.Del("X-Amz-Date") })
		try("half a header", "IncompleteSignatureException", func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x") })
		try("another scheme", "IncompleteSignatureException", func(r *http.Request) { r.Header.Set("Authorization", "Basic dTpw") })
		try("too old", "InvalidSignatureException", func(*http.Request) { w.advance(5*time.Minute + time.Second) })
		if after := w.dump(); after != before {
			w.t.Errorf("something was done:\n%s", after)
		}
		r := w.signed(w.call("DeleteJob", `{"JobName":"J"}`), "glue")
		w.advance(5*time.Minute - time.Second)
		if res, body := w.send(r); res.StatusCode != http.StatusOK {
			w.t.Errorf("in time: %d %s", res.StatusCode, body)
		}
	})
}

// With --insecure-dev anybody is root, but only under names of this machine, so
// that no page of somebody else's can reach the server (spec/faults K3).
func TestInsecureDev(t *testing.T) {
	inWorld(t, inMemory, func(c *Config) { c.InsecureDev = true }, func(w *world) {
		w.scene()
		for host, let := range map[string]bool{
			"localhost": true, "localhost:8366": true, "127.0.0.1:8366": true, "127.1.2.3": true, "[::1]:8366": true, "tenon.localhost:8366": true, "LOCALHOST": true,
			"evil.example": false, "localhost.evil.example": false, "10.0.0.1:8366": false, "0.0.0.0": false, "127.0.0.1.evil.example": false, "notlocalhost": false,
		} {
			for _, r := range []*http.Request{w.call("GetJob", `{"JobName":"J"}`), w.request(http.MethodGet, "/_tenon/capabilities", nil), w.request(http.MethodGet, "/", nil)} {
				r.Host = host
				res, body := w.send(r)
				denied := res.StatusCode != http.StatusOK && strings.HasPrefix(w.code(res, body), "AccessDenied")
				if denied == let {
					w.t.Errorf("%s %s under %s: %d %s", r.Method, r.URL.Path, host, res.StatusCode, body)
				}
			}
		}
		// A signature need not be right; its region counts all the same.
		elsewhere := w.sdk("any", "thing", "", func(o *glue.Options) { o.Region = "eu-central-1" })
		if jobs := must[*glue.ListJobsOutput](w.t)(elsewhere.ListJobs(w.t.Context(), &glue.ListJobsInput{})).JobNames; len(jobs) != 0 {
			w.t.Errorf("jobs of another region: %v", jobs)
		}
	})
	if _, err := New(t.Context(), Config{Ephemeral: true, InsecureDev: true, Listen: "0.0.0.0:0"}); err == nil {
		t.Error("an open server was made for the whole network")
	}
}

// Accounts and regions do not see each other (DESIGN §4).
func TestScopes(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		ctx := w.t.Context()
		other, err := w.server.keys.Add("210987654321")
		if err != nil {
			w.t.Fatal(err)
		}
		started := must[*glue.StartWorkflowRunOutput](w.t)(w.glue.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: aws.String("W")}))
		w.settle()
		before := w.dump()
		for name, client := range map[string]*glue.Client{
			"account": w.sdk(other.AccessKeyID, other.Secret, ""),
			"region":  w.sdk(w.key, w.secret, "", func(o *glue.Options) { o.Region = "eu-central-1" }),
		} {
			_, err := client.GetWorkflowRun(ctx, &glue.GetWorkflowRunInput{Name: aws.String("W"), RunId: started.RunId})
			wantError(w.t, name, err, "EntityNotFoundException", "Entity not found")
			_, err = client.StopWorkflowRun(ctx, &glue.StopWorkflowRunInput{Name: aws.String("W"), RunId: started.RunId})
			wantError(w.t, name, err, "EntityNotFoundException", "Entity not found")
			_, err = client.GetTags(ctx, &glue.GetTagsInput{ResourceArn: arnOf("job", "J")})
			wantError(w.t, name, err, "EntityNotFoundException", "Entity not found")
			// The same name is free there, even for a run of the same id.
			must[*glue.CreateWorkflowOutput](w.t)(client.CreateWorkflow(ctx, &glue.CreateWorkflowInput{Name: aws.String("W")}))
			_, err = client.GetWorkflowRun(ctx, &glue.GetWorkflowRunInput{Name: aws.String("W"), RunId: started.RunId})
			wantError(w.t, name, err, "EntityNotFoundException", "Entity not found")
			if jobs := must[*glue.ListJobsOutput](w.t)(client.ListJobs(ctx, &glue.ListJobsInput{})).JobNames; len(jobs) != 0 {
				w.t.Errorf("%s: sees jobs %v", name, jobs)
			}
		}
		if after := w.dump(); after != before {
			w.t.Errorf("a stranger changed something:\n%s", after)
		}
	})
}

// Output of a job run is followed for as long as it runs, and belongs to its
// account alone (DESIGN §5, §7).
func TestLogs(t *testing.T) {
	inWorlds(t, nil, func(w *world) {
		w.scene()
		w.plan("J", fake.Outcome{After: 3 * time.Minute, Output: []fake.Output{
			{At: time.Second, Stream: launch.Stdout, Data: "one\n"}, {At: 50 * time.Second, Stream: launch.Stderr, Data: "two\n"},
			{At: 170 * time.Second, Stream: launch.Stdout, Data: "three\n"},
		}})
		id := must[*glue.StartJobRunOutput](w.t)(w.glue.StartJobRun(w.t.Context(), &glue.StartJobRunInput{JobName: aws.String("J")})).JobRunId
		w.advance(2 * time.Second)
		type line struct {
			Stream string `json:"stream"`
			Data   []byte `json:"data"`
		}
		read := func(body []byte) string {
			var out strings.Builder
			for text := range strings.Lines(string(body)) {
				var l line
				if err := json.Unmarshal([]byte(text), &l); err != nil {
					w.t.Errorf("line %q: %v", text, err)
				}
				out.WriteString(l.Stream + " " + string(l.Data))
			}
			return out.String()
		}
		if status, body := w.own(http.MethodGet, "/_tenon/logs/"+*id, nil); status != http.StatusOK || read(body) != "stdout one\n" {
			w.t.Errorf("now: %d %s", status, body)
		}
		followed := make(chan string, 1)
		go func() {
			res, err := w.client.Do(w.signed(w.request(http.MethodGet, "/_tenon/logs/"+*id+"?follow=1", nil), "tenon"))
			if err != nil {
				followed <- err.Error()
				return
			}
			var body []byte
			buf := make([]byte, 1000)
			for {
				n, err := res.Body.Read(buf)
				body = append(body, buf[:n]...)
				if err != nil {
					_ = res.Body.Close()
					followed <- read(body) + err.Error()
					return
				}
			}
		}()
		w.advance(4 * time.Minute)
		if got, want := <-followed, "stdout one\nstderr two\nstdout three\nEOF"; got != want {
			w.t.Errorf("followed %q, want %q", got, want)
		}
		for _, id := range []string{"nonsense", "jr_1", *id + "_attempt_1", (*id)[:len(*id)-1] + "x"} {
			if status, body := w.own(http.MethodGet, "/_tenon/logs/"+id, nil); status != http.StatusNotFound {
				w.t.Errorf("%s: %d %s", id, status, body)
			}
		}
	})
}

// Reset empties an ephemeral server: nothing of before is left, not even the
// processes, and it works as on its first day.
func TestReset(t *testing.T) {
	inWorld(t, inMemory, func(c *Config) { c.MaxLocalJobs = 1 }, func(w *world) {
		empty := w.dump()
		w.scene()
		ctx := w.t.Context()
		w.plan("J", fake.Outcome{Never: true})
		running := must[*glue.StartJobRunOutput](w.t)(w.glue.StartJobRun(ctx, &glue.StartJobRunInput{JobName: aws.String("J")})).JobRunId
		must[*glue.StartJobRunOutput](w.t)(w.glue.StartJobRun(ctx, &glue.StartJobRunInput{JobName: aws.String("K")})) // waits for a slot
		if res, body := w.send(w.signed(w.request(http.MethodPut, "/bucket", nil), "s3")); res.StatusCode != http.StatusOK {
			w.t.Fatalf("%d %s", res.StatusCode, body)
		}
		w.advance(time.Minute)
		if status, body := w.own(http.MethodPost, "/_tenon/reset", nil); status != http.StatusOK {
			w.t.Fatalf("reset: %d %s", status, body)
		}
		w.advance(time.Minute)
		if after := w.dump(); after != empty {
			w.t.Errorf("something is left:\n%s", after)
		}
		if res, _ := w.send(w.signed(w.request(http.MethodHead, "/bucket", nil), "s3")); res.StatusCode != http.StatusNotFound {
			w.t.Errorf("the bucket is left: %d", res.StatusCode)
		}
		if facts, err := w.sup.List(ctx); err != nil || len(facts) != 0 {
			w.t.Errorf("processes are left: %v, %v", facts, err)
		}
		w.plan("J")
		w.scene()
		if err := startW(ctx, w.glue); err != nil {
			w.t.Fatal(err)
		}
		w.advance(time.Minute)
		run := must[*glue.GetWorkflowOutput](w.t)(w.glue.GetWorkflow(ctx, &glue.GetWorkflowInput{Name: aws.String("W")})).Workflow.LastRun
		if run.Status != "COMPLETED" || run.Statistics.SucceededActions != 2 {
			w.t.Errorf("the first run after it: %+v", run)
		}
		if w.sup.Started(*running) != 1 || len(w.processes) != 3 {
			w.t.Errorf("%d processes were made", len(w.processes))
		}
	})
}
