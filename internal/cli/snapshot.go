package cli

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
)

// snapshot is what one GetWorkflowRun showed of a run.
type snapshot struct {
	Workflow, RunID, Status, Message string
	Started, Completed               time.Time // Completed is zero while the run goes on
	Nodes                            []node    // jobs and crawlers, each after what leads to it
}

// node is a job or crawler of the run. Actions is empty while it is unrun; two
// triggers can start the same node, so there may be several.
type node struct {
	Kind, Name string
	Actions    []action
}

// action is one start of a node: its attempts in order of their number.
type action struct {
	ID       string // of the first attempt, without _attempt_n
	Attempts []attempt
}

// attempt is a JobRun, or a crawl.
type attempt struct {
	ID, State, Message string
	Started, Completed time.Time
}

// last is the attempt that stands for the action.
func (a action) last() attempt { return a.Attempts[len(a.Attempts)-1] }

// The states that a job run or crawl can be left in.
var finalStates = []string{"SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED", "CANCELLED"}

func (a attempt) final() bool { return slices.Contains(finalStates, a.State) }

// terminal tells whether the run is over (spec/workflows §5.2).
func (s snapshot) terminal() bool {
	return slices.Contains([]string{"COMPLETED", "STOPPED", "ERROR"}, s.Status)
}

// takeSnapshot reads a run as GetWorkflowRun with IncludeGraph gives it.
func takeSnapshot(r *types.WorkflowRun) snapshot {
	s := snapshot{
		Workflow: aws.ToString(r.Name), RunID: aws.ToString(r.WorkflowRunId), Status: string(r.Status), Message: aws.ToString(r.ErrorMessage),
		Started: aws.ToTime(r.StartedOn), Completed: aws.ToTime(r.CompletedOn),
	}
	for _, n := range inOrder(r.Graph) {
		if n.Type == types.NodeTypeTrigger {
			continue
		}
		out := node{Kind: string(n.Type), Name: aws.ToString(n.Name)}
		if n.JobDetails != nil {
			out.Actions = actions(n.JobDetails.JobRuns)
		}
		if n.CrawlerDetails != nil {
			for _, c := range n.CrawlerDetails.Crawls {
				a := attempt{State: string(c.State), Message: aws.ToString(c.ErrorMessage), Started: aws.ToTime(c.StartedOn), Completed: aws.ToTime(c.CompletedOn)}
				out.Actions = append(out.Actions, action{Attempts: []attempt{a}})
			}
		}
		s.Nodes = append(s.Nodes, out)
	}
	return s
}

// actions groups the attempts of a node by the action that they belong to, in
// order of the actions' starts. A retry is a JobRun of its own whose id ends in
// _attempt_n (DESIGN §3).
func actions(runs []types.JobRun) []action {
	var out []action
	index := map[string]int{}
	for _, r := range slices.SortedStableFunc(slices.Values(runs), func(a, b types.JobRun) int { return int(a.Attempt) - int(b.Attempt) }) {
		base, _, _ := strings.Cut(aws.ToString(r.Id), "_attempt_")
		i, ok := index[base]
		if !ok {
			i = len(out)
			index[base] = i
			out = append(out, action{ID: base})
		}
		message := aws.ToString(r.ErrorMessage)
		if message == "" {
			message = aws.ToString(r.StateDetail)
		}
		out[i].Attempts = append(out[i].Attempts, attempt{
			ID: aws.ToString(r.Id), State: string(r.JobRunState), Message: message,
			Started: aws.ToTime(r.StartedOn), Completed: aws.ToTime(r.CompletedOn),
		})
	}
	slices.SortStableFunc(out, func(a, b action) int { return a.Attempts[0].Started.Compare(b.Attempts[0].Started) })
	return out
}

// inOrder lists the nodes of a graph so that each comes after those that lead to
// it, otherwise in the server's order. Nodes of a cycle come last.
func inOrder(g *types.WorkflowGraph) []types.Node {
	if g == nil {
		return nil
	}
	index := map[string]int{}
	for i, n := range g.Nodes {
		index[aws.ToString(n.UniqueId)] = i
	}
	next, waits := make([][]int, len(g.Nodes)), make([]int, len(g.Nodes))
	for _, e := range g.Edges {
		from, ok1 := index[aws.ToString(e.SourceId)]
		to, ok2 := index[aws.ToString(e.DestinationId)]
		if ok1 && ok2 {
			next[from] = append(next[from], to)
			waits[to]++
		}
	}
	out, queue, placed := make([]types.Node, 0, len(g.Nodes)), []int{}, make([]bool, len(g.Nodes))
	place := func(i int) {
		if !placed[i] {
			placed[i] = true
			queue = append(queue, i)
		}
	}
	for i := range g.Nodes {
		if waits[i] == 0 {
			place(i)
		}
	}
	for at := 0; at < len(queue); at++ {
		out = append(out, g.Nodes[queue[at]])
		for _, to := range next[queue[at]] {
			if waits[to]--; waits[to] == 0 {
				place(to)
			}
		}
	}
	for i, n := range g.Nodes {
		if !placed[i] {
			out = append(out, n)
		}
	}
	return out
}
