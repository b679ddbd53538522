package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tenon/bench/drive"
)

// verdict is one target and what came of it.
type verdict struct {
	what, target, measured string
	reached                bool
}

// table is one table of the report.
type table struct {
	title, remark string
	head          []string
	rows          [][]string
}

// report gathers what a run found.
type report struct {
	facts    []string
	command  string
	at       time.Time
	commit   time.Duration // one durable write of the floor
	took     time.Duration
	verdicts []verdict
	tables   []table
	marks    []mark
}

func newReport(ctx context.Context, o *options, args []string) (*report, error) {
	r := &report{at: time.Now().UTC(), command: strings.Join(append([]string{"bench/run"}, args...), " ")}
	facts, err := machine(ctx, o)
	if err != nil {
		return nil, err
	}
	r.facts = append(facts, "load average before the run: "+load())
	return r, nil
}

func (r *report) judge(what, target, measured string, reached bool) {
	r.verdicts = append(r.verdicts, verdict{what, target, measured, reached})
}

// atMost judges a duration.
func (r *report) atMost(what string, target, measured time.Duration) {
	r.judge(what, "≤ "+show(target), show(measured), measured <= target)
}

// compare makes the table of one operation beside the peer's, and the floor's if
// there is one, and judges the ratios that have a target.
func (r *report) compare(title string, clients []int, ours, peer, bare medians, targets map[int]float64) {
	t := table{
		title: title, remark: "CPU is in cores busy; the driver signs each call and takes its own share of the same cores.",
		head: []string{"clients", "Tenon /s", "p50", "p99", "CPU", "CPU a call", "written a call", "driver CPU", "moto /s", "p50", "p99", "CPU", "ratio"},
	}
	if bare != nil {
		t.head = append(t.head, "bare /s", "share")
		t.remark += " The bare server verifies, decodes and makes the same number of bytes durable, in groups, without any database."
	}
	for _, n := range clients {
		a, b, ratio := ours.of(n), peer.of(n), ours.ratio(peer, n)
		row := []string{
			fmt.Sprint(n), fmt.Sprintf("%.0f", a.Rate()), show(a.P50), show(a.P99), fmt.Sprintf("%.2f", a.ServerCPU), show(a.ServerTime()), fmt.Sprintf("%d B", a.Written), fmt.Sprintf("%.2f", a.DriverCPU),
			fmt.Sprintf("%.0f", b.Rate()), show(b.P50), show(b.P99), fmt.Sprintf("%.2f", b.ServerCPU), fmt.Sprintf("%.1f×", ratio),
		}
		if bare != nil {
			row = append(row, fmt.Sprintf("%.0f", bare.of(n).Rate()), fmt.Sprintf("%.0f %%", 100*ours.ratio(bare, n)))
		}
		t.rows = append(t.rows, row)
		if target, ok := targets[n]; ok {
			r.judge(fmt.Sprintf("%s against moto, %d clients", title, n), fmt.Sprintf("≥ %.0f×", target), fmt.Sprintf("%.1f×", ratio), ratio >= target)
		}
	}
	r.tables = append(r.tables, t)
}

// transitions makes the table of times between processes.
func (r *report) transitions(s *stage) {
	t := table{
		title: "End of one job process → start of the next",
		remark: "The first pair is stamped by the parent (wait returned → fork returned). The others are stamped by the job itself, which takes " +
			"longer, with or without a server: its own end and start count. The bench supervisor forks from the server. " +
			fmt.Sprintf("The floor is a bare chain with one append of 4 KiB and fdatasync between (median %s alone). ", show(r.commit)) +
			"Parts: until the server asks to prepare the next job (reaped, told, committed), and from there on (handed over, forked).",
		head: []string{"what", "samples", "median", "p99", "max", "beyond the floor", "first part", "second part"},
	}
	for _, p := range []struct{ name, what, floor string }{
		{"floor true", "bare chain, " + nothing, ""},
		{"instant chain", "Tenon, bench supervisor, " + nothing, "floor true"},
		{"floor tick", "bare chain, self-stamping job", ""},
		{"tick chain", "Tenon, bench supervisor, self-stamping job", "floor tick"},
		{"launcher chain", "Tenon, launcher, self-stamping job", "floor tick"},
	} {
		all := s.between[p.name]
		cells := []string{p.what, fmt.Sprint(len(all)), show(all.Median()), show(all.Quantile(0.99)), show(all.Quantile(1)), "", "", ""}
		if p.floor != "" {
			cells[5] = show(all.Median() - s.between[p.floor].Median())
			cells[6], cells[7] = show(s.before[p.name].Median()), show(s.after[p.name].Median())
		}
		t.rows = append(t.rows, cells)
	}
	r.tables = append(r.tables, t)
	chain, bare := s.between["instant chain"], s.between["floor true"]
	r.atMost("transition, median (now)", 3*time.Millisecond, chain.Median())
	r.atMost("transition, median beyond the floor", 1200*time.Microsecond, chain.Median()-bare.Median())
	r.atMost("transition, p99", 5*time.Millisecond, chain.Quantile(0.99))
	r.atMost("transition through the launcher, median (now)", 3*time.Millisecond, s.between["launcher chain"].Median())
}

// wholes makes the table of whole runs.
func (r *report) wholes(whole map[string]drive.Samples) {
	t := table{
		title:  "StartWorkflowRun → COMPLETED",
		remark: fmt.Sprintf("Seen by a client that asks every %s. A chain has %d jobs, a fan-out %d.", show(pollEvery), links, width),
		head:   []string{"what", "runs", "median", "p99"},
	}
	for _, p := range []struct{ name, what string }{
		{"floor true", "bare chain of " + nothing},
		{"instant chain", "chain, bench supervisor, " + nothing},
		{"instant fan", "fan-out, bench supervisor, " + nothing},
		{"floor tick", "bare chain of a self-stamping job"},
		{"launcher chain", "chain, launcher, self-stamping job"},
		{"launcher fan", "fan-out, launcher, self-stamping job"},
		{"floor python", "bare chain of an empty Python script"},
		{"python chain", "chain, launcher, empty Python script, cold"},
	} {
		s := whole[p.name]
		t.rows = append(t.rows, []string{p.what, fmt.Sprint(len(s)), show(s.Median()), show(s.Quantile(0.99))})
	}
	r.tables = append(r.tables, t)
	r.atMost("chain of ten, "+nothing, 20*time.Millisecond, whole["instant chain"].Median())
	r.atMost("fan-out of fifty, "+nothing, 60*time.Millisecond, whole["instant fan"].Median())
	ratio := float64(whole["python chain"].Median()) / float64(whole["floor python"].Median())
	r.judge("chain of ten Python jobs against ten bare starts", "≤ 1.15×", fmt.Sprintf("%.2f×", ratio), ratio <= 1.15)
}

func (r *report) footprint(fresh, again time.Duration, server, launcher float64) {
	r.tables = append(r.tables, table{
		title: "Start-up and idle memory",
		head:  []string{"exec → first healthy answer, new directory", "used directory", "idle RSS, server", "launcher"},
		rows:  [][]string{{show(fresh), show(again), mebi(int64(server)), mebi(int64(launcher))}},
	})
	r.atMost("start-up, used directory", 100*time.Millisecond, again)
	r.judge("idle RSS of the server", "≤ 40 MiB", mebi(int64(server)), server <= 40<<20)
}

// growth makes the table of what stored runs do.
func (r *report) growth() error {
	if len(r.marks) == 0 {
		return errors.New("nothing was stored")
	}
	t := table{
		title:  "With many runs stored",
		remark: "Latency at one client. Every run is active and keeps two job runs waiting. Memory is read after a rest.",
		head:   []string{"runs", "start p50", "p99", "get p50", "p99", "RSS, server", "peak", "launcher", "disk a run"},
	}
	for _, m := range r.marks {
		t.rows = append(t.rows, []string{
			fmt.Sprint(m.runs), show(m.start.P50), show(m.start.P99), show(m.get.P50), show(m.get.P99),
			mebi(m.memory.Resident), mebi(m.memory.Peak), mebi(m.launcher.Resident), fmt.Sprintf("%d B", m.disk),
		})
	}
	r.tables = append(r.tables, t)
	first, last := r.marks[0], r.marks[len(r.marks)-1]
	at := fmt.Sprintf(" after %d runs", last.runs)
	r.judge("RSS of the server"+at, "≤ 45 MiB", mebi(last.memory.Resident), last.memory.Resident <= 45<<20)
	r.judge("disk a run", "≤ 3000 B", fmt.Sprintf("%d B", last.disk), last.disk <= 3000)
	// Flat means within what two measurements of the same thing differ by.
	for _, f := range []struct {
		what          string
		before, after time.Duration
	}{{"start p50", first.start.P50, last.start.P50}, {"get p50", first.get.P50, last.get.P50}} {
		ratio := float64(f.after) / float64(f.before)
		r.judge(fmt.Sprintf("%s%s against after %d", f.what, at, first.runs), "≤ 1.25×", fmt.Sprintf("%.2f×", ratio), ratio <= 1.25)
	}
	return nil
}

// markdown renders the whole report.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmark of %s\n\n", r.at.Format("2006-01-02 15:04 UTC"))
	for _, f := range r.facts {
		fmt.Fprintf(&b, "- %s\n", f)
	}
	fmt.Fprintf(&b, "- command: `%s`, took %s\n\n", r.command, r.took.Round(time.Second))
	b.WriteString("Figures are medians of the rounds. They inform; only ratios within one run say something.\n")
	verdicts := table{title: "Targets", head: []string{"what", "target", "measured", ""}}
	for _, v := range r.verdicts {
		word := "missed"
		if v.reached {
			word = "reached"
		}
		verdicts.rows = append(verdicts.rows, []string{v.what, v.target, v.measured, word})
	}
	for _, t := range append([]table{verdicts}, r.tables...) {
		t.write(&b)
	}
	return b.String()
}

func (t table) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n", t.title)
	if t.remark != "" {
		fmt.Fprintf(b, "%s\n\n", t.remark)
	}
	line := func(cells []string) { fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.head)
	line(slices.Repeat([]string{"---"}, len(t.head)))
	for _, r := range t.rows {
		line(r)
	}
}

// save writes the report, and one line into the history.
func (r *report) save(dir string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make results folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "latest.md"), []byte(r.markdown()), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	path := filepath.Join(dir, "history.md")
	_, err = os.Stat(path)
	begin := errors.Is(err, fs.ErrNotExist)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open history: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text := ""
	if begin {
		text = "# Benchmark runs\n\nOne line a run. Machines and their moods differ: compare ratios, not figures.\n\n"
	}
	var results []string
	for _, v := range r.verdicts {
		results = append(results, v.what+" "+v.measured)
	}
	text += fmt.Sprintf("- %s · %s · `%s` · %s\n", r.at.Format("2006-01-02 15:04"), strings.Join(r.facts, " · "), r.command, strings.Join(results, "; "))
	if _, err := f.WriteString(text); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}

// show prints a duration with three digits.
func show(d time.Duration) string {
	switch a := d.Abs(); {
	case a < 10*time.Microsecond:
		return d.String()
	case a < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case a < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case a < time.Second:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

func mebi(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
