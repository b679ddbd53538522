//go:build linux

package local

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tenon/internal/launch"
	"tenon/internal/launch/launchtest"
)

// BenchmarkTransition measures what the launcher adds to fork and exec. Medians,
// in microseconds: answer is Start's answer; fork is Start's call to the moment
// after the fork; fact is the reaping of the process to its fact at the client;
// whole is Start's call to that fact; bare is os/exec running the same program
// in this process. "limits" sets resource limits too.
func BenchmarkTransition(b *testing.B) {
	for _, limits := range []launch.Limits{{}, {OpenFiles: 1024, Processes: 50000}} {
		b.Run(fmt.Sprintf("limits=%v", limits != launch.Limits{}), func(b *testing.B) { transition(b, limits) })
	}
}

func transition(b *testing.B, limits launch.Limits) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(Config{Dir: b.TempDir() + "/launcher", Executable: self, Args: []string{launcherArg}, Ephemeral: true})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan [2]time.Time, 1) // reaped, heard
	forked := make(chan time.Time, 1)
	go func() {
		_ = s.Watch(ctx, func(facts []launch.Fact) { // ends with ctx
			now := time.Now()
			for _, f := range facts {
				if f.Final() {
					ended <- [2]time.Time{f.At, now}
				} else {
					forked <- f.At
				}
			}
		})
	}()
	times := map[string][]time.Duration{}
	note := func(name string, d time.Duration) { times[name] = append(times[name], d) }
	for i := 0; b.Loop(); i++ {
		id := launchtest.Attempt(strconv.Itoa(i))
		begin := time.Now()
		if err := s.Start(ctx, launch.Process{Attempt: id, Argv: []string{"/bin/true"}, Dir: "/", Limits: limits}); err != nil {
			b.Fatal(err)
		}
		note("answer", time.Since(begin))
		note("fork", (<-forked).Sub(begin))
		end := <-ended
		note("fact", end[1].Sub(end[0]))
		note("whole", end[1].Sub(begin))
		if err := s.Ack(ctx, id); err != nil {
			b.Fatal(err)
		}
		begin = time.Now()
		if err := exec.Command("/bin/true").Run(); err != nil {
			b.Fatal(err)
		}
		note("bare", time.Since(begin))
	}
	for name, list := range times {
		slices.Sort(list)
		b.ReportMetric(float64(list[len(list)/2].Microseconds()), name+"-us")
		b.ReportMetric(float64(list[len(list)*99/100].Microseconds()), name+"-p99-us")
	}
	pids := launchersOf(s.cfg.Dir)
	for _, pid := range pids {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			b.Fatal(err)
		}
		for line := range strings.Lines(string(status)) {
			fields := strings.Fields(line)
			switch fields[0] {
			case "VmRSS:", "Threads:":
				n, err := strconv.Atoi(fields[1])
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(n), strings.TrimSuffix(fields[0], ":"))
			}
		}
	}
}

// launchersOf lists the pids in the addresses of a directory.
func launchersOf(dir string) []int {
	numbers, _ := generations(dir) // none is fine
	var pids []int
	for _, n := range numbers {
		if a, err := readAddress(dir + "/" + genName(n)); err == nil {
			pids = append(pids, a.Pid)
		}
	}
	return pids
}
