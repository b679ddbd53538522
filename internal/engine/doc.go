// Package engine decides what a workflow run, or a chain of standalone
// triggers, does next. It guarantees that the same facts in the same order give
// the same plans, that every trigger fires at most once per run, that nothing
// starts once a run is stopping, and that asking again after a plan was applied
// says nothing new.
//
// [Record] folds one fact into a run: it only writes down what happened.
// [Advance] looks at the whole state, never at the last fact, and says what the
// run needs now. [Explain] says why something did not run.
//
// It does no input or output: whoever calls it stores what [Run.Dirty] names and
// lends it stored state through a [Loader]. It has no clock, no goroutine, no
// randomness. It does not know job definitions, attempts or retries: it hears of
// an action once, after its last attempt (spec/workflows §4.4).
//
// # States of a run
//
//	RUNNING --all quiet--> COMPLETED
//	RUNNING --StopRequested--> STOPPING --nothing active--> STOPPED
//
// A run that could not be started is ERROR from its beginning and never comes here.
//
// # States of a trigger in a run (spec/workflows §10.2)
//
//	armed --predicate holds--> ready --TriggerFired--> fired
//	inert (a conditional trigger that was not ACTIVATED when the run began)
//
// Ready triggers lie in the head, so that Advance needs nothing else. A trigger
// that is ready and whose predicate ceases to hold, because a watched node was
// started again, is armed again.
//
// A run that resumes another one ([Resume]) begins with copies: what is started
// again, and everything downstream of it, is unrun and armed; the rest keeps the
// phase and outcome it had.
//
// # States of a node
//
//	unrun --ActionStarted--> active --ActionEnded--> finished
//	unrun --ActionRefused--> finished
//
// A node started by two triggers is active while any of its action runs is; the
// last to end counts, and a refused start never overrides a real one
// (spec/workflows §5.3).
//
// # Failures
//
//	what is wrong                        what follows
//	a fact that the state cannot have    ErrIllegal, the run is unchanged
//	a part that cannot be loaded         the loader's error, the run is unchanged
//
// # Invariants
//
//  1. Active equals the number of action runs without an end.
//  2. Total = succeeded + failed + timeout + stopped + errored + running +
//     waiting + unrun nodes; each node is counted once.
//  3. A run is terminal only if Active is 0 and no trigger is ready or firing.
//  4. The cost of Record depends on the degree of the node it touches, not on
//     the size of the run; only StopRequested looks at every node.
package engine
