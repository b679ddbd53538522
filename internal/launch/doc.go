// Package launch is the port between Tenon and the processes it runs. It
// guarantees nothing by itself; it states what every adapter guarantees, and
// launchtest proves it for each of them.
//
// Two roles stand here. A [Preparer] turns a job run into a [Process]: files,
// argv, environment. It may take minutes and may fail with a sentence the user
// reads. A [Supervisor] starts, stops and watches processes, one per attempt,
// and keeps their output. An attempt is one Glue job run (a retry is another
// attempt) and is named by its JobRun id.
//
// # States of an attempt in a supervisor
//
//	(unknown) --Start--> Intended --fork--> Running --exit--> Ended
//	                        |                  |
//	                        +----- lost -------+--> Lost
//
// An attempt that is Ended or Lost stays known until its fact is acknowledged.
//
// # Invariants
//
//  1. At most one process is ever created for an attempt, whatever is repeated,
//     restarted or killed (DESIGN P3, spec/faults 19).
//  2. Each attempt that was accepted gets exactly one final fact, Ended or Lost,
//     repeated until it is acknowledged.
//  3. Ended carries what the operating system said. Lost says that nobody knows:
//     it is never turned into a success.
//  4. After Lost no process of the attempt is alive, so that a retry never runs
//     beside it.
//  5. Output served is what the process wrote, in order of arrival, up to the
//     cap, closed at the exit of the process and not at the end of its pipes.
//
// # Failures
//
//	what dies             what follows
//	server                processes go on; the next server reads List and Watch
//	supervisor process    its processes die with it; facts say Lost
//	machine               every attempt without an exit is Lost
//	process               Ended with exit code or signal
//	start refused         Ended with CauseStart and a reason
//
// The package does not decide what an exit code means (jobrun does), and it does
// not know workflows, stores or AWS.
package launch
