package flow

import (
	"crypto/sha256"
	"encoding/hex"
)

// NodeType is a node's type as on the wire.
type NodeType string

// The types of node.
const (
	TriggerNode NodeType = "TRIGGER"
	JobNode     NodeType = "JOB"
	CrawlerNode NodeType = "CRAWLER"
)

// Node is a node of the derived graph. Trigger is the index into
// Graph.Triggers for a trigger node, else -1.
type Node struct {
	Type    NodeType
	Name    string
	ID      string // wnode_ and 64 hex digits, equal in every run (spec/workflows §2.7)
	Trigger int
}

// Edge leads from one node to another, by index into Graph.Nodes.
type Edge struct{ From, To int }

// Watch is one condition that looks at a node: condition Condition of trigger
// Trigger waits for State.
type Watch struct {
	Trigger, Condition int
	State              string
}

// Graph is the graph that follows from a set of triggers. It is immutable and
// may be shared.
type Graph struct {
	Workflow string
	Triggers []Trigger
	Nodes    []Node
	Edges    []Edge

	triggerNode []int           // node of each trigger
	actionNode  [][]int         // node of each action of each trigger
	conditions  [][]int         // node watched by each condition of each trigger
	watches     map[int][]Watch // by node
	actions     int
}

type nodeKey struct {
	t    NodeType
	name string
}

// Build derives the graph as spec/workflows §2.7 says. The triggers must be in
// order of creation; nodes and edges are sets, in order of first mention.
func Build(workflow string, triggers []Trigger) *Graph {
	g := &Graph{
		Workflow: workflow, Triggers: triggers,
		triggerNode: make([]int, len(triggers)), actionNode: make([][]int, len(triggers)),
		conditions: make([][]int, len(triggers)), watches: map[int][]Watch{},
	}
	index := map[nodeKey]int{}
	edges := map[Edge]bool{}
	node := func(t NodeType, name string, trigger int) int {
		k := nodeKey{t, name}
		if i, ok := index[k]; ok {
			return i
		}
		i := len(g.Nodes)
		index[k] = i
		g.Nodes = append(g.Nodes, Node{Type: t, Name: name, ID: NodeID(workflow, t, name), Trigger: trigger})
		if t != TriggerNode {
			g.actions++
		}
		return i
	}
	edge := func(from, to int) {
		if e := (Edge{from, to}); !edges[e] {
			edges[e] = true
			g.Edges = append(g.Edges, e)
		}
	}
	for ti, t := range triggers {
		tn := node(TriggerNode, t.Name, ti)
		g.triggerNode[ti] = tn
		if t.Predicate != nil {
			for ci, c := range t.Predicate.Conditions {
				typ, name, state := c.Watched()
				n := node(typ, name, -1)
				edge(n, tn)
				g.conditions[ti] = append(g.conditions[ti], n)
				g.watches[n] = append(g.watches[n], Watch{Trigger: ti, Condition: ci, State: state})
			}
		}
		for _, a := range t.Actions {
			typ, name := a.Target()
			n := node(typ, name, -1)
			edge(tn, n)
			g.actionNode[ti] = append(g.actionNode[ti], n)
		}
	}
	return g
}

// NodeID derives a node's UniqueId, equal in GetWorkflow, in every run and
// after a restart (spec/workflows §2.7).
func NodeID(workflow string, t NodeType, name string) string {
	h := sha256.New()
	h.Write([]byte(workflow))
	h.Write([]byte{0})
	h.Write([]byte(t))
	h.Write([]byte{0})
	h.Write([]byte(name))
	return "wnode_" + hex.EncodeToString(h.Sum(nil))
}

// TotalActions counts the job and crawler nodes (spec/workflows §5.3).
func (g *Graph) TotalActions() int { return g.actions }

// TriggerNode returns the node of a trigger, by its index.
func (g *Graph) TriggerNode(trigger int) int { return g.triggerNode[trigger] }

// ActionNode returns the node that an action of a trigger starts.
func (g *Graph) ActionNode(trigger, action int) int { return g.actionNode[trigger][action] }

// ConditionNode returns the node that a condition of a trigger watches.
func (g *Graph) ConditionNode(trigger, condition int) int { return g.conditions[trigger][condition] }

// Watches returns the conditions that look at a node.
func (g *Graph) Watches(node int) []Watch { return g.watches[node] }

// StartTrigger returns the index of the trigger that starts the workflow; there
// is one at most (spec/workflows §4.2).
func (g *Graph) StartTrigger() (int, bool) {
	for i, t := range g.Triggers {
		if t.Type.Starts() {
			return i, true
		}
	}
	return -1, false
}
