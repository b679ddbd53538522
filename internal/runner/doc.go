// Package runner carries orders from the outbox to supervisors and their facts
// back, and dispatches timers. It guarantees that an order is carried out only
// after its commit and while it is still wanted, that each fact is written
// before the supervisor may forget it, and that whatever it was doing when the
// server died is taken up again by the next one.
//
// # States of a launch
//
//	queued --slot free--> preparing --ready--> handed over --Running--> running
//	   |                      |                     |                      |
//	   +------ stop ----------+                     +------- Ended, Lost --+--> gone
//	           ends as stopped, nothing was started
//
// Slots are this machine's (--max-local-jobs). Queued launches are taken round
// robin by run, then first come; those of low priority last.
//
// # Failures
//
//	what fails                      what follows
//	server dies while queued        the outbox row is still there: queued again
//	server dies while preparing     prepared again
//	server dies after hand-over     the supervisor knows the attempt: adopted
//	stop during the hand-over       stopped when the supervisor has it
//	process of an ended attempt     killed
//	supervisor dies                 it says Lost for what it knew; what it never knew is launched
//	machine restarts                attempts of another boot that nobody knows are lost
//	store refuses a fact            the fact is repeated until it is written
//
// # Invariants
//
//  1. A launch is handed over at most once per attempt; the supervisor refuses a second.
//  2. A final fact is acknowledged only after its transaction committed.
//  3. Every attempt that holds a slot of its job is queued here, known to the
//     supervisor, or ended as lost.
//
// # Crash points (testkit/crashpoint)
//
//	runner.before-prepare  slot taken, nothing prepared
//	runner.before-start    prepared, the supervisor not asked
//	runner.after-start     the supervisor has it, nobody heard
//	runner.stop-decided    stop decided, the supervisor not asked
//	runner.stop-ordered    the supervisor stops it, the order still stands
//	runner.before-record   fact heard, not written
//	runner.before-ack      end written, the supervisor still knows it
//	runner.after-ack       end written and forgotten by the supervisor
//	runner.before-timer    timer due, nothing done
//	runner.after-timer     timer done, the next one not looked at
//
// It decides nothing about runs: orchestrate does. It waits for every goroutine
// that it starts.
package runner
