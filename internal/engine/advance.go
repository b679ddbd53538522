package engine

import (
	"time"

	"tenon/internal/flow"
)

// Effect is something a run needs done now.
type Effect interface{ effect() }

// FireTrigger asks to write down the firing of a trigger; TriggerFired answers.
type FireTrigger struct{ Trigger int }

// StartJobRun asks to admit a job run for an action; ActionStarted or
// ActionRefused answers.
type StartJobRun struct {
	Trigger, Action int
	Node            int
	Because         []Predecessor
}

// StartCrawl is StartJobRun for a crawler.
type StartCrawl struct {
	Trigger, Action int
	Node            int
}

// StopJobRun asks to stop a job run, its retries included; StopSent answers, or
// ActionEnded where it had not begun.
type StopJobRun struct{ Ref }

// StopCrawl is StopJobRun for a crawl.
type StopCrawl struct{ Ref }

// EndRun asks to end the run; RunEnded answers.
type EndRun struct{ Status Status }

func (FireTrigger) effect() {}
func (StartJobRun) effect() {}
func (StartCrawl) effect()  {}
func (StopJobRun) effect()  {}
func (StopCrawl) effect()   {}
func (EndRun) effect()      {}

// Plan is what a run needs now. WakeAt is the time at which to ask again though
// nothing happened; it is zero where nothing depends on time.
type Plan struct {
	Effects []Effect
	WakeAt  time.Time
}

// Advance says what the run needs now. It looks at the whole state, never at
// the last fact; asking again after the plan was applied says nothing new.
func Advance(r Run, _ time.Time) Plan {
	var p Plan
	switch r.Head.Status {
	case Running:
		for _, x := range r.Head.Restarts {
			p.Effects = append(p.Effects, start(r.Graph, x.Trigger, x.Action, nil))
		}
		for _, x := range r.Head.Firing {
			p.Effects = append(p.Effects, starts(r.Graph, x)...)
		}
		for _, x := range r.Head.Ready {
			p.Effects = append(p.Effects, FireTrigger{Trigger: x.Trigger})
		}
		if r.Head.quiet() {
			p.Effects = append(p.Effects, EndRun{Status: Completed})
		}
	case Stopping:
		for _, ref := range r.Head.Stops {
			if r.Graph.Nodes[ref.Node].Type == flow.CrawlerNode {
				p.Effects = append(p.Effects, StopCrawl{ref})
			} else {
				p.Effects = append(p.Effects, StopJobRun{ref})
			}
		}
		if r.Head.quiet() {
			p.Effects = append(p.Effects, EndRun{Status: Stopped})
		}
	}
	return p
}

// starts lists the actions of a fired trigger that are yet to be admitted, in
// the order given by the user.
func starts(g *flow.Graph, x Firing) []Effect {
	actions := g.Triggers[x.Trigger].Actions
	var out []Effect
	for a := x.Next; a < len(actions); a++ {
		out = append(out, start(g, x.Trigger, a, x.Because))
	}
	return out
}

func start(g *flow.Graph, trigger, action int, because []Predecessor) Effect {
	n := g.ActionNode(trigger, action)
	if g.Nodes[n].Type == flow.CrawlerNode {
		return StartCrawl{Trigger: trigger, Action: action, Node: n}
	}
	return StartJobRun{Trigger: trigger, Action: action, Node: n, Because: because}
}
