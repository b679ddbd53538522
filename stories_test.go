package tenon

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/smithy-go"
	gocmp "github.com/google/go-cmp/cmp"

	"tenon/internal/launch/fake"
)

var update = flag.Bool("update", false, "write what the stories say now into testdata/stories")

// Stories are transcripts: commands behind "> ", and what they answered. Ids are
// replaced by names, times by what passed since the story began. Each file says
// what it proves, and is told on both stores.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(`(?m)^# .*spec/(workflows|jobs) §`).Match(text) {
				t.Error("the story does not say which rows of the specification it proves")
			}
			inWorlds(t, nil, func(w *world) {
				got := newStory(w).tell(string(text))
				if *update {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Error(err)
					}
				} else if diff := gocmp.Diff(strings.Split(string(text), "\n"), strings.Split(got, "\n")); diff != "" {
					w.t.Errorf("the story goes otherwise (-want +got); -update rewrites it:\n%s", diff)
				}
			})
		})
	}
}

// story carries out the commands of one file.
type story struct {
	*world
	began time.Time
	names map[string]string // of ids
	ids   map[string]string // by name
	count map[string]int    // names given, by kind
}

func newStory(w *world) *story {
	return &story{world: w, began: time.Now(), names: map[string]string{}, ids: map[string]string{}, count: map[string]int{}}
}

// tell carries out every command and returns the transcript as it should be.
func (s *story) tell(text string) string {
	var out strings.Builder
	inOutput := false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "> "):
			inOutput = true
			out.WriteString(line + "\n")
			out.WriteString(s.command(strings.Fields(line[2:])))
		case strings.HasPrefix(line, "#") || line == "":
			inOutput = false
			out.WriteString(line + "\n")
		case !inOutput:
			s.t.Fatalf("line is neither a command nor its output: %q", line)
		}
	}
	return out.String()
}

// command carries out one command and returns its output, whole lines.
func (s *story) command(f []string) string {
	name, args := f[0], f[1:]
	do, ok := storyCommands[name]
	if !ok {
		s.t.Fatalf("no such command: %s", name)
	}
	out, err := do(s, args)
	s.settle()
	if err != nil {
		var api smithy.APIError
		if !errors.As(err, &api) {
			s.t.Fatalf("%s: %v", strings.Join(f, " "), err)
		}
		return s.named(fmt.Sprintf("! %s: %s\n", api.ErrorCode(), api.ErrorMessage()))
	}
	return out
}

var storyCommands = map[string]func(*story, []string) (string, error){
	"workflow": (*story).workflow, "job": (*story).job, "trigger": (*story).trigger, "outcome": (*story).setOutcome,
	"start": (*story).startRun, "start-trigger": (*story).startTrigger, "stop-trigger": (*story).stopTrigger,
	"start-job": (*story).startJob, "stop": (*story).stopRun, "stop-job": (*story).stopJob, "put": (*story).put,
	"advance": (*story).pass, "delete-workflow": (*story).deleteWorkflow, "delete-job": (*story).deleteJob,
	"delete-trigger": (*story).deleteTrigger, "show": (*story).show, "runs": (*story).runs, "job-runs": (*story).jobRuns,
	"active": (*story).active, "stop-active": (*story).stopActive, "resume": (*story).resume,
}

// options splits "key=value" from plain words.
func options(args []string) (words []string, opts map[string]string) {
	opts = map[string]string{}
	for _, a := range args {
		if k, v, ok := strings.Cut(a, "="); ok {
			opts[k] = v
		} else {
			words = append(words, a)
		}
	}
	return words, opts
}

// workflow NAME [max=N] [KEY=VALUE of default properties…]
func (s *story) workflow(args []string) (string, error) {
	words, opts := options(args)
	in := &glue.CreateWorkflowInput{Name: &words[0]}
	if text, ok := opts["max"]; ok {
		in.MaxConcurrentRuns = s.number(text)
		delete(opts, "max")
	}
	if len(opts) > 0 {
		in.DefaultRunProperties = opts
	}
	_, err := s.glue.CreateWorkflow(s.t.Context(), in)
	return "", err
}

// job NAME [retries=N] [slots=N] [timeout=MINUTES] [queuing] [OUTCOME…]
func (s *story) job(args []string) (string, error) {
	words, opts := options(args)
	in := &glue.CreateJobInput{
		Name: &words[0], Role: aws.String("role"),
		Command: &types.JobCommand{Name: aws.String("pythonshell"), ScriptLocation: aws.String("s3://scripts/" + words[0] + ".py")},
	}
	if text, ok := opts["retries"]; ok {
		in.MaxRetries = *s.number(text)
	}
	if text, ok := opts["slots"]; ok {
		in.ExecutionProperty = &types.ExecutionProperty{MaxConcurrentRuns: *s.number(text)}
	}
	if text, ok := opts["timeout"]; ok {
		in.Timeout = s.number(text)
	}
	if i := slices.Index(words, "queuing"); i > 0 {
		in.JobRunQueuingEnabled = aws.Bool(true)
		words = slices.Delete(words, i, i+1)
	}
	if _, err := s.glue.CreateJob(s.t.Context(), in); err != nil {
		return "", err
	}
	return s.setOutcome(words)
}

// outcome JOB OUTCOME…, each KIND/TIME: ok, exit1, sig9, lost, deaf; or never, stubborn, refused.
func (s *story) setOutcome(words []string) (string, error) {
	var plan []fake.Outcome
	for _, text := range words[1:] {
		kind, after, _ := strings.Cut(text, "/")
		o := fake.Outcome{After: time.Second}
		if after != "" {
			o.After = s.duration(after)
		}
		switch {
		case kind == "ok":
		case strings.HasPrefix(kind, "exit"):
			o.ExitCode = int(*s.number(kind[4:]))
		case strings.HasPrefix(kind, "sig"):
			o.Signal = int(*s.number(kind[3:]))
		case kind == "never":
			o.Never = true
		case kind == "stubborn": // ends only when it is killed
			o.Never, o.IgnoreTerm = true, true
		case kind == "deaf": // takes no notice of a stop, and fails
			o.ExitCode, o.IgnoreTerm = 1, true
		case kind == "lost":
			o.Lost = true
		case kind == "refused":
			o.StartReason = "LAUNCH ERROR | no such file"
		default:
			s.t.Fatalf("no such outcome: %s", text)
		}
		plan = append(plan, o)
	}
	s.plan(words[0], plan...)
	return "", nil
}

// trigger NAME TYPE [in=WORKFLOW] [inactive] [all|any] [JOB=STATE…] -> ACTION…
// An action is a job, or crawler:NAME, with [KEY:VALUE,…] as its arguments; so is
// what a condition watches.
func (s *story) trigger(args []string) (string, error) {
	arrow := slices.Index(args, "->")
	words, opts := options(args[:arrow])
	in := &glue.CreateTriggerInput{Name: &words[0], Type: types.TriggerType(strings.ToUpper(strings.ReplaceAll(words[1], "-", "_")))}
	if w, ok := opts["in"]; ok {
		in.WorkflowName = &w
		delete(opts, "in")
	}
	in.StartOnCreation = in.Type == types.TriggerTypeConditional && !slices.Contains(words, "inactive")
	for _, a := range args[:arrow] {
		watched, state, ok := strings.Cut(a, "=")
		if !ok || watched == "in" {
			continue
		}
		if in.Predicate == nil {
			in.Predicate = &types.Predicate{}
		}
		c := types.Condition{LogicalOperator: types.LogicalOperatorEquals}
		if crawler, ok := strings.CutPrefix(watched, "crawler:"); ok {
			c.CrawlerName, c.CrawlState = &crawler, types.CrawlState(state)
		} else {
			c.JobName, c.State = &watched, types.JobRunState(state)
		}
		in.Predicate.Conditions = append(in.Predicate.Conditions, c)
	}
	switch {
	case slices.Contains(words, "any"):
		in.Predicate.Logical = types.LogicalAny
	case slices.Contains(words, "all"):
		in.Predicate.Logical = types.LogicalAnd
	}
	for _, a := range args[arrow+1:] {
		name, rest, _ := strings.Cut(a, "[")
		action := types.Action{JobName: &name}
		if crawler, ok := strings.CutPrefix(name, "crawler:"); ok {
			action = types.Action{CrawlerName: &crawler}
		}
		for _, kv := range strings.FieldsFunc(rest, func(r rune) bool { return r == ',' || r == ']' }) {
			k, v, _ := strings.Cut(kv, ":")
			if action.Arguments == nil {
				action.Arguments = map[string]string{}
			}
			action.Arguments[k] = v
		}
		in.Actions = append(in.Actions, action)
	}
	_, err := s.glue.CreateTrigger(s.t.Context(), in)
	return "", err
}

// start WORKFLOW [KEY=VALUE…]
func (s *story) startRun(args []string) (string, error) {
	words, opts := options(args)
	out, err := s.glue.StartWorkflowRun(s.t.Context(), &glue.StartWorkflowRunInput{Name: &words[0], RunProperties: opts})
	if err != nil {
		return "", err
	}
	return s.name("run", *out.RunId) + "\n", nil
}

func (s *story) startTrigger(args []string) (string, error) {
	_, err := s.glue.StartTrigger(s.t.Context(), &glue.StartTriggerInput{Name: &args[0]})
	return "", err
}

func (s *story) stopTrigger(args []string) (string, error) {
	_, err := s.glue.StopTrigger(s.t.Context(), &glue.StopTriggerInput{Name: &args[0]})
	return "", err
}

// start-job JOB [--KEY=VALUE…]
func (s *story) startJob(args []string) (string, error) {
	words, opts := options(args)
	out, err := s.glue.StartJobRun(s.t.Context(), &glue.StartJobRunInput{JobName: &words[0], Arguments: opts})
	if err != nil {
		return "", err
	}
	return s.jobRunName(words[0], *out.JobRunId) + "\n", nil
}

// stop WORKFLOW RUN
func (s *story) stopRun(args []string) (string, error) {
	_, err := s.glue.StopWorkflowRun(s.t.Context(), &glue.StopWorkflowRunInput{Name: &args[0], RunId: s.id(args[1])})
	return "", err
}

// resume WORKFLOW RUN NODE… prints the new run and the nodes that start. A node is
// given by its name in the run's graph; ? is one that does not exist.
func (s *story) resume(args []string) (string, error) {
	ids, names := map[string]string{"?": "wnode_0"}, map[string]string{}
	if out, err := s.glue.GetWorkflowRun(s.t.Context(), &glue.GetWorkflowRunInput{Name: &args[0], RunId: s.id(args[1]), IncludeGraph: aws.Bool(true)}); err == nil {
		for _, n := range out.Run.Graph.Nodes {
			ids[*n.Name], names[*n.UniqueId] = *n.UniqueId, *n.Name
		}
	}
	in := &glue.ResumeWorkflowRunInput{Name: &args[0], RunId: s.id(args[1]), NodeIds: []string{}}
	for _, name := range args[2:] {
		in.NodeIds = append(in.NodeIds, ids[name])
	}
	out, err := s.glue.ResumeWorkflowRun(s.t.Context(), in)
	if err != nil {
		return "", err
	}
	line := s.name("run", *out.RunId) + " starts"
	for _, id := range out.NodeIds {
		line += " " + names[id]
	}
	return line + "\n", nil
}

// stop-job JOB JOBRUN…
func (s *story) stopJob(args []string) (string, error) {
	in := &glue.BatchStopJobRunInput{JobName: &args[0]}
	for _, a := range args[1:] {
		in.JobRunIds = append(in.JobRunIds, *s.id(a))
	}
	out, err := s.glue.BatchStopJobRun(s.t.Context(), in)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, ok := range out.SuccessfulSubmissions {
		fmt.Fprintf(&b, "submitted %s\n", s.named(*ok.JobRunId))
	}
	for _, e := range out.Errors {
		fmt.Fprintf(&b, "refused %s: %s %s\n", s.named(*e.JobRunId), *e.ErrorDetail.ErrorCode, *e.ErrorDetail.ErrorMessage)
	}
	return b.String(), nil
}

// put WORKFLOW RUN KEY=VALUE…
func (s *story) put(args []string) (string, error) {
	words, opts := options(args)
	_, err := s.glue.PutWorkflowRunProperties(s.t.Context(), &glue.PutWorkflowRunPropertiesInput{Name: &words[0], RunId: s.id(words[1]), RunProperties: opts})
	return "", err
}

func (s *story) pass(args []string) (string, error) {
	s.advance(s.duration(args[0]))
	return "", nil
}

func (s *story) deleteWorkflow(args []string) (string, error) {
	_, err := s.glue.DeleteWorkflow(s.t.Context(), &glue.DeleteWorkflowInput{Name: &args[0]})
	return "", err
}

func (s *story) deleteJob(args []string) (string, error) {
	_, err := s.glue.DeleteJob(s.t.Context(), &glue.DeleteJobInput{JobName: &args[0]})
	return "", err
}

func (s *story) deleteTrigger(args []string) (string, error) {
	_, err := s.glue.DeleteTrigger(s.t.Context(), &glue.DeleteTriggerInput{Name: &args[0]})
	return "", err
}

// show WORKFLOW RUN
func (s *story) show(args []string) (string, error) {
	out, err := s.glue.GetWorkflowRun(s.t.Context(), &glue.GetWorkflowRunInput{Name: &args[0], RunId: s.id(args[1]), IncludeGraph: aws.Bool(true)})
	if err != nil {
		return "", err
	}
	s.check(out.Run)
	return s.writeRun(out.Run), nil
}

// runs WORKFLOW lists its runs, newest first.
func (s *story) runs(args []string) (string, error) {
	out, err := s.glue.GetWorkflowRuns(s.t.Context(), &glue.GetWorkflowRunsInput{Name: &args[0]})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, r := range out.Runs {
		fmt.Fprintf(&b, "%s %s\n", s.name("run", *r.WorkflowRunId), r.Status)
	}
	return b.String(), nil
}

// job-runs JOB lists its attempts, newest first, with their predecessors.
func (s *story) jobRuns(args []string) (string, error) {
	out, err := s.glue.GetJobRuns(s.t.Context(), &glue.GetJobRunsInput{JobName: &args[0]})
	if err != nil {
		return "", err
	}
	for _, r := range slices.Backward(out.JobRuns) { // named in order of their starts
		s.jobRunName(args[0], *r.Id)
	}
	var b strings.Builder
	for _, r := range out.JobRuns {
		full, err := s.glue.GetJobRun(s.t.Context(), &glue.GetJobRunInput{JobName: &args[0], RunId: r.Id, PredecessorsIncluded: true})
		if err != nil {
			return "", err
		}
		b.WriteString(s.writeJobRun(*full.JobRun))
	}
	return b.String(), nil
}

func (s *story) number(text string) *int32 {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		s.t.Fatal(err)
	}
	return aws.Int32(int32(n))
}

func (s *story) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// name gives an id a name: its kind and the next number of that kind.
func (s *story) name(kind, id string) string {
	if n, ok := s.names[id]; ok {
		return n
	}
	s.count[kind]++
	n := fmt.Sprintf("%s-%d", kind, s.count[kind])
	s.names[id], s.ids[n] = n, id
	return n
}

// jobRunName names a job run by its job; retries keep their ending.
func (s *story) jobRunName(job, id string) string {
	base, attempt, retry := strings.Cut(id, "_attempt_")
	n := s.name(job, base)
	if retry {
		n += "_attempt_" + attempt
		s.names[id], s.ids[n] = n, id
	}
	return n
}

func (s *story) id(name string) *string {
	id, ok := s.ids[name]
	if !ok {
		id = name // to ask for what does not exist
	}
	return &id
}

// named replaces ids in a text.
func (s *story) named(text string) string {
	for _, id := range slices.SortedFunc(maps.Keys(s.names), func(a, b string) int { return cmp.Compare(len(b), len(a)) }) {
		text = strings.ReplaceAll(text, id, s.names[id])
	}
	return text
}

// active lists what /_tenon/runs lists: orphans and chains too.
func (s *story) active([]string) (string, error) {
	runs := s.activeRuns()
	var b strings.Builder
	for _, r := range runs {
		kind := "run"
		if r.Kind == "chain" {
			kind = "chain"
		}
		fmt.Fprintf(&b, "%s %s of %q", s.name(kind, r.ID), r.Status, r.Workflow)
		if r.Orphaned {
			b.WriteString(", orphaned")
		}
		b.WriteString("\n")
	}
	if len(runs) == 0 {
		return "nothing\n", nil
	}
	return b.String(), nil
}

// stop-active RUN
func (s *story) stopActive(args []string) (string, error) {
	status, body := s.own("POST", "/_tenon/runs/"+*s.id(args[0])+"/stop", nil)
	if status != 200 {
		return s.named(fmt.Sprintf("! %d %s\n", status, bytes.TrimSpace(body))), nil
	}
	return "", nil
}
