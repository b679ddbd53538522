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
// It decides nothing about runs: orchestrate does. It waits for every goroutine
// that it starts.
package runner
