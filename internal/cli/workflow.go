package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

type workflowCommand struct {
	Start   workflowStart   `cmd:"" help:"Start a run and print its id."`
	Watch   workflowWatch   `cmd:"" help:"Show a run until it is over. Exits like \"tenon run\"."`
	Stop    workflowStop    `cmd:"" help:"Stop a run."`
	Graph   workflowGraph   `cmd:"" help:"Print what starts what."`
	Explain workflowExplain `cmd:"" help:"Say what a run waits for, or why parts of it did not run."`
}

// target names a workflow and one of its runs.
type target struct {
	Name string `arg:"" help:"The workflow."`
	Run  string `help:"The run; by default the latest." placeholder:"ID"`
	serverFlags
}

// find connects and finds the run.
func (t *target) find(ctx context.Context, s *session) (*client, string, error) {
	cl, err := s.connect(ctx, t.serverFlags)
	if err != nil || t.Run != "" {
		return cl, t.Run, err
	}
	w, err := cl.workflow(ctx, t.Name, false)
	if err != nil {
		return nil, "", err
	}
	if w.LastRun == nil {
		return nil, "", fmt.Errorf("workflow %s has no run yet", t.Name)
	}
	return cl, aws.ToString(w.LastRun.WorkflowRunId), nil
}

func (c *client) workflow(ctx context.Context, name string, graph bool) (*types.Workflow, error) {
	out, err := c.glue.GetWorkflow(ctx, &glue.GetWorkflowInput{Name: &name, IncludeGraph: &graph})
	if err != nil {
		return nil, fmt.Errorf("read workflow %s: %w", name, err)
	}
	if out.Workflow == nil {
		return nil, fmt.Errorf("read workflow %s: the server's answer has no workflow", name)
	}
	return out.Workflow, nil
}

type workflowStart struct {
	Name     string   `arg:"" help:"The workflow."`
	Property []string `help:"A property of the run; may be repeated." placeholder:"K=V" sep:"none"`
	serverFlags
}

// Run starts a run.
func (c *workflowStart) Run(s *session) error {
	properties, err := assignments("property", c.Property)
	if err != nil {
		return err
	}
	cl, err := s.connect(s.soft, c.serverFlags)
	if err != nil {
		return interrupted(s.soft, err)
	}
	out, err := cl.glue.StartWorkflowRun(s.soft, &glue.StartWorkflowRunInput{Name: &c.Name, RunProperties: properties})
	if err != nil {
		return interrupted(s.soft, fmt.Errorf("start workflow %s: %w", c.Name, err))
	}
	s.printf("%s\n", visible(aws.ToString(out.RunId)))
	return nil
}

type workflowWatch struct {
	target
	progressFlag
}

// Run watches a run. Ctrl-C ends the watching, not the run.
func (c *workflowWatch) Run(s *session) error {
	cl, run, err := c.find(s.soft, s)
	if err != nil {
		return interrupted(s.soft, err)
	}
	if err := s.follow(cl, c.Name, run, c.Progress, false); err != nil {
		return err
	}
	return s.conclude(cl, c.Name, run)
}

type workflowStop struct{ target }

// Run stops a run.
func (c *workflowStop) Run(s *session) error {
	cl, run, err := c.find(s.soft, s)
	if err != nil {
		return interrupted(s.soft, err)
	}
	if _, err := cl.glue.StopWorkflowRun(s.soft, &glue.StopWorkflowRunInput{Name: &c.Name, RunId: &run}); err != nil {
		return interrupted(s.soft, fmt.Errorf("stop run %s: %w", run, err))
	}
	s.printf("%s is stopping\n", visible(run))
	return nil
}

type workflowExplain struct{ target }

// Run explains a run.
func (c *workflowExplain) Run(s *session) error {
	cl, run, err := c.find(s.soft, s)
	if err != nil {
		return interrupted(s.soft, err)
	}
	snap, err := cl.snapshot(s.soft, c.Name, run)
	if err != nil {
		return interrupted(s.soft, err)
	}
	e, err := cl.explain(s.soft, c.Name, run)
	if err != nil {
		return interrupted(s.soft, err)
	}
	for _, line := range explainText(snap, e) {
		s.printf("%s\n", line)
	}
	return nil
}

// explainText is an explanation for people.
func explainText(s snapshot, e explanation) []string {
	unrun := "did not run"
	if !s.terminal() {
		unrun = "has not run"
	}
	out := []string{fmt.Sprintf("run %s of %s is %s%s", visible(s.RunID), visible(s.Workflow), visible(s.Status), because(s.Message))}
	for _, n := range s.Nodes {
		for _, a := range n.Actions {
			if t := a.last(); !t.final() {
				out = append(out, fmt.Sprintf("%s is %s%s", visible(n.Name), visible(t.State), because(t.Message)))
			}
		}
	}
	for _, w := range e.Waiting {
		inactive := ""
		if w.Inactive {
			inactive = "; it is not activated and cannot fire in this run"
		}
		out = append(out, fmt.Sprintf("trigger %s has not fired%s", visible(w.Trigger), inactive))
		for _, u := range w.Unmet {
			is := unrun
			if u.Is != "" {
				is = "is " + visible(u.Is)
			}
			out = append(out, fmt.Sprintf("  waits for  %s to be %s; it %s", visible(u.Name), visible(u.Wants), is))
		}
		if len(w.Starts) > 0 {
			out = append(out, "  starts     "+visible(strings.Join(w.Starts, ", ")))
		}
	}
	for _, u := range e.Unrun {
		if !s.terminal() && u.Why == whyMatterOfCourse {
			continue // its time may come; what it waits for is said above
		}
		out = append(out, fmt.Sprintf("%s %s %s: %s", strings.ToLower(visible(u.Type)), visible(u.Name), unrun, visible(u.Why)))
	}
	return out
}

type workflowGraph struct {
	Name   string `arg:"" help:"The workflow."`
	ID     string `name:"run" help:"Show this run's graph, with states." placeholder:"ID"`
	Format string `help:"text, dot (Graphviz) or json." enum:"text,dot,json" default:"text"`
	serverFlags
}

// Run prints a graph.
func (c *workflowGraph) Run(s *session) error {
	ctx := s.soft
	cl, err := s.connect(ctx, c.serverFlags)
	if err != nil {
		return interrupted(ctx, err)
	}
	var g *types.WorkflowGraph
	states := map[string]string{}
	if c.ID == "" {
		w, err := cl.workflow(ctx, c.Name, true)
		if err != nil {
			return interrupted(ctx, err)
		}
		g = w.Graph
	} else {
		out, err := cl.glue.GetWorkflowRun(ctx, &glue.GetWorkflowRunInput{Name: &c.Name, RunId: &c.ID, IncludeGraph: aws.Bool(true)})
		if err != nil {
			return interrupted(ctx, fmt.Errorf("read run %s: %w", c.ID, err))
		}
		g = out.Run.Graph
		for _, n := range takeSnapshot(out.Run).Nodes {
			if len(n.Actions) > 0 {
				states[n.Kind+"\x00"+n.Name] = n.Actions[len(n.Actions)-1].last().State
			}
		}
	}
	text, err := renderGraph(c.Name, g, states, c.Format)
	s.printf("%s", text)
	return err
}

func renderGraph(workflow string, g *types.WorkflowGraph, states map[string]string, format string) (string, error) {
	switch format {
	case "dot":
		return graphDot(workflow, g, states), nil
	case "json":
		return graphJSON(workflow, g, states)
	}
	return graphText(workflow, g, states), nil
}

// graphText lists the triggers, each after those that lead to it, with what they
// wait for and what they start.
func graphText(workflow string, g *types.WorkflowGraph, states map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", visible(workflow))
	named := func(kind, name string) string {
		if st := states[kind+"\x00"+name]; st != "" {
			return visible(name) + " [" + visible(st) + "]"
		}
		return visible(name)
	}
	for _, n := range inOrder(g) {
		if n.TriggerDetails == nil || n.TriggerDetails.Trigger == nil {
			continue
		}
		t := n.TriggerDetails.Trigger
		fmt.Fprintf(&b, "\n  %s  %s %s\n", visible(aws.ToString(n.Name)), t.Type, t.State)
		if t.Schedule != nil && *t.Schedule != "" {
			fmt.Fprintf(&b, "    at      %s\n", visible(*t.Schedule))
		}
		if t.Predicate != nil && len(t.Predicate.Conditions) > 0 {
			word := "when"
			for _, c := range t.Predicate.Conditions {
				name, state := aws.ToString(c.JobName), string(c.State)
				if c.CrawlerName != nil {
					name, state = *c.CrawlerName, string(c.CrawlState)
				}
				fmt.Fprintf(&b, "    %-6s  %s is %s\n", word, visible(name), visible(state))
				word = strings.ToLower(string(t.Predicate.Logical))
				if word == "" {
					word = "and"
				} else if word == "any" {
					word = "or"
				}
			}
		}
		for _, a := range t.Actions {
			kind, name := "JOB", aws.ToString(a.JobName)
			if a.CrawlerName != nil {
				kind, name = "CRAWLER", *a.CrawlerName
			}
			fmt.Fprintf(&b, "    starts  %s\n", named(kind, name))
		}
	}
	return b.String()
}

// graphDot is the graph in Graphviz's language.
func graphDot(workflow string, g *types.WorkflowGraph, states map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %s {\n  rankdir=LR;\n", dotQuote(workflow))
	for _, n := range inOrder(g) {
		shape, name := "box", aws.ToString(n.Name)
		switch n.Type {
		case types.NodeTypeTrigger:
			shape = "ellipse"
		case types.NodeTypeCrawler:
			shape = "hexagon"
		case types.NodeTypeJob:
		}
		label := name
		if st := states[string(n.Type)+"\x00"+name]; st != "" {
			label += "\n" + st
		}
		fmt.Fprintf(&b, "  %s [label=%s, shape=%s];\n", dotQuote(aws.ToString(n.UniqueId)), dotQuote(label), shape)
	}
	if g != nil {
		for _, e := range g.Edges {
			fmt.Fprintf(&b, "  %s -> %s;\n", dotQuote(aws.ToString(e.SourceId)), dotQuote(aws.ToString(e.DestinationId)))
		}
	}
	return b.String() + "}\n"
}

// dotQuote makes a quoted id; the line break of a label survives as \n.
func dotQuote(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), `"`, `\"`)
	return `"` + visible(s) + `"`
}

// graphJSON is the graph as a small document of our own.
func graphJSON(workflow string, g *types.WorkflowGraph, states map[string]string) (string, error) {
	type jsonNode struct {
		ID    string `json:"id"`
		Type  string `json:"type"`
		Name  string `json:"name"`
		State string `json:"state,omitzero"`
	}
	type jsonEdge struct {
		From string `json:"from"`
		To   string `json:"to"`
	}
	doc := struct {
		Workflow string     `json:"workflow"`
		Nodes    []jsonNode `json:"nodes"`
		Edges    []jsonEdge `json:"edges"`
	}{Workflow: workflow, Nodes: []jsonNode{}, Edges: []jsonEdge{}}
	for _, n := range inOrder(g) {
		name := aws.ToString(n.Name)
		doc.Nodes = append(doc.Nodes, jsonNode{aws.ToString(n.UniqueId), string(n.Type), name, states[string(n.Type)+"\x00"+name]})
	}
	if g != nil {
		for _, e := range g.Edges {
			doc.Edges = append(doc.Edges, jsonEdge{aws.ToString(e.SourceId), aws.ToString(e.DestinationId)})
		}
	}
	out, err := json.Marshal(doc, jsontext.WithIndent("  "))
	if err != nil {
		return "", fmt.Errorf("encode the graph: %w", err)
	}
	return string(out) + "\n", nil
}
