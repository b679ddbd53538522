package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// changes says in lines what happened between two snapshots of a run, in the
// order in which it happened: offset from the run's start, node, state, duration
// of what ended, message. The zero snapshot is before everything.
func changes(before, after snapshot, now time.Time) []string {
	known := map[string]string{}
	for _, n := range before.Nodes {
		for i, a := range n.Actions {
			for j, t := range a.Attempts {
				known[key(n, a, i, j)] = t.State + "\x00" + t.Message
			}
		}
	}
	type event struct {
		at   time.Duration
		line string
	}
	var events []event
	width := nameWidth(after)
	for _, n := range after.Nodes {
		for i, a := range n.Actions {
			for j, t := range a.Attempts {
				if known[key(n, a, i, j)] == t.State+"\x00"+t.Message {
					continue
				}
				at := max(now.Sub(after.Started), 0)
				if t.final() && !t.Completed.IsZero() {
					at = max(t.Completed.Sub(after.Started), 0)
				}
				events = append(events, event{at, changeLine(at, width, n, j, t)})
			}
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	out := make([]string, 0, len(events)+1)
	for _, e := range events {
		out = append(out, e.line)
	}
	if before.Status != after.Status && before.Status != "" && !after.terminal() {
		out = append(out, fmt.Sprintf("%8s  run is %s%s", "+"+span(now.Sub(after.Started)), visible(after.Status), because(after.Message)))
	}
	return out
}

func key(n node, a action, i, j int) string {
	return fmt.Sprint(n.Kind, "\x00", n.Name, "\x00", a.ID, "\x00", i, "\x00", j)
}

func changeLine(at time.Duration, width int, n node, attempt int, t attempt) string {
	name := visible(n.Name)
	if attempt > 0 {
		name += fmt.Sprintf(" (retry %d)", attempt)
	}
	line := fmt.Sprintf("%8s  %-*s  %s", "+"+span(at), width, name, visible(t.State))
	if t.final() && !t.Completed.IsZero() {
		line += "  after " + span(t.Completed.Sub(t.Started))
	}
	return line + because(t.Message)
}

func nameWidth(s snapshot) int {
	w := 0
	for _, n := range s.Nodes {
		w = max(w, len([]rune(visible(n.Name))))
	}
	return min(w, 40)
}

// statusTable is the picture of a run at one moment, for a terminal of so many
// columns and lines (0: no bound). When not all nodes fit, those that are active
// or failed are shown first.
func statusTable(s snapshot, now time.Time, width, height int) []string {
	end := now
	if !s.Completed.IsZero() {
		end = s.Completed
	}
	// The id comes last: it is long, and the first to be cut off.
	head := fmt.Sprintf("%s  %s  %s  %s", visible(s.Workflow), visible(s.Status), span(end.Sub(s.Started)), visible(s.RunID))
	shown, hidden := fit(s.Nodes, height-3)
	var rows [][]string
	for _, n := range shown {
		rows = append(rows, rowsOf(n, now, "")...)
	}
	out := append([]string{head}, table(rows)...)
	if hidden > 0 {
		out = append(out, fmt.Sprintf("  … and %d more", hidden))
	}
	for i := range out {
		out[i] = clip(out[i], width)
	}
	return out
}

// fit picks the nodes that most deserve to be seen and keeps their order.
func fit(nodes []node, room int) (shown []node, hidden int) {
	if room < 1 || len(nodes) <= room {
		return nodes, 0
	}
	rank := func(n node) int {
		switch {
		case len(n.Actions) == 0:
			return 2
		case !n.Actions[len(n.Actions)-1].last().final():
			return 0
		case n.Actions[len(n.Actions)-1].last().State != "SUCCEEDED":
			return 1
		}
		return 3
	}
	order := make([]int, len(nodes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank(nodes[a]), rank(nodes[b])) })
	picked := order[:room-1]
	slices.Sort(picked)
	for _, i := range picked {
		shown = append(shown, nodes[i])
	}
	return shown, len(nodes) - len(shown)
}

// rowsOf is one row per start of a node: name, state, duration, message. An
// unrun node has one row, with the reason as its message.
func rowsOf(n node, now time.Time, why string) [][]string {
	name := visible(n.Name)
	if n.Kind == "CRAWLER" {
		name += " (crawler)"
	}
	if len(n.Actions) == 0 {
		if why != "" {
			why = "did not run: " + visible(why)
		}
		return [][]string{{"  " + name, "–", "", why}}
	}
	var rows [][]string
	for _, a := range n.Actions {
		t, end := a.last(), now
		if !t.Completed.IsZero() {
			end = t.Completed
		}
		took, message := "", visible(t.Message)
		if !t.Started.IsZero() {
			took = span(end.Sub(t.Started))
		}
		if len(a.Attempts) > 1 {
			message = strings.TrimSuffix(fmt.Sprintf("attempt %d; %s", len(a.Attempts), message), "; ")
		}
		rows = append(rows, []string{"  " + name, visible(t.State), took, message})
	}
	return rows
}

// finalTable is the picture that a run leaves behind.
func finalTable(s snapshot, e explanation, now time.Time) []string {
	why := map[[2]string]string{}
	for _, u := range e.Unrun {
		why[[2]string{u.Type, u.Name}] = u.Why
	}
	rows := [][]string{{"  NODE", "STATE", "TIME", "MESSAGE"}}
	for _, n := range s.Nodes {
		rows = append(rows, rowsOf(n, now, why[[2]string{n.Kind, n.Name}])...)
	}
	return table(rows)
}
