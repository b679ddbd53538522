package launchtest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tenon/internal/launch"
)

func outputOrder(f *fixture) {
	id := Attempt("frames")
	binary := "\x00\xff\xfe no newline \x1b[31m"
	pause := Step{Kind: Sleep, For: 30 * time.Millisecond} // what arrives apart must be told apart
	f.run(f.Process(id,
		Step{Kind: Out, Text: "one\n"}, pause, Step{Kind: Err, Text: "two\n"}, pause,
		Step{Kind: Out, Text: binary}, pause, Step{Kind: Err, Text: "four"}))
	var got []string
	all, _ := f.output(id, false)
	for i, frame := range all {
		got = append(got, fmt.Sprint(frame.Stream, ":", string(frame.Data)))
		if i > 0 && frame.Time.Before(all[i-1].Time) {
			f.Errorf("frame %d is older than the one before it", i)
		}
	}
	want := []string{"1:one\n", "2:two\n", "1:" + binary, "2:four"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		f.Errorf("output is %q, want %q", got, want)
	}
}

func outputCap(f *fixture) {
	id := Attempt("flood")
	p := f.Process(id, Step{Kind: Out, Text: strings.Repeat("x", 1500)}, Step{Kind: Err, Text: "the last words"})
	p.OutputLimit = 1000
	got := f.run(p)
	_, text := f.output(id, false)
	if n := len(text[launch.Stdout]) + len(text[launch.Stderr]); n != 1000 {
		f.Errorf("%d bytes are kept, want 1000", n)
	}
	if !strings.Contains(text[launch.Meta], "limit") || !strings.Contains(text[launch.Meta], "514 bytes") {
		f.Errorf("markers are %q", text[launch.Meta])
	}
	if string(got.Tail) != "the last words" {
		f.Errorf("tail beyond the cap is %q", got.Tail)
	}
}

func outputFollow(f *fixture) {
	id := Attempt("follow")
	f.start(f.Process(id, Step{Kind: Out, Text: "a"}, Step{Kind: Sleep, For: 100 * time.Millisecond}, Step{Kind: Out, Text: "b"}))
	done := make(chan string, 1)
	go func() {
		_, text := f.output(id, true)
		done <- text[launch.Stdout]
	}()
	var got string
	f.until("end of followed output", func() bool {
		select {
		case got = <-done:
			return true
		default:
			return false
		}
	})
	if got != "ab" {
		f.Errorf("follower read %q", got)
	}
	f.final(id)
	if err := f.Supervisor.Ack(f.ctx, id); err != nil {
		f.Fatal(err)
	}
	if _, text := f.output(id, true); text[launch.Stdout] != "ab" {
		f.Errorf("after Ack it reads %q", text[launch.Stdout])
	}
}

func notice(f *fixture) {
	id := Attempt("notice")
	if err := f.Supervisor.Notice(f.ctx, id, "installing"); err != nil {
		f.Fatal(err)
	}
	f.run(f.Process(id, Step{Kind: Err, Text: "own\n"}))
	if _, text := f.output(id, false); text[launch.Stderr] != "installing\nown\n" {
		f.Errorf("error stream is %q", text[launch.Stderr])
	}
	if err := f.Supervisor.Notice(f.ctx, id, "too late"); err == nil {
		f.Error("a notice after the end is taken")
	}
}

func outputUnknown(f *fixture) {
	if _, err := f.Supervisor.Output(f.ctx, Attempt("nobody"), true); !errors.Is(err, fs.ErrNotExist) {
		f.Errorf("Output of an unknown attempt gives %v", err)
	}
}

func tail(f *fixture) {
	var steps []Step
	var want bytes.Buffer
	for i := range 30 {
		line := strings.Repeat(string(rune('a'+i%26)), 1000)
		want.WriteString(line)
		steps = append(steps, Step{Kind: Err, Text: line})
	}
	got := f.run(f.Process(Attempt("tail"), steps...))
	if w := want.Bytes()[want.Len()-launch.TailBytes:]; !bytes.Equal(got.Tail, w) {
		f.Errorf("tail has %d bytes, want the last %d", len(got.Tail), len(w))
	}
}

func many(f *fixture) {
	const n = 300
	id := func(i int) string { return Attempt(fmt.Sprint("many ", i)) }
	for i := range n {
		f.start(f.Process(id(i), Step{Kind: Out, Text: fmt.Sprint(i)}, Step{Kind: Exit, N: i % 7}))
	}
	for i := range n {
		f.want(f.final(id(i)), launch.CauseExit, i%7, 0)
		if _, text := f.output(id(i), false); text[launch.Stdout] != fmt.Sprint(i) {
			f.Errorf("output of %d is %q", i, text[launch.Stdout])
		}
	}
}

// pidIn reads a pid that a script printed.
func (f *fixture) pidIn(id string) int {
	f.Helper()
	_, text := f.output(id, false)
	pid, err := strconv.Atoi(strings.TrimSpace(text[launch.Stdout]))
	if err != nil {
		f.Fatalf("script printed %q", text[launch.Stdout])
	}
	return pid
}

func (f *fixture) wantGone(pid int) {
	f.Helper()
	// The supervisor promises that it is dead at the final fact; nothing to wait for.
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		f.Errorf("process %d is alive after its attempt ended (%v)", pid, err)
	}
}

func daemon(f *fixture) {
	id := Attempt("daemon")
	begin := time.Now()
	f.want(f.run(f.Shell(id, `setsid sh -c 'trap "" TERM HUP; echo $$; exec sleep 1000' & sleep 0.1; exit 4`)), launch.CauseExit, 4, 0)
	if took := time.Since(begin); took > patience/2 {
		f.Errorf("the daemon held the end for %v", took)
	}
	f.wantGone(f.pidIn(id))
}

func stray(f *fixture) {
	other := Attempt("bystander")
	id := Attempt("stray")
	f.running(startedID(f, f.Shell(id, `sleep 0.1; (setsid env -i /bin/sh -c 'echo $$; exec sleep 1000 </dev/null >/dev/null 2>&1' &); sleep 0.3`)))
	f.start(f.Shell(other, `sleep 0.05; exit 5`)) // must not be taken for the stray
	f.want(f.final(other), launch.CauseExit, 5, 0)
	f.want(f.final(id), launch.CauseExit, 0, 0)
	f.wantGone(f.pidIn(id))
}

func heldPipes(f *fixture) {
	id := Attempt("held")
	begin := time.Now()
	f.want(f.run(f.Shell(id, `sleep 1000 & echo $!; exit 6`)), launch.CauseExit, 6, 0)
	if took := time.Since(begin); took > patience/2 {
		f.Errorf("the grandchild held the end for %v", took)
	}
	f.wantGone(f.pidIn(id))
}

func closedPipes(f *fixture) {
	f.want(f.run(f.Shell(Attempt("closed"), `exec >&- 2>&-; sleep 0.1; exit 7`)), launch.CauseExit, 7, 0)
}

func zombies(f *fixture) {
	id := Attempt("zombies")
	// Each inner shell leaves a child behind that nobody waits for.
	f.want(f.run(f.Shell(id, `i=0; while [ $i -lt 300 ]; do (sleep 0.01 &) ; i=$((i+1)); done; sleep 0.1; exit 8`)), launch.CauseExit, 8, 0)
}
