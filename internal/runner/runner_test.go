package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"tenon/internal/jobrun"
	"tenon/internal/launch"
	"tenon/internal/launch/fake"
	"tenon/internal/store"
)

// No more jobs than slots run; who waits says why after a while, and not before.
func TestSlots(t *testing.T) {
	inRig(t, func(r *rig) {
		r.slots = 2
		r.run()
		r.job("J")
		var keys []store.AttemptKey
		for range 5 {
			keys = append(keys, r.start("J"))
		}
		r.advance(500 * time.Millisecond)
		r.want("third, at once", keys[2], jobrun.Starting, "")
		r.advance(2 * time.Second)
		for i, want := range []jobrun.State{jobrun.Running, jobrun.Running, jobrun.Starting, jobrun.Starting, jobrun.Starting} {
			text := ""
			if want == jobrun.Starting {
				text = jobrun.MsgLocalSlot
			}
			r.want(fmt.Sprintf("run %d", i), keys[i], want, text)
		}
		r.advance(8 * time.Second)
		r.want("third, when a slot was free", keys[2], jobrun.Running, "")
		r.advance(20 * time.Second)
		for i, k := range keys {
			r.want(fmt.Sprintf("run %d", i), k, jobrun.Succeeded, "")
		}
		r.idle()
	})
}

// A queue in which something happens all the time still says what it waits for.
func TestBusyQueueExplainsItself(t *testing.T) {
	inRig(t, func(r *rig) {
		r.slots = 1
		r.run()
		r.job("J")
		r.start("J")
		waiting := r.start("J")
		for range 8 {
			r.start("J")
			r.advance(500 * time.Millisecond)
		}
		r.want("second", waiting, jobrun.Starting, jobrun.MsgLocalSlot)
	})
}

// A stop is good at every step of a launch: nothing runs on, nothing is started
// after it, and the slot is free (spec/jobs §2.9).
func TestStopAtEveryStep(t *testing.T) {
	step := func(name string, before func(r *rig) store.AttemptKey, processes int) {
		t.Run(name, func(t *testing.T) {
			inRig(t, func(r *rig) {
				r.slots = 1
				r.run()
				r.job("J")
				k := before(r)
				r.stop(k)
				r.advance(10 * time.Second)
				r.want("after the stop", k, jobrun.Stopped, jobrun.MsgStopped)
				r.prepare = nil
				r.outcome = func(string) fake.Outcome { return fake.Outcome{After: time.Second} }
				r.advance(30 * time.Second)
				next := r.start("J")
				r.advance(5 * time.Second)
				r.want("the next", next, jobrun.Succeeded, "")
				if got := r.sup.Started(r.attempt(k).ID()); got != processes {
					t.Errorf("%d processes were made, want %d", got, processes)
				}
				r.idle()
			})
		})
	}
	step("queued", func(r *rig) store.AttemptKey {
		r.start("J")
		return r.start("J")
	}, 0)
	step("preparing", func(r *rig) store.AttemptKey {
		r.prepare = func(ctx context.Context, _ launch.Spec) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}
		k := r.start("J")
		r.settle()
		return k
	}, 0)
	step("prepared in spite of it", func(r *rig) store.AttemptKey {
		r.prepare = func(ctx context.Context, _ launch.Spec) error {
			<-ctx.Done()
			return nil
		}
		k := r.start("J")
		r.settle()
		return k
	}, 0)
	step("accepted", func(r *rig) store.AttemptKey {
		r.outcome = func(string) fake.Outcome { return fake.Outcome{Delay: time.Minute} }
		k := r.start("J")
		r.settle()
		return k
	}, 0)
	step("running", func(r *rig) store.AttemptKey {
		r.outcome = func(string) fake.Outcome { return fake.Outcome{Never: true} }
		k := r.start("J")
		r.settle()
		return k
	}, 1)
	step("deaf", func(r *rig) store.AttemptKey { // is killed after the grace of 5 s
		r.outcome = func(string) fake.Outcome { return fake.Outcome{Never: true, IgnoreTerm: true} }
		k := r.start("J")
		r.settle()
		return k
	}, 1)
}

// Launches that fail say why, and are over (spec/jobs §2.8).
func TestLaunchFailures(t *testing.T) {
	for _, c := range []struct {
		name    string
		command string
		prepare func(context.Context, launch.Spec) error
		refuse  error
		want    string
	}{
		{"the user's to mend", "pythonshell", func(context.Context, launch.Spec) error {
			return fmt.Errorf("prepare: %w", &launch.PrepareError{Message: "LAUNCH ERROR | no such script", Err: errors.New("404")})
		}, nil, "LAUNCH ERROR | no such script"},
		{"the server's", "pythonshell", func(context.Context, launch.Spec) error { return errors.New("secret path") }, nil, "LAUNCH ERROR | The server could not prepare the job; its log says why."},
		{"too slow", "pythonshell", func(ctx context.Context, _ launch.Spec) error { <-ctx.Done(); return ctx.Err() }, nil, "LAUNCH ERROR | Preparing the job took longer than 1m0s."},
		{"Spark", "glueetl", nil, nil, "LAUNCH ERROR | Spark jobs are not supported by this server."},
		{"streaming", "gluestreaming", nil, nil, "LAUNCH ERROR | Spark jobs are not supported by this server."},
		{"Ray", "glueray", nil, nil, "LAUNCH ERROR | Ray jobs are not supported by this server."},
		{"something else", "cobol", nil, nil, `LAUNCH ERROR | "cobol" jobs are not supported by this server.`},
		{"refused", "pythonshell", nil, errors.New("too many processes"), "LAUNCH ERROR | too many processes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inRig(t, func(r *rig) {
				r.run()
				r.prepare = c.prepare
				if c.refuse != nil {
					r.sup.Refuse(func(launch.Process) error { return c.refuse })
				}
				r.job("J", func(d *jobrun.Definition) { d.Command.Name = c.command })
				k := r.start("J")
				r.advance(2 * time.Minute)
				r.want(c.name, k, jobrun.Failed, c.want)
				if len(r.started) > 0 || r.discarded[r.attempt(k).ID()] != 1 {
					t.Errorf("%d processes, files were removed %d times", len(r.started), r.discarded[r.attempt(k).ID()])
				}
				r.idle()
			})
		})
	}
}

// A supervisor that is away for a while is asked again.
func TestSupervisorAway(t *testing.T) {
	inRig(t, func(r *rig) {
		r.run()
		r.job("J")
		away := true
		r.sup.Refuse(func(launch.Process) error {
			if away {
				return launch.ErrClosed
			}
			return nil
		})
		k := r.start("J")
		r.advance(5 * time.Second)
		r.want("while it is away", k, jobrun.Starting, "")
		away = false
		r.advance(20 * time.Second)
		r.want("afterwards", k, jobrun.Succeeded, "")
		r.idle()
	})
}

// A supervisor that dies takes its processes with it: nobody knows how they
// ended, and it is said so; retries and later jobs go to the next one (DESIGN P3).
func TestSupervisorDies(t *testing.T) {
	inRig(t, func(r *rig) {
		r.run()
		r.job("J")
		r.job("R", func(d *jobrun.Definition) { d.MaxRetries = 1 })
		k, retried := r.start("J"), r.start("R")
		r.advance(time.Second)
		r.sup.Die("the launcher was killed.")
		r.advance(time.Second)
		r.want("lost", k, jobrun.Failed, "The outcome of this attempt is unknown: the launcher was killed.")
		next := r.start("J")
		r.advance(time.Minute)
		r.want("the next", next, jobrun.Succeeded, "")
		r.want("the retry", store.AttemptKey{Base: retried.Base, N: 1}, jobrun.Succeeded, "")
		r.idle()
	})
}

// Facts are written however often they come and however long the store refuses
// them; each end counts once (invariant 2).
func TestFactsAreKept(t *testing.T) {
	inRig(t, func(r *rig) {
		r.run()
		r.job("J")
		r.sup.Repeat(2)
		k := r.start("J")
		r.advance(5 * time.Second)
		r.store.broken.Store(true)
		r.advance(30 * time.Second)
		r.want("while the disk is full", k, jobrun.Running, "")
		if facts, err := r.sup.List(t.Context()); err != nil || len(facts) != 1 || facts[0].State != launch.Ended {
			t.Errorf("the supervisor was allowed to forget: %v, %v", facts, err)
		}
		if n := r.store.failed.Load(); n < 10 || n > 100 {
			t.Errorf("%d tries in 25 s", n)
		}
		r.store.broken.Store(false)
		r.advance(5 * time.Second)
		r.want("afterwards", k, jobrun.Succeeded, "")
		if a := r.attempt(k); a.Run.ExecutionTime() != 10 {
			t.Errorf("it ran for %d s", a.Run.ExecutionTime())
		}
		r.idle()
	})
}

// Processes of attempts that the store does not know, or knows under another
// id, are nobody's and are ended (DESIGN §5).
func TestStrangers(t *testing.T) {
	inRig(t, func(r *rig) {
		r.outcome = func(string) fake.Outcome { return fake.Outcome{Never: true} }
		ids := []string{"nonsense", store.AttemptID(store.AttemptKey{Base: 7}, [24]byte{1})}
		r.run()
		r.job("J")
		k := r.start("J")
		r.settle()
		other := r.attempt(k)
		other.Rand[0]++
		ids = append(ids, other.ID())
		for _, id := range ids {
			if err := r.sup.Start(t.Context(), launch.Process{Attempt: id, Argv: []string{"/job/x"}}); err != nil {
				t.Fatal(err)
			}
		}
		r.advance(10 * time.Second)
		facts, err := r.sup.List(t.Context())
		if err != nil || len(facts) != 1 || facts[0].Attempt != r.attempt(k).ID() {
			t.Errorf("the supervisor has %v, %v", facts, err)
		}
		r.want("the one we know", k, jobrun.Running, "")
	})
}

// A timer that cannot be done does not keep the others from being done.
func TestTimers(t *testing.T) {
	inRig(t, func(r *rig) {
		r.run()
		r.job("J", func(d *jobrun.Definition) { d.MaxRetries = 1 })
		r.outcome = func(string) fake.Outcome { return fake.Outcome{After: time.Second, ExitCode: 1} }
		r.write(func(tx store.Tx) error {
			return tx.SetTimer(store.Timer{Kind: store.TimerRetry, Ref: "nonsense", Due: time.Now().Add(time.Second)})
		})
		k := r.start("J")
		r.advance(30 * time.Second)
		if got := len(r.started); got != 1 {
			t.Fatalf("%d processes before the delay is over", got)
		}
		r.advance(2 * time.Second)
		if got := len(r.started); got != 2 {
			t.Fatalf("%d processes after the delay", got)
		}
		r.advance(5 * time.Second)
		r.want("the retry", store.AttemptKey{Base: k.Base, N: 1}, jobrun.Failed, "exit code 1")
		r.idle()
	})
}

// A server that comes after another takes up what that one left, at every step
// of a launch (DESIGN P3, §5).
func TestRecover(t *testing.T) {
	fail := func(why string) func(context.Context, launch.Spec) error {
		return func(ctx context.Context, _ launch.Spec) error { <-ctx.Done(); return errors.New(why) }
	}
	for _, c := range []struct {
		name   string
		before func(r *rig) // the first server starts with
		left   func(r *rig) // after the first server's end
		stop   bool         // the run is stopped before that
		state  jobrun.State // in the end
		text   string       // of its message
		starts int          // processes in all
	}{
		{name: "preparing", before: func(r *rig) { r.prepare = fail("the server ends") }, left: func(r *rig) { r.prepare = nil }, state: jobrun.Succeeded, starts: 1},
		{name: "queued", before: func(r *rig) { r.slots = 0 }, left: func(r *rig) { r.slots = 10 }, state: jobrun.Succeeded, starts: 1},
		{name: "accepted", before: func(r *rig) { r.outcome = func(string) fake.Outcome { return fake.Outcome{Delay: 10 * time.Second} } }, state: jobrun.Succeeded, starts: 1},
		{name: "running", state: jobrun.Succeeded, starts: 1},
		{name: "ended meanwhile", left: func(r *rig) { r.advance(time.Minute) }, state: jobrun.Succeeded, starts: 1},
		{name: "lost meanwhile", left: func(r *rig) { r.sup.Die("the launcher was killed.") }, state: jobrun.Failed, text: "unknown: the launcher was killed.", starts: 1},
		{name: "forgotten", left: func(r *rig) { r.forget() }, state: jobrun.Failed, text: "unknown: the process that supervised it is gone.", starts: 1},
		{name: "another boot", left: func(r *rig) { r.forget(); r.boot = "later" }, state: jobrun.Failed, text: "unknown: the machine was restarted before its end was seen.", starts: 1},
		{name: "queued in another boot", before: func(r *rig) { r.slots = 0 }, left: func(r *rig) { r.slots, r.boot = 10, "later" }, state: jobrun.Failed, text: "unknown: the machine was restarted", starts: 0},
		{name: "stopped in the queue", before: func(r *rig) { r.slots = 0 }, stop: true, left: func(r *rig) { r.slots = 10 }, state: jobrun.Stopped, text: jobrun.MsgStopped, starts: 0},
		{name: "stopped while it ran", stop: true, state: jobrun.Stopped, text: jobrun.MsgStopped, starts: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			inRig(t, func(r *rig) {
				if c.before != nil {
					c.before(r)
				}
				r.run()
				r.job("J")
				k := r.start("J")
				r.advance(2 * time.Second)
				r.end()
				if c.stop { // by a server that died before it could carry the order out
					r.stop(k)
				}
				if c.left != nil {
					c.left(r)
				}
				r.run()
				r.advance(30 * time.Second)
				r.want("in the end", k, c.state, c.text)
				if len(r.started) != c.starts || slices.Contains(r.started, "") {
					t.Errorf("%d processes, want %d", len(r.started), c.starts)
				}
				r.idle()
				// Another restart finds nothing to do.
				r.end()
				r.run()
				r.want("after another restart", k, c.state, c.text)
				r.idle()
			})
		})
	}
}

// forget makes the supervisor one that knows nothing, as after a restart of the
// machine.
func (r *rig) forget() {
	r.sup = fake.New(time.Now, func(launch.Process) fake.Outcome { r.started = append(r.started, "again"); return fake.Outcome{} })
}

// A retry that was due while no server ran is made by the next one.
func TestRecoverTimers(t *testing.T) {
	inRig(t, func(r *rig) {
		r.outcome = func(string) fake.Outcome { return fake.Outcome{After: time.Second, ExitCode: 1} }
		r.run()
		r.job("J", func(d *jobrun.Definition) { d.MaxRetries = 1 })
		k := r.start("J")
		r.advance(5 * time.Second)
		r.end()
		r.outcome = func(string) fake.Outcome { return fake.Outcome{After: time.Second} }
		r.advance(time.Hour)
		r.run()
		r.advance(5 * time.Second)
		r.want("the retry", store.AttemptKey{Base: k.Base, N: 1}, jobrun.Succeeded, "")
		r.idle()
	})
}

// The attempt's slots are counted over adopted ones too.
func TestAdoptedHoldSlots(t *testing.T) {
	inRig(t, func(r *rig) {
		r.slots = 1
		r.run()
		r.job("J")
		r.start("J")
		r.advance(2 * time.Second)
		r.end()
		r.run()
		second := r.start("J")
		r.advance(3 * time.Second)
		r.want("beside an adopted one", second, jobrun.Starting, jobrun.MsgLocalSlot)
		r.advance(20 * time.Second)
		r.want("afterwards", second, jobrun.Succeeded, "")
		r.idle()
	})
}
