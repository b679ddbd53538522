package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/term"
)

type logsCommand struct {
	ID         string `arg:"" name:"run" help:"A job run (jr_…), or a workflow run (wr_…) for those of all its jobs."`
	Follow     bool   `short:"f" help:"Go on until the run has ended."`
	Stream     string `help:"Only what went to stdout or stderr." enum:"all,stdout,stderr" default:"all"`
	Timestamps bool   `short:"t" help:"Begin each line with its time."`
	Raw        bool   `help:"Do not escape control characters on a terminal."`
	Workflow   string `help:"The workflow of a wr_… run; spares a search." placeholder:"NAME"`
	serverFlags
}

// Run prints logs.
func (c *logsCommand) Run(s *session) error {
	ctx := s.soft
	jobRun := strings.HasPrefix(c.ID, "jr_")
	if !jobRun && !strings.HasPrefix(c.ID, "wr_") {
		return usagef("%q is no run: job runs begin with jr_, workflow runs with wr_", c.ID)
	}
	cl, err := s.connect(ctx, c.serverFlags)
	if err != nil {
		return err
	}
	safe := !c.Raw && isTerminal(s.Stdout)
	if jobRun {
		p := &logPrinter{out: s.Stdout, meta: s.Stderr, only: c.Stream, stamps: c.Timestamps, safe: safe}
		return interrupted(ctx, cl.logs(ctx, c.ID, c.Follow, p.print, p.flush))
	}
	workflow := c.Workflow
	if workflow == "" {
		if workflow, err = cl.workflowOf(ctx, c.ID); err != nil {
			return interrupted(ctx, err)
		}
	}
	return interrupted(ctx, c.workflowLogs(ctx, s, cl, workflow, safe))
}

// workflowLogs prints what all jobs of a run wrote, each line with its job's
// name before it: one job after the other, or with --follow as it comes.
func (c *logsCommand) workflowLogs(ctx context.Context, s *session, cl *client, workflow string, safe bool) error {
	out, meta := &lockedWriter{w: s.Stdout}, &lockedWriter{w: s.Stderr}
	seen := map[string]bool{}
	var readers sync.WaitGroup
	var failed firstError
	visit := func(snap snapshot) error {
		width := nameWidth(snap)
		for _, n := range snap.Nodes {
			for _, a := range n.Actions {
				for _, t := range a.Attempts {
					if seen[t.ID] || t.ID == "" || c.Follow && !t.final() && t.State != "RUNNING" && t.State != "STOPPING" {
						continue
					}
					seen[t.ID] = true
					p := &logPrinter{out: out, meta: meta, only: c.Stream, stamps: c.Timestamps, safe: safe, prefix: fmt.Sprintf("%-*s | ", width, visible(n.Name))}
					read := func() { failed.set(missingIsFine(cl.logs(ctx, t.ID, c.Follow, p.print, p.flush))) }
					if c.Follow {
						readers.Go(read)
					} else {
						read()
					}
				}
			}
		}
		return failed.get()
	}
	var err error
	if c.Follow {
		_, err = cl.watch(ctx, workflow, c.ID, visit)
	} else {
		var snap snapshot
		if snap, err = cl.snapshot(ctx, workflow, c.ID); err == nil {
			err = visit(snap)
		}
	}
	readers.Wait()
	return errors.Join(err, failed.get())
}

// missingIsFine: a job that wrote nothing has no log.
func missingIsFine(err error) error {
	var status *statusError
	if errors.As(err, &status) && status.status == http.StatusNotFound {
		return nil
	}
	return err
}

// workflowOf finds the workflow that a run belongs to. Glue's API names runs by
// their workflow only, so all workflows are asked.
func (c *client) workflowOf(ctx context.Context, run string) (string, error) {
	pages := glue.NewListWorkflowsPaginator(c.glue, &glue.ListWorkflowsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", fmt.Errorf("list workflows: %w", err)
		}
		for _, w := range page.Workflows {
			_, err := c.glue.GetWorkflowRun(ctx, &glue.GetWorkflowRunInput{Name: &w, RunId: &run})
			var missing *types.EntityNotFoundException
			switch {
			case err == nil:
				return w, nil
			case !errors.As(err, &missing):
				return "", fmt.Errorf("look for run %s: %w", run, err)
			}
		}
	}
	return "", fmt.Errorf("no workflow has a run %s", run)
}

// logRecord is one piece of output as /_tenon/logs sends it.
type logRecord struct {
	Time   time.Time `json:"time"`
	Stream string    `json:"stream"` // stdout, stderr or meta
	Data   []byte    `json:"data"`
}

// logs hands the output of a job run to print, and calls flush at its end.
func (c *client) logs(ctx context.Context, jobRun string, follow bool, print func(logRecord) error, flush func() error) (err error) {
	query := url.Values{}
	if follow {
		query.Set("follow", "1")
	}
	body, err := c.open(ctx, http.MethodGet, "/_tenon/logs/"+url.PathEscape(jobRun), query, nil)
	if err != nil {
		return fmt.Errorf("read logs of %s: %w", jobRun, err)
	}
	defer func() { err = errors.Join(err, flush(), body.Close()) }()
	for in := jsontext.NewDecoder(body); ; {
		var r logRecord
		if err := json.UnmarshalDecode(in, &r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read logs of %s: %w", jobRun, err)
		}
		if err := print(r); err != nil {
			return fmt.Errorf("print logs: %w", err)
		}
	}
}

// logPrinter writes records as text. What is neither made safe nor begun with a
// prefix or time is passed through byte by byte.
type logPrinter struct {
	out, meta    io.Writer
	only         string // a stream, or "all"
	prefix       string
	stamps, safe bool

	partial map[string][]byte    // the unfinished line of each stream
	since   map[string]time.Time // when it began
}

func (p *logPrinter) print(r logRecord) error {
	if r.Stream == "meta" {
		_, err := fmt.Fprintf(p.meta, "%s[tenon] %s\n", p.prefix, visible(strings.TrimRight(string(r.Data), "\n")))
		return err
	}
	if p.only != "all" && p.only != r.Stream {
		return nil
	}
	if p.prefix == "" && !p.stamps && !p.safe {
		_, err := p.out.Write(r.Data)
		return err
	}
	if p.partial == nil {
		p.partial, p.since = map[string][]byte{}, map[string]time.Time{}
	}
	for rest := r.Data; len(rest) > 0; {
		if len(p.partial[r.Stream]) == 0 {
			p.since[r.Stream] = r.Time
		}
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		p.partial[r.Stream] = append(p.partial[r.Stream], line...)
		// A line that never ends must not fill the memory.
		if whole || len(p.partial[r.Stream]) > 1<<20 {
			if err := p.line(r.Stream); err != nil {
				return err
			}
		}
		rest = after
	}
	return nil
}

func (p *logPrinter) line(stream string) error {
	text := string(p.partial[stream])
	if p.safe {
		text = escape(text, "\t")
	}
	stamp := ""
	if p.stamps {
		stamp = p.since[stream].UTC().Format("2006-01-02T15:04:05.000Z ")
	}
	p.partial[stream] = p.partial[stream][:0]
	_, err := fmt.Fprintf(p.out, "%s%s%s\n", p.prefix, stamp, text)
	return err
}

// flush ends lines that the job did not end.
func (p *logPrinter) flush() error {
	for _, stream := range sorted(p.partial) {
		if len(p.partial[stream]) > 0 {
			if err := p.line(stream); err != nil {
				return err
			}
		}
	}
	return nil
}

// tail keeps the last lines of each stream.
type tail struct {
	most  int
	lines map[string][]string
}

func (t *tail) Write(stream string, b []byte) {
	for line := range strings.Lines(string(b)) {
		t.lines[stream] = append(t.lines[stream], strings.TrimRight(line, "\r\n"))
	}
	if n := len(t.lines[stream]); n > t.most {
		t.lines[stream] = append([]string(nil), t.lines[stream][n-t.most:]...)
	}
}

// lastLines gives the end of what a job run wrote to stderr, or to stdout if
// that is empty.
func (c *client) lastLines(ctx context.Context, jobRun string, most int) ([]string, error) {
	t := &tail{most: most, lines: map[string][]string{}}
	sinks := map[string]*logPrinter{}
	for _, stream := range []string{"stdout", "stderr"} {
		// A blank stamp makes the printer cut the output into lines.
		sinks[stream] = &logPrinter{out: writerFunc(func(b []byte) { t.Write(stream, b) }), meta: io.Discard, only: stream, safe: true}
	}
	err := c.logs(ctx, jobRun, false, func(r logRecord) error {
		return errors.Join(sinks["stdout"].print(r), sinks["stderr"].print(r))
	}, func() error { return errors.Join(sinks["stdout"].flush(), sinks["stderr"].flush()) })
	if err := missingIsFine(err); err != nil {
		return nil, err
	}
	if len(t.lines["stderr"]) > 0 {
		return t.lines["stderr"], nil
	}
	return t.lines["stdout"], nil
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

// lockedWriter lets several jobs' lines share a writer.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

type firstError struct {
	mu  sync.Mutex
	err error
}

func (f *firstError) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *firstError) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
