package orchestrate_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"tenon/internal/jobrun"
	"tenon/internal/orchestrate"
	"tenon/internal/store"
)

// The stories of testdata: after each command stands what it changed in the
// store. Run with -rewrite to write what happens into them.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		var w *world
		var before map[string]string
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			if d.Cmd == "server" {
				w, before = newWorld(t, serverConfig(t, d)), nil
				return ""
			}
			w.t = t
			if d.Cmd == "explain" {
				return explain(w, d)
			}
			for line := range strings.Lines(strings.TrimSpace(d.Cmd + " " + args(d) + "\n" + d.Input)) {
				if err := command(w, strings.Fields(line), d); err != nil {
					fmt.Fprintf(&out, "error: %v\n", err)
				}
				if d.Cmd == "workflow" || d.Cmd == "triggers" {
					break
				}
			}
			now := w.lines(w.view())
			for _, k := range slices.Sorted(maps.Keys(before)) {
				if _, still := now[k]; !still {
					fmt.Fprintf(&out, "%s: gone\n", k[2:])
				}
			}
			for _, k := range slices.Sorted(maps.Keys(now)) {
				if before[k] != now[k] {
					fmt.Fprintf(&out, "%s: %s\n", k[2:], now[k])
				}
			}
			before = now
			return out.String()
		})
	})
}

func args(d *datadriven.TestData) string {
	var out []string
	for _, a := range d.CmdArgs {
		out = append(out, a.String())
	}
	return strings.Join(out, " ")
}

func serverConfig(t *testing.T, d *datadriven.TestData) orchestrate.Config {
	c := orchestrate.Config{RetryDelay: jobrun.RetryDelay, QueueMaxWait: jobrun.QueueMaxWait, Quotas: map[orchestrate.Quota]int{}}
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "immediate-retries":
			c.RetryDelay = 0
		case "allow-empty":
			c.AllowEmptyRun = true
		default:
			n, err := strconv.Atoi(a.SingleVal(t))
			if err != nil {
				t.Fatal(err)
			}
			c.Quotas[orchestrate.Quota(a.Key)] = n
		}
	}
	return c
}

// command does one line: its first word is the command, the rest are names and
// key=value options.
func command(w *world, words []string, d *datadriven.TestData) error {
	options := map[string]int{}
	var names []string
	for _, word := range words[1:] {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			names = append(names, word)
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil {
			return err
		}
		options[key] = n
	}
	names = append(names, "", "", "")
	switch words[0] {
	case "job":
		def := jobrun.Definition{Name: names[0], MaxRetries: options["retries"], ExecutionProperty: &jobrun.ExecutionProperty{MaxConcurrentRuns: max(options["slots"], 1)}}
		queue := slices.Contains(names, "queue")
		def.JobRunQueuingEnabled = &queue
		w.job(def)
		return nil
	case "delete-job":
		return w.deleteJob(names[0])
	case "workflow":
		w.workflow(names[0], options["most"], nil, parseTriggers(w.t, d.Input))
		return nil
	case "triggers":
		w.workflow("", 0, nil, parseTriggers(w.t, d.Input))
		return nil
	case "delete-workflow":
		return w.deleteWorkflow(names[0])
	case "start":
		var run store.Run
		err := w.write(w.startRun(names[0], nil, &run))
		if err == nil {
			w.runs = append(w.runs, run.Seq)
		}
		return err
	case "fire":
		var refused error
		if err := w.write(w.fire(names[0], &refused)); err != nil {
			return err
		}
		return refused
	case "stop-run":
		n, err := strconv.Atoi(names[0])
		if err != nil {
			return err
		}
		return w.write(w.stopRun(w.runs[n-1]))
	case "start-job":
		return w.write(w.startJob(names[0], jobrun.Request{}))
	case "retry-job":
		return w.write(w.retryJob(w.find(names[0]), jobrun.Request{}))
	case "stop-job":
		return w.write(w.stopJob(w.find(names[0])))
	case "started":
		return w.write(w.started(w.find(names[0])))
	case "exit":
		return w.write(w.ended(w.find(names[0]), jobrun.End{Cause: jobrun.ByItself, ExitCode: options["code"]}))
	case "end":
		return w.write(w.ended(w.find(names[0]), jobrun.End{Cause: jobrun.Cause(names[1]), Reason: "for a reason."}))
	case "wait":
		length, err := time.ParseDuration(names[0])
		if err != nil {
			return err
		}
		w.now = w.now.Add(length)
		for found := true; found; {
			if err := w.write(w.due(&found)); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("unknown command " + words[0])
}

func explain(w *world, d *datadriven.TestData) string {
	n, err := strconv.Atoi(d.CmdArgs[0].Key)
	w.must(err)
	var out strings.Builder
	w.read(func(tx store.Tx) error {
		row, err := tx.Run(w.runs[n-1])
		if err != nil {
			return err
		}
		state, err := w.o.Load(tx, row)
		if err != nil {
			return err
		}
		for i, node := range state.Graph.Nodes {
			s, err := state.Node(i)
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, "%s %s: %s %s, %d started\n", node.Type, node.Name, s.Phase, s.Shown(), len(s.Runs))
		}
		return nil
	})
	return out.String()
}
