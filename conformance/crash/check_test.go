//go:build linux

package crash

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"tenon/internal/store"
	"tenon/internal/store/sqlstore"
)

// unknown begins the message of an attempt of which nobody knows how it ended.
const unknown = "The outcome of this attempt is unknown: "

// evidence is what the processes themselves wrote.
type evidence struct {
	starts   map[string][]life // by attempt; more than one is a second launch
	exits    map[string]int
	overlaps []string
}

// life is a process that was started.
type life struct {
	pid   int
	birth uint64
}

// read reads the evidence. A line that is not complete was never written: each
// is one write.
func (r *rig) read() evidence {
	r.Helper()
	e := evidence{starts: map[string][]life{}, exits: map[string]int{}}
	text, err := os.ReadFile(filepath.Join(r.evidence, "log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		r.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var attempt, job string
		var l life
		var code int
		switch {
		case strings.HasPrefix(line, "overlap "):
			e.overlaps = append(e.overlaps, line)
		case scans(line, "start %s %s %d %d", &attempt, &job, &l.pid, &l.birth):
			e.starts[attempt] = append(e.starts[attempt], l)
		case scans(line, "end %s %d", &attempt, &code):
			e.exits[attempt] = code
		default:
			r.Fatalf("evidence nobody writes: %q", line)
		}
	}
	return e
}

func scans(line, format string, to ...any) bool {
	n, err := fmt.Sscanf(line, format, to...)
	return err == nil && n == len(to)
}

// alive tells whether the very process is still there.
func (l life) alive() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", l.pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	return len(fields) > 19 && fields[0] != "Z" && fields[19] == strconv.FormatUint(l.birth, 10)
}

// checkEvidence holds at every instant: no attempt was launched twice, and no
// process met another beside which it may not live (invariants 8, 19, 25). Locks
// are held as long as a process lives, so a survivor beside its retry shows here.
func (r *rig) checkEvidence() evidence {
	r.Helper()
	e := r.read()
	for attempt, lives := range e.starts {
		if len(lives) > 1 {
			r.Errorf("%s was launched %d times: %v", attempt, len(lives), lives)
		}
	}
	for _, o := range e.overlaps {
		r.Errorf("two processes at once: %s", o)
	}
	return e
}

// tally counts what was proved.
type tally struct{ runs, attempts, launches, unknown int }

// check holds after a drain: it compares what was acknowledged, what the server
// says, and what happened.
func (r *rig) check(list ...shape) tally {
	r.Helper()
	var still string
	r.until("nothing is active", func() bool {
		var err error
		if still, err = r.activeRuns(); err != nil {
			r.Fatalf("list active runs: %v", err)
		}
		return still == ""
	})
	e := r.checkEvidence()
	c := checker{rig: r, evidence: e, known: map[string]bool{}, tickets: map[string]string{}}
	for _, s := range list {
		c.workflow(s)
	}
	for ticket, a := range r.acked {
		if c.tickets[ticket] != a.run {
			r.Errorf("run %s of %s was acknowledged for %s and is lost; the server has %q", a.run, a.workflow, ticket, c.tickets[ticket])
		}
	}
	for attempt, lives := range e.starts {
		if !c.known[attempt] {
			r.Errorf("%s was launched and is in no run", attempt)
		}
		for _, l := range lives {
			if l.alive() {
				r.Errorf("pid %d of %s is alive after everything ended", l.pid, attempt)
			}
		}
	}
	c.launches = len(e.starts)
	return c.tally
}

type checker struct {
	*rig
	evidence
	tally
	known   map[string]bool   // attempts
	tickets map[string]string // run by ticket
}

// workflow checks all runs of a workflow.
func (c *checker) workflow(s shape) {
	c.Helper()
	var token *string
	for {
		out := must(c.rig, c.glue.GetWorkflowRuns, &glue.GetWorkflowRunsInput{
			Name: &s.name, IncludeGraph: aws.Bool(true), MaxResults: aws.Int32(100), NextToken: token,
		})
		for _, run := range out.Runs {
			c.runs++
			ticket := run.WorkflowRunProperties["ticket"]
			if other, ok := c.tickets[ticket]; ok {
				c.Errorf("%s: one call started both %s and %s (P5)", ticket, other, *run.WorkflowRunId)
			}
			c.tickets[ticket] = *run.WorkflowRunId
			c.run(s, run)
		}
		if token = out.NextToken; token == nil {
			return
		}
	}
}

// run checks one run: it has ended, each of its job runs is explained by
// evidence, its numbers add up, and what its triggers started is what they had to.
func (c *checker) run(s shape, run types.WorkflowRun) {
	c.Helper()
	id := *run.WorkflowRunId
	if run.Status != types.WorkflowRunStatusCompleted && run.Status != types.WorkflowRunStatusStopped {
		c.Errorf("%s of %s has not ended: %s", id, s.name, run.Status)
	}
	final := map[string]types.JobRunState{}
	var count types.WorkflowRunStatistics
	for _, n := range run.Graph.Nodes {
		if n.Type != types.NodeTypeJob {
			continue
		}
		count.TotalActions++
		if n.JobDetails == nil || len(n.JobDetails.JobRuns) == 0 {
			continue
		}
		last := c.jobRuns(s, *n.Name, n.JobDetails.JobRuns)
		final[*n.Name] = last
		switch last {
		case types.JobRunStateSucceeded:
			count.SucceededActions++
		case types.JobRunStateFailed:
			count.FailedActions++
		case types.JobRunStateStopped:
			count.StoppedActions++
		case types.JobRunStateTimeout:
			count.TimeoutActions++
		default:
			count.ErroredActions++
		}
	}
	if got := *run.Statistics; got != count {
		c.Errorf("%s of %s: statistics %+v, counted %+v", id, s.name, got, count)
	}
	c.fired(s, run, final)
}

// fired checks that successors ran exactly when their predecessors ended as
// asked for: a lost firing looks like an end that came too early (A5).
func (c *checker) fired(s shape, run types.WorkflowRun, final map[string]types.JobRunState) {
	c.Helper()
	for _, t := range s.triggers {
		wanted := !slices.ContainsFunc(t.watches, func(w watch) bool { return final[w.job] != w.state })
		for _, name := range t.starts {
			_, ran := final[name]
			if ran && !wanted {
				c.Errorf("%s of %s: %s ran although its trigger's predicate does not hold: %v", *run.WorkflowRunId, s.name, name, final)
			}
			if !ran && wanted && run.Status == types.WorkflowRunStatusCompleted {
				c.Errorf("%s of %s: %s never ran although its trigger's predicate holds: %v", *run.WorkflowRunId, s.name, name, final)
			}
		}
	}
}

// jobRuns checks the attempts of one node, which was started once, and returns
// the last one's state.
func (c *checker) jobRuns(s shape, name string, runs []types.JobRun) types.JobRunState {
	c.Helper()
	j := s.jobs[slices.IndexFunc(s.jobs, func(j job) bool { return j.name == name })]
	if len(runs) > j.retries+1 {
		c.Errorf("%s has %d attempts, which may be %d", *runs[0].Id, len(runs), j.retries+1)
	}
	base := *runs[0].Id
	for i, run := range runs {
		id := base
		if i > 0 {
			id = fmt.Sprintf("%s_attempt_%d", base, i)
		}
		if *run.Id != id || int(run.Attempt) != i {
			c.Errorf("attempt %d of %s is %s, numbered %d", i, base, *run.Id, run.Attempt)
		}
		if last := i == len(runs)-1; !last && run.JobRunState != failed {
			c.Errorf("%s is %s and was retried", id, run.JobRunState)
		} else if last && run.JobRunState == failed && i < j.retries && !s.stopped {
			c.Errorf("%s failed and was not retried", id)
		}
		c.known[id] = true
		c.attempts++
		c.attempt(run)
	}
	return runs[len(runs)-1].JobRunState
}

// attempt checks that a state is derivable from evidence (invariant 21).
func (c *checker) attempt(run types.JobRun) {
	c.Helper()
	id, message := *run.Id, aws.ToString(run.ErrorMessage)
	code, exited := c.exits[id]
	switch {
	case run.JobRunState == types.JobRunStateSucceeded:
		if !exited || code != 0 {
			c.Errorf("%s is SUCCEEDED by guess: it left exit %d (%t)", id, code, exited)
		}
	case run.JobRunState == types.JobRunStateFailed && strings.HasPrefix(message, unknown):
		c.unknown++
	case run.JobRunState == types.JobRunStateFailed && strings.HasPrefix(message, "Command failed with exit code "):
		if !exited || message != fmt.Sprintf("Command failed with exit code %d", code) {
			c.Errorf("%s is FAILED, %q, but left exit %d (%t)", id, message, code, exited)
		}
	case run.JobRunState == types.JobRunStateStopped:
	default:
		c.Errorf("%s ended %s, %q", id, run.JobRunState, message)
	}
}

// checkDrained reads what a server left that has ended in order: no slot held, no
// order, no timer (invariants 14, 20, 25).
func (r *rig) checkDrained() {
	r.Helper()
	db, err := sqlstore.Open(r.Context(), sqlstore.Config{Dir: r.data, Now: time.Now})
	if err != nil {
		r.Fatal(err)
	}
	err = db.Read(r.Context(), func(tx store.Tx) error {
		effects, err := tx.ListEffects(0, 10)
		if err != nil {
			return err
		}
		next, err := tx.NextTimer()
		if err != nil {
			return err
		}
		active, err := tx.ListActiveAttempts(store.AttemptKey{}, 10)
		if err != nil {
			return err
		}
		if len(effects) > 0 || !next.IsZero() || len(active) > 0 {
			r.Errorf("left after everything ended: orders %v, timer at %v, active %v", effects, next, active)
		}
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		r.Fatal(err)
	}
}
