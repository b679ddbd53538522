// Command job is a job that leaves evidence. It guarantees that a line in the
// file "log" of its working directory says that it started, before it does
// anything else, and another that it ended and how, as its last act. It takes two
// locks that die with it: one of those that its job has, as many as runs of it
// may be active, and one of all attempts of its job run. Who does not get one
// writes that it overlaps.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	code, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "job:", err)
		os.Exit(99)
	}
	os.Exit(code)
}

func run() (int, error) {
	attempt := flag.String("attempt", "", "id of this attempt")
	job := flag.String("job", "", "name of the job")
	wait := flag.Duration("for", 0, "how long to run")
	fail := flag.Int("fail", 0, "how many attempts fail")
	limit := flag.Int("limit", 1, "how many runs of the job may be active")
	flag.Parse()

	log, err := os.OpenFile("log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	birth, err := birth()
	if err != nil {
		return 0, err
	}
	// One write each, so that lines of different processes never mix.
	if _, err := fmt.Fprintf(log, "start %s %s %d %d\n", *attempt, *job, os.Getpid(), birth); err != nil {
		return 0, err
	}
	base, nth, retried := strings.Cut(*attempt, "_attempt_")
	for name, n := range map[string]int{*job: *limit, base: 1} {
		if lock(name, n) {
			continue
		}
		if _, err := fmt.Fprintf(log, "overlap %s %s\n", *attempt, name); err != nil {
			return 0, err
		}
	}
	<-time.After(*wait)
	n, code := 0, 0
	if retried {
		if n, err = strconv.Atoi(nth); err != nil {
			return 0, err
		}
	}
	if n < *fail {
		code = 3
	}
	_, err = fmt.Fprintf(log, "end %s %d\n", *attempt, code)
	return code, err
}

// lock takes one of n locks and reports whether it got one. Nobody waits for it,
// and its descriptor stays open for good.
func lock(name string, n int) bool {
	for i := range n {
		fd, err := syscall.Open(fmt.Sprintf("lock-%s-%d", name, i), syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
		if err == nil && syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			return true
		}
	}
	return false
}

// birth is when this process started, in the kernel's ticks: with the pid it
// names a process for as long as the machine runs.
func birth() (uint64, error) {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0, err
	}
	// The name in parentheses may hold anything; it is field 2, birth field 22.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 {
		return 0, errors.New("/proc/self/stat is too short")
	}
	return strconv.ParseUint(fields[19], 10, 64)
}
