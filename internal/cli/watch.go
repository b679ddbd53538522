package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/smithy-go"
	"golang.org/x/term"
)

// How often a run is looked at: often while something happens, less the longer
// nothing does.
const (
	pollFastest = 100 * time.Millisecond
	pollSlowest = 500 * time.Millisecond
	// patience is how long a server may be away, for example to restart.
	patience = time.Minute
)

func (c *client) snapshot(ctx context.Context, workflow, run string) (snapshot, error) {
	out, err := c.glue.GetWorkflowRun(ctx, &glue.GetWorkflowRunInput{Name: &workflow, RunId: &run, IncludeGraph: aws.Bool(true)})
	if err != nil {
		return snapshot{}, fmt.Errorf("read run %s: %w", run, err)
	}
	if out.Run == nil {
		return snapshot{}, fmt.Errorf("read run %s: the server's answer has no run", run)
	}
	return takeSnapshot(out.Run), nil
}

// watch shows each look at a run to see, until the run is over.
func (c *client) watch(ctx context.Context, workflow, run string, see func(snapshot) error) (snapshot, error) {
	var before snapshot
	wait, away := pollFastest, time.Time{}
	for {
		now, err := c.snapshot(ctx, workflow, run)
		var answered smithy.APIError
		switch {
		case err == nil:
			away = time.Time{}
			if err := see(now); err != nil || now.terminal() {
				return now, err
			}
			if wait = min(wait*5/4, pollSlowest); !reflect.DeepEqual(now, before) {
				wait = pollFastest
			}
			before = now
		case ctx.Err() != nil || errors.As(err, &answered) && answered.ErrorFault() == smithy.FaultClient:
			return before, err
		case away.IsZero():
			away, wait = time.Now(), pollSlowest
		case time.Since(away) > patience:
			return before, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return before, context.Cause(ctx)
		}
	}
}

// display shows the progress of one run.
type display interface {
	show(s snapshot)
	// note prints a line that stays.
	note(line string)
	// end removes what must not stay.
	end()
}

// newDisplay redraws a table on a terminal, and writes a line per change elsewhere.
func (s *session) newDisplay(how string) display {
	f, ok := s.Stdout.(*os.File)
	if how == "lines" || how == "auto" && !isTerminal(s.Stdout) {
		return &lineDisplay{out: s.Stdout}
	}
	return &tableDisplay{out: s.Stdout, size: func() (int, int) {
		if !ok {
			return 0, 0
		}
		width, height, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 80, 24
		}
		return width, height
	}}
}

type lineDisplay struct {
	out  io.Writer
	last snapshot
}

func (d *lineDisplay) show(s snapshot) {
	for _, line := range changes(d.last, s, time.Now()) {
		fmt.Fprintln(d.out, line)
	}
	d.last = s
}

func (d *lineDisplay) note(line string) { fmt.Fprintln(d.out, line) }
func (d *lineDisplay) end()             {}

// tableDisplay draws over what it drew before.
type tableDisplay struct {
	out   io.Writer
	size  func() (width, height int)
	drawn int
}

func (d *tableDisplay) show(s snapshot) {
	width, height := d.size()
	d.draw(statusTable(s, time.Now(), width, height))
}

// draw writes one picture in one go, so that it does not flicker.
func (d *tableDisplay) draw(picture []string) {
	var b strings.Builder
	b.WriteString(d.back())
	for _, line := range picture {
		b.WriteString(line + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	d.drawn = len(picture)
	fmt.Fprint(d.out, b.String())
}

// back moves the cursor to the beginning of the last picture.
func (d *tableDisplay) back() string {
	if d.drawn == 0 {
		return ""
	}
	return fmt.Sprintf("\r\x1b[%dA", d.drawn)
}

func (d *tableDisplay) note(line string) {
	d.end()
	fmt.Fprintln(d.out, line)
}

func (d *tableDisplay) end() {
	if d.drawn > 0 {
		fmt.Fprint(d.out, d.back()+"\x1b[J")
	}
	d.drawn = 0
}
