package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"

	"tenon"
	"tenon/internal/template"
)

type runCommand struct {
	Path     string   `arg:"" help:"A folder with a template and optionally a tree s3/BUCKET/KEY, or a template." type:"path"`
	Workflow string   `help:"The workflow to run, by name or logical id, if the template has several." placeholder:"N"`
	Stack    string   `help:"Name of the stack; by default the folder's." placeholder:"N"`
	Param    []string `help:"A parameter of the template; may be repeated." placeholder:"K=V" sep:"none"`
	Property []string `help:"A property of the run; may be repeated." placeholder:"K=V" sep:"none"`
	Out      string   `help:"Copy the objects that the run wrote to DIR/BUCKET/KEY." placeholder:"DIR" type:"path"`
	Keep     bool     `help:"Let a server that is started for this run keep run and results in the data directory."`
	progressFlag
	serverFlags
	jobFlags `embed:"" group:"For a server that is started for this run:"`
}

type progressFlag struct {
	Progress string `help:"How progress is shown: a table, lines, or auto for a table on terminals." enum:"auto,table,lines" default:"auto" env:"TENON_PROGRESS"`
}

// tailLines is how much of a failed job's output is shown.
const tailLines = 20

// Run runs a workflow to its end. It succeeds if judge finds no fault.
func (c *runCommand) Run(s *session) (err error) {
	params, err := assignments("param", c.Param)
	if err != nil {
		return err
	}
	properties, err := assignments("property", c.Property)
	if err != nil {
		return err
	}
	name, err := stackName(c.Stack, c.Path)
	if err != nil {
		return err
	}
	t, err := template.Load(c.Path)
	if err != nil {
		return usageError{err}
	}
	log := &serverLog{}
	cl, closeServer, err := c.server(s, log)
	if err != nil {
		return interrupted(s.soft, err)
	}
	defer func() {
		err = joinClose(err, closeServer)
		s.notef("%s", log.text())
	}()
	ev, workflow, before, err := c.prepare(s, cl, t, name, params)
	if err != nil {
		return interrupted(s.soft, err)
	}
	started, err := cl.glue.StartWorkflowRun(s.soft, &glue.StartWorkflowRunInput{Name: &workflow, RunProperties: properties})
	if err != nil {
		return interrupted(s.soft, fmt.Errorf("start workflow %s: %w", workflow, err))
	}
	run := aws.ToString(started.RunId)
	s.printf("run     %s of %s\n", run, visible(workflow))
	if err := s.follow(cl, workflow, run, c.Progress, true); err != nil {
		return err
	}
	for _, o := range ev.Outputs {
		s.printf("output  %s = %s\n", visible(o.Name), visible(o.Value))
	}
	if c.Out != "" {
		err = s.fetch(s.hard, cl, c.Out, before)
	}
	return errors.Join(s.conclude(cl, workflow, run), err)
}

// server finds a server or starts one.
func (c *runCommand) server(s *session, log *serverLog) (cl *client, closeServer func() error, err error) {
	cl, err = s.connect(s.soft, c.serverFlags)
	switch {
	case err == nil:
		s.printf("server  %s\n", visible(cl.endpoint))
		return cl, func() error { return nil }, nil
	case !errors.Is(err, errNoServer):
		return nil, nil, err
	}
	cl, closeServer, err = s.embed(c.jobFlags, c.Keep, newLogger(log, "text", slog.LevelWarn))
	if err == nil {
		where := "private to this run"
		if c.Keep {
			where = "on " + s.Data
		}
		s.printf("server  %s, %s\n", cl.endpoint, visible(where))
	}
	return cl, closeServer, err
}

// ownClient speaks to a server in this process.
func ownClient(server *tenon.Server, cfg tenon.Config) (*client, error) {
	id, secret, err := server.Credentials()
	if err != nil {
		return nil, fmt.Errorf("read the server's credentials: %w", err)
	}
	hc, err := httpClient("")
	if err != nil {
		return nil, err
	}
	account := cfg.Account
	if account == "" {
		account = defaultAccount
	}
	return newClient(server.URL(), cfg.Region, account, aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, Source: "own server"}, hc), nil
}

// prepare applies the stack, uploads the tree and picks the workflow. before is
// what its buckets hold at the start of the run.
func (c *runCommand) prepare(s *session, cl *client, t *template.Template, name string, params map[string]string) (
	ev *template.Evaluated, workflow string, before contents, err error,
) {
	ev, err = s.applyStack(s.soft, cl, t, name, params, func(ev *template.Evaluated) error {
		workflow, err = ev.Workflow(c.Workflow)
		return err
	})
	if err != nil {
		return nil, "", nil, err
	}
	uploaded, err := s.upload(s.soft, cl, c.Path, ev)
	if err == nil && c.Out != "" {
		before, err = cl.contents(s.soft, bucketsOf(ev, uploaded))
	}
	return ev, workflow, before, err
}

// follow shows a run until it is over. The first signal stops the run if it is
// ours to stop, else only the watching; the second leaves in any case.
func (s *session) follow(cl *client, workflow, run, how string, ours bool) error {
	d := s.newDisplay(how)
	defer d.end()
	stopped := false
	ctx := s.hard
	if !ours {
		ctx = s.soft
	}
	// Looking stops for a moment when the first signal comes, so that it is heard at once.
	for {
		watching, cancel := context.WithCancelCause(ctx)
		unhook := func() bool { return true }
		if !stopped {
			unhook = context.AfterFunc(s.soft, func() { cancel(errInterrupted) })
		}
		_, err := cl.watch(watching, workflow, run, func(now snapshot) error { d.show(now); return nil })
		unhook()
		cancel(nil)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil && ours:
			d.note("Left before the end of run " + run + ".")
			return errInterrupted
		case ctx.Err() != nil:
			return errInterrupted
		case s.soft.Err() == nil || stopped:
			return err
		}
		stopped = true
		d.note("Stopping the run; press Ctrl-C again to leave without waiting.")
		if _, err := cl.glue.StopWorkflowRun(ctx, &glue.StopWorkflowRunInput{Name: &workflow, RunId: &run}); err != nil {
			d.note("It cannot be stopped: " + visible(plain(err)))
		}
	}
}

// conclude prints how a run ended: its nodes, what failed jobs wrote last, and
// the verdict.
func (s *session) conclude(cl *client, workflow, run string) error {
	ctx := s.hard
	snap, err := cl.snapshot(ctx, workflow, run)
	if err != nil {
		return interrupted(ctx, err)
	}
	why, err := cl.explain(ctx, workflow, run)
	if err != nil {
		return interrupted(ctx, err)
	}
	s.printf("\n")
	for _, line := range finalTable(snap, why, time.Now()) {
		s.printf("%s\n", line)
	}
	for _, n := range snap.Nodes {
		for _, a := range n.Actions {
			t := a.last()
			if t.ID == "" || t.State == "SUCCEEDED" {
				continue
			}
			text, err := cl.lastLines(ctx, t.ID, tailLines)
			if err != nil {
				return interrupted(ctx, err)
			}
			if len(text) > 0 {
				s.printf("\n%s wrote last (tenon logs %s):\n", visible(n.Name), visible(t.ID))
			}
			for _, line := range text {
				s.printf("  | %s\n", line)
			}
		}
	}
	s.printf("\n")
	took := span(snap.Completed.Sub(snap.Started))
	faults := judge(snap, why)
	if len(faults) == 0 {
		s.printf("run %s of %s succeeded in %s\n", visible(run), visible(workflow), took)
		return nil
	}
	s.printf("run %s of %s is no success (%s after %s):\n", visible(run), visible(workflow), visible(snap.Status), took)
	for _, f := range faults {
		s.printf("  - %s\n", f)
	}
	return errFailed
}

func joinClose(err error, closeServer func() error) error {
	if closing := closeServer(); closing != nil {
		return errors.Join(err, closing)
	}
	return err
}

// serverLog keeps the warnings of a server in this process until the command
// ends, so that they do not cut through the table of progress.
type serverLog struct {
	mu      sync.Mutex
	kept    bytes.Buffer
	dropped int
}

// Write keeps a record.
func (l *serverLog) Write(b []byte) (int, error) {
	const most = 64 << 10
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kept.Len()+len(b) > most {
		l.dropped++
		return len(b), nil
	}
	return l.kept.Write(b)
}

func (l *serverLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := lines(l.kept.String())
	if l.dropped > 0 {
		out += fmt.Sprintf("… and %d more warnings\n", l.dropped)
	}
	return out
}
