package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"tenon/internal/flow"
)

// parseTriggers reads one trigger a line:
//
//	start: on-demand -> A B crawl:c
//	both:  all A=SUCCEEDED B=FAILED -> C
//	one:   any A=SUCCEEDED crawl:c=FAILED -> D
//	idle:  off all A=SUCCEEDED -> E
func parseTriggers(t testing.TB, text string) (triggers []flow.Trigger) {
	t.Helper()
	split := func(word string) (job, crawler string) {
		if c, ok := strings.CutPrefix(word, "crawl:"); ok {
			return "", c
		}
		return word, ""
	}
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, rest, ok := strings.Cut(line, ":")
		head, tail, ok2 := strings.Cut(rest, "->")
		words := strings.Fields(head)
		if !ok || !ok2 || len(words) == 0 {
			t.Fatalf("%q is no trigger", line)
		}
		tr := flow.Trigger{UID: int64(len(triggers) + 1), Name: strings.TrimSpace(name), Workflow: "w", Type: flow.Conditional, State: flow.Activated}
		if words[0] == "off" {
			tr.State, words = flow.Deactivated, words[1:]
		}
		switch words[0] {
		case "on-demand":
			tr.Type, tr.State = flow.OnDemand, flow.Created
		case "all", "any":
			tr.Predicate = &flow.Predicate{Logical: map[string]flow.Logical{"all": flow.And, "any": flow.Any}[words[0]]}
			for _, w := range words[1:] {
				watched, state, _ := strings.Cut(w, "=")
				c := flow.Condition{Operator: "EQUALS"}
				if c.Job, c.Crawler = split(watched); c.Job != "" {
					c.State = state
				} else {
					c.CrawlState = state
				}
				tr.Predicate.Conditions = append(tr.Predicate.Conditions, c)
			}
		default:
			t.Fatalf("%q is no type of trigger", words[0])
		}
		for _, w := range strings.Fields(tail) {
			var a flow.Action
			a.Job, a.Crawler = split(w)
			tr.Actions = append(tr.Actions, a)
		}
		triggers = append(triggers, tr)
	}
	return triggers
}

// story is a run told in a transcript.
type story struct {
	t     *testing.T
	run   Run
	count map[int]int // action runs made, by node
	out   strings.Builder
}

// The stories of testdata, each beginning with the part of the specification
// that it shows. Run with -rewrite to write what happens into them.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &story{t: t}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.out.Reset()
			switch d.Cmd {
			case "run", "chain":
				g := flow.Build("w", parseTriggers(t, d.Input))
				start, ok := g.StartTrigger()
				if !ok {
					start = -1
				}
				kind := WorkflowRun
				if d.Cmd == "chain" {
					kind = Chain
				}
				s.run, s.count = New(kind, g, start), map[int]int{}
			case "apply":
				s.apply(d)
			case "facts":
				s.facts(d.Input)
			case "explain":
				s.explain()
				return s.out.String()
			default:
				t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
			}
			s.status()
			return s.out.String()
		})
	})
}

func (s *story) printf(format string, args ...any) { fmt.Fprintf(&s.out, format, args...) }

func (s *story) node(n int) string {
	x := s.run.Graph.Nodes[n]
	if x.Type == flow.CrawlerNode {
		return "crawl:" + x.Name
	}
	return x.Name
}

func (s *story) trigger(i int) string { return s.run.Graph.Triggers[i].Name }

// apply answers plans until there is none. refuse, error and wait name nodes
// whose starts end that way; ended names action runs that a stop finds not begun.
func (s *story) apply(d *datadriven.TestData) {
	named := func(key, what string) bool {
		return d != nil && slices.ContainsFunc(d.CmdArgs, func(a datadriven.CmdArg) bool {
			return a.Key == key && slices.Contains(a.Vals, what)
		})
	}
	start := func(trigger, action, n int) Fact {
		s.count[n]++
		f := ActionStarted{Trigger: trigger, Action: action, ID: fmt.Sprintf("%s#%d", s.node(n), s.count[n]), State: StateActive}
		switch node := s.node(n); {
		case named("refuse", node):
			f.State = StateFailed
		case named("error", node):
			f.State = StateError
		case named("wait", node):
			f.State = StateWaiting
		}
		if f.State.Final() {
			return ActionRefused(f)
		}
		return f
	}
	stop := func(r Ref) Fact {
		if named("ended", r.ID) {
			return ActionEnded{r, StateStopped}
		}
		return StopSent{r}
	}
	for {
		plan := Advance(s.run, time.Time{})
		if len(plan.Effects) == 0 {
			return
		}
		for _, e := range plan.Effects {
			var f Fact
			switch e := e.(type) {
			case FireTrigger:
				if !s.run.IsReady(e.Trigger) {
					s.printf("%s is not ready any more\n", s.trigger(e.Trigger))
					continue
				}
				f = TriggerFired(e)
			case StartJobRun:
				f = start(e.Trigger, e.Action, e.Node)
				for _, p := range e.Because {
					s.printf("because of %s %s %s\n", p.Type, p.Name, p.ID)
				}
			case StartCrawl:
				f = start(e.Trigger, e.Action, e.Node)
			case StopJobRun:
				f = stop(e.Ref)
			case StopCrawl:
				f = stop(e.Ref)
			case EndRun:
				f = RunEnded(e)
			}
			s.record(f)
		}
	}
}

func (s *story) record(f Fact) {
	switch f := f.(type) {
	case TriggerFired:
		s.printf("fired %s", s.trigger(f.Trigger))
	case ActionStarted:
		s.printf("started %s %s by %s", f.ID, f.State, s.trigger(f.Trigger))
	case ActionRefused:
		s.printf("refused %s %s by %s", f.ID, f.State, s.trigger(f.Trigger))
	case ActionMoved:
		s.printf("moved %s to %s", f.ID, f.State)
	case ActionEnded:
		s.printf("ended %s %s", f.ID, f.State)
	case StopRequested:
		s.printf("stop requested")
	case StopSent:
		s.printf("stop sent to %s", f.ID)
	case RunEnded:
		s.printf("over: %s", f.Status)
	}
	r, err := Record(s.run, f)
	if err != nil {
		s.printf(": %v", err)
	}
	s.run = r
	s.printf("\n")
}

// facts reads "end A#1 SUCCEEDED", "move A#1 RUNNING", "stop", "stopped A#1",
// "fire t", "start t 0 A#1 RUNNING" and "over COMPLETED".
func (s *story) facts(text string) {
	for line := range strings.Lines(text) {
		w := append(strings.Fields(line), "", "", "", "")
		ref := func() Ref {
			name, _, _ := strings.Cut(w[1], "#")
			return Ref{slices.IndexFunc(s.run.Graph.Nodes, func(n flow.Node) bool {
				return n.Type != flow.TriggerNode && s.node(slices.Index(s.run.Graph.Nodes, n)) == name
			}), w[1]}
		}
		trigger := func() int {
			return slices.IndexFunc(s.run.Graph.Triggers, func(t flow.Trigger) bool { return t.Name == w[1] })
		}
		switch w[0] {
		case "end":
			s.record(ActionEnded{ref(), State(w[2])})
		case "move":
			s.record(ActionMoved{ref(), State(w[2])})
		case "stop":
			s.record(StopRequested{})
		case "stopped":
			s.record(StopSent{ref()})
		case "fire":
			s.record(TriggerFired{trigger()})
		case "start":
			n, err := strconv.Atoi(w[2])
			if err != nil {
				s.t.Fatal(err)
			}
			s.record(ActionStarted{trigger(), n, w[3], State(w[4])})
		case "over":
			s.record(RunEnded{Status(w[1])})
		default:
			s.t.Fatalf("%q is no fact", line)
		}
	}
}

func (s *story) status() {
	h := s.run.Head
	s.printf("%s:", h.Status)
	for _, n := range []struct {
		name  string
		count int
	}{
		{"total", h.Stats.Total}, {"succeeded", h.Stats.Succeeded}, {"failed", h.Stats.Failed}, {"timeout", h.Stats.Timeout},
		{"stopped", h.Stats.Stopped}, {"errored", h.Stats.Errored}, {"running", h.Stats.Running}, {"waiting", h.Stats.Waiting},
	} {
		if n.count != 0 {
			s.printf(" %d %s", n.count, n.name)
		}
	}
	for _, x := range h.Ready {
		s.printf(", %s is ready", s.trigger(x.Trigger))
	}
	for _, x := range h.Firing {
		s.printf(", %s is firing from %d", s.trigger(x.Trigger), x.Next)
	}
	for _, x := range h.Stops {
		s.printf(", %s is to be stopped", x.ID)
	}
	s.printf("\n")
}

func (s *story) explain() {
	x, err := Explain(s.run)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, w := range x.Waiting {
		s.printf("%s has not fired", w.Trigger)
		if w.Inactive {
			s.printf(" (inactive)")
		}
		for _, u := range w.Unmet {
			s.printf(", %s %s wants %s and is %q", u.Type, u.Name, u.Wants, u.Is)
		}
		s.printf("; it starts %s\n", strings.Join(w.Starts, " "))
	}
	for _, u := range x.Unrun {
		s.printf("%s %s did not run: %s\n", u.Type, u.Name, u.Why)
	}
}
