// Package cli is the command line: it guarantees that every command, flag and
// environment name stands in one set of structs, that a mistake of the user ends
// with one clear sentence and exit code 2 before anything is changed, and that
// nothing a job or a server wrote can move the cursor or change the colours of
// the terminal it is shown on.
//
// Commands are clients: apart from serve, and from run when no server is there,
// they speak to a server over HTTP as any AWS SDK does. What decides (the exit
// code of a run, the lines of its progress) are pure functions of a snapshot.
//
// It holds no behaviour of the server, prints no secret except a credential that
// it has just made, takes none as an argument, and stores nothing on disk.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"tenon"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2 // the command line, the template or the s3 tree is wrong
	exitInterrupted = 130
)

// Process is what a command has of the process it runs in.
type Process struct {
	Stdout, Stderr io.Writer
	// Getenv reads a variable of the environment; package cli may not do so itself.
	Getenv func(string) string
	// Signals delivers SIGINT and SIGTERM.
	Signals <-chan os.Signal
}

// Main runs the command line args, without the program's name, as the process
// that it is called in, and returns the exit code.
func Main(args []string, getenv func(string) string) int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	return Run(args, Process{Stdout: os.Stdout, Stderr: os.Stderr, Getenv: getenv, Signals: signals})
}

// Run runs the command line args and returns the exit code.
func Run(args []string, p Process) int {
	g := &grammar{}
	exited := false
	parser, err := newParser(g, p, func() { exited = true })
	if err != nil {
		return report(p, err)
	}
	parsed, err := parser.Parse(args)
	if exited { // --help was printed
		return exitOK
	}
	if err != nil {
		return report(p, usagef("%w (see tenon --help)", err))
	}
	s, done := newSession(p, &g.Globals)
	defer done()
	return report(p, parsed.Run(s))
}

// grammar is the whole command line.
type grammar struct {
	Globals

	Serve       serveCommand       `cmd:"" help:"Run the server."`
	Run         runCommand         `cmd:"" help:"Run a workflow from a folder with a template, to its end."`
	Apply       applyCommand       `cmd:"" help:"Create, update or delete a stack from a template."`
	Workflow    workflowCommand    `cmd:"" help:"Start, watch, stop and look at workflows."`
	Logs        logsCommand        `cmd:"" help:"Print what jobs wrote."`
	Env         envCommand         `cmd:"" help:"Print shell exports of endpoint, region and credentials: eval \"$(tenon env)\"."`
	Credentials credentialsCommand `cmd:"" help:"List, add, rotate and revoke credentials."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

// Globals are the flags that all commands share.
type Globals struct {
	Data    string `help:"Data directory of the server; by default ./.tenon." placeholder:"DIR" default:"./.tenon" env:"TENON_DATA"`
	Region  string `help:"AWS region; by default ${region}, and for clients that of the server." env:"TENON_REGION"`
	Account string `help:"AWS account, 12 digits. Clients take it from the data directory if they can." placeholder:"ID" env:"TENON_ACCOUNT"`
}

func newParser(g *grammar, p Process, exit func()) (*kong.Kong, error) {
	return kong.New(g,
		kong.Name("tenon"),
		kong.Description("A self-hosted, wire-compatible AWS Glue workflow service."),
		kong.Vars{"region": tenon.DefaultRegion, "listen": tenon.DefaultListen},
		kong.Writers(p.Stdout, p.Stderr),
		kong.Exit(func(int) { exit() }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
}

// usageError is a mistake in what the user wrote.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errFailed ends a command that has said already what is wrong.
var errFailed = errors.New("")

// errInterrupted is the cause of contexts that a signal ended.
var errInterrupted = errors.New("interrupted")

// report prints an error once and turns it into an exit code.
func report(p Process, err error) int {
	if err == nil {
		return exitOK
	}
	if text := strings.TrimSpace(lines(plain(err))); text != "" {
		fmt.Fprintln(p.Stderr, "tenon: "+text)
	}
	var usage usageError
	switch {
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, &usage):
		return exitUsage
	}
	return exitFailed
}

// session is one command at work.
type session struct {
	Process
	*Globals
	// soft ends with the first signal, hard with the second.
	soft, hard context.Context
}

// newSession starts listening to signals; done stops it and waits.
func newSession(p Process, g *Globals) (s *session, done func()) {
	soft, endSoft := context.WithCancelCause(context.Background())
	hard, endHard := context.WithCancelCause(context.Background())
	quit, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for _, end := range []context.CancelCauseFunc{endSoft, endHard} {
			select {
			case <-p.Signals:
				end(errInterrupted)
			case <-quit:
				return
			}
		}
	}()
	return &session{Process: p, Globals: g, soft: soft, hard: hard}, func() {
		close(quit)
		<-stopped
		endSoft(nil)
		endHard(nil)
	}
}

// interrupted turns an error that only says that a context ended into the reason why.
func interrupted(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errInterrupted) {
		return errInterrupted
	}
	return err
}

func (s *session) printf(format string, args ...any) { fmt.Fprintf(s.Stdout, format, args...) }

func (s *session) notef(format string, args ...any) { fmt.Fprintf(s.Stderr, format, args...) }

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(s *session) error {
	s.printf("tenon %s\n", tenon.Version())
	return nil
}
