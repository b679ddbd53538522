package tenon

import (
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// A server that is replaced while a run is under way changes nothing of it: jobs
// run on, retries and queues keep their times, what ended meanwhile is heard of,
// and nothing is started twice (DESIGN §5, spec/workflows §10.3). The run is told
// once without a restart, and then with one at every second of it.
func TestRestart(t *testing.T) {
	scene := []string{
		"workflow W", "job a ok/3s", "job b retries=1 exit1/2s ok/2s", "job c queuing ok/4s", "job d ok/1s", "job e",
		"trigger go on-demand in=W -> a b c", "trigger join conditional in=W all a=SUCCEEDED b=SUCCEEDED -> d",
		"trigger late conditional in=W any c=SUCCEEDED -> e", "start-job c", "start W",
	}
	const length = 40
	tell := func(t *testing.T, restart func(w *world, second int)) (out string) {
		inWorld(t, onDisk, nil, func(w *world) {
			s := newStory(w)
			for _, line := range scene {
				if text := s.command(strings.Fields(line)); strings.HasPrefix(text, "!") {
					w.t.Fatalf("%s: %s", line, text)
				}
			}
			for second := range length {
				restart(w, second)
				w.advance(time.Second)
			}
			out = s.command([]string{"show", "W", "run-1"}) + s.command([]string{"job-runs", "c"}) + s.command([]string{"active"})
			for _, p := range w.processes {
				if n := w.sup.Started(p.Attempt); n != 1 {
					w.t.Errorf("%s was started %d times", s.named(p.Attempt), n)
				}
			}
		})
		return out
	}
	want := tell(t, func(*world, int) {})
	if !strings.Contains(want, "COMPLETED") || !strings.Contains(want, "succeeded 5,") {
		t.Fatalf("without a restart:\n%s", want)
	}
	for at := range length {
		got := tell(t, func(w *world, second int) {
			if second == at {
				w.restart()
			}
		})
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("with a restart after %d s (-want +got):\n%s", at, diff)
		}
	}
	if got := tell(t, func(w *world, _ int) { w.restart() }); got != want {
		t.Errorf("with a restart every second:\n%s", gocmp.Diff(want, got))
	}
	// While no server runs, jobs do, and the clock; what follows from them waits.
	got := tell(t, func(w *world, second int) {
		if second == 2 {
			w.end()
			w.advance(10 * time.Second)
			w.start()
		}
	})
	for _, line := range []string{"a-1 SUCCEEDED, attempt 0, by go, +0s to +3s", "b-1 FAILED, attempt 0, by go, +0s to +2s", "succeeded 5,", "COMPLETED"} {
		if !strings.Contains(got, line) {
			t.Errorf("with a server away for ten seconds %q is missing:\n%s", line, got)
		}
	}
}
