package glueapi

import (
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"tenon/internal/engine"
	"tenon/internal/flow"
	"tenon/internal/jobrun"
	"tenon/internal/orchestrate"
	"tenon/internal/store"
)

// crawlerLogs is the log group of crawlers (spec/workflows §2.7).
const crawlerLogs = "/aws-glue/crawlers"

// staticGraph shows a graph without runs (spec/workflows §2.7).
func staticGraph(g *flow.Graph) *types.WorkflowGraph {
	out := &types.WorkflowGraph{Nodes: make([]types.Node, len(g.Nodes)), Edges: make([]types.Edge, len(g.Edges))}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		out.Nodes[i] = types.Node{Type: types.NodeType(n.Type), Name: &n.Name, UniqueId: &n.ID}
		if n.Trigger >= 0 {
			out.Nodes[i].TriggerDetails = &types.TriggerNodeDetails{Trigger: showTrigger(&g.Triggers[n.Trigger])}
		}
	}
	for i, e := range g.Edges {
		out.Edges[i] = types.Edge{SourceId: &g.Nodes[e.From].ID, DestinationId: &g.Nodes[e.To].ID}
	}
	return out
}

// runGraph shows the graph of a run with the attempts of its nodes.
func runGraph(tx store.Tx, r engine.Run) (*types.WorkflowGraph, error) {
	out := staticGraph(r.Graph)
	for i, n := range r.Graph.Nodes {
		if n.Type == flow.TriggerNode {
			continue
		}
		state, err := r.Node(i)
		if err != nil {
			return nil, err
		}
		for _, run := range state.Runs {
			if n.Type == flow.CrawlerNode {
				d := out.Nodes[i].CrawlerDetails
				if d == nil {
					d = &types.CrawlerNodeDetails{}
					out.Nodes[i].CrawlerDetails = d
				}
				d.Crawls = append(d.Crawls, showCrawl(run))
				continue
			}
			d := out.Nodes[i].JobDetails
			if d == nil {
				d = &types.JobNodeDetails{}
				out.Nodes[i].JobDetails = d
			}
			key, _, err := store.ParseAttemptID(run.ID)
			if err != nil {
				return nil, fmt.Errorf("parse %q: %w", run.ID, err)
			}
			attempts, err := tx.AttemptsOf(key.Base)
			if err != nil {
				return nil, fmt.Errorf("read attempts of %s: %w", run.ID, err)
			}
			for j := range attempts {
				d.JobRuns = append(d.JobRuns, *showJobRun(&attempts[j]))
			}
		}
	}
	return out, nil
}

// showCrawl shows a crawl. None can run yet, so each ended where it began, with
// the reason (spec/workflows §3.2).
func showCrawl(run engine.ActionRun) types.Crawl {
	at := time.Unix(0, orchestrate.CrawlSeq(run.ID)).UTC().Truncate(time.Millisecond)
	return types.Crawl{
		State: types.CrawlState(run.State), StartedOn: &at, CompletedOn: &at,
		ErrorMessage: aws.String(jobrun.MsgNoCrawlers), LogGroup: aws.String(crawlerLogs),
	}
}
