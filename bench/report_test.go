package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tenon/bench/drive"
)

func TestRatioIsTakenRoundByRound(t *testing.T) {
	// A machine that is twice as fast in its second round must not change the ratio.
	rate := func(n int) drive.Result { return drive.Result{Clients: 8, Calls: n, Wall: time.Second} }
	ours := medians{8: {rate(1000), rate(2000), rate(900)}}
	peer := medians{8: {rate(100), rate(200), rate(100)}}
	r := &report{}
	r.compare("Start", []int{8}, ours, peer, nil, map[int]float64{8: 13})
	if len(r.verdicts) != 1 || r.verdicts[0].measured != "10.0×" || r.verdicts[0].reached {
		t.Errorf("got %+v", r.verdicts)
	}
}

func TestSave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	r := &report{facts: []string{"commit abc"}, command: "bench/run -rounds 5", at: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
	r.atMost("start-up", 100*time.Millisecond, 36*time.Millisecond)
	r.atMost("chain", 20*time.Millisecond, 33*time.Millisecond)
	for range 2 {
		if err := r.save(dir); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, want := range []string{"commit abc", "| start-up | ≤ 100ms | 36ms | reached |", "| chain | ≤ 20ms | 33ms | missed |", "`bench/run -rounds 5`"} {
		if !strings.Contains(read("latest.md"), want) {
			t.Errorf("latest.md lacks %q", want)
		}
	}
	history := read("history.md")
	if strings.Count(history, "# Benchmark runs") != 1 || strings.Count(history, "2026-11-22 10:00 · commit abc") != 2 {
		t.Errorf("history is\n%s", history)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"-parts", "calls,nonsense"}, {"-rounds", "0"}, {"-runs", "10"}, {"-for", "0s"}, {"-unknown"}} {
		if _, err := parse(append(args, "-work", t.TempDir())); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
	o, err := parse([]string{"-quick", "-work", t.TempDir()})
	if err != nil || o.results != "" || o.rounds != 1 {
		t.Errorf("quick gives %+v, %v", o, err)
	}
}

func TestShow(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1234 * time.Nanosecond: "1.234µs", 123456 * time.Nanosecond: "123µs", 1234567 * time.Nanosecond: "1.23ms",
		12345678 * time.Nanosecond: "12.3ms", 1234567890: "1.23s", -1234567 * time.Nanosecond: "-1.23ms",
	} {
		if got := show(d); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
