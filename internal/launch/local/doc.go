// Package local is the supervisor for processes on this machine. It guarantees
// the invariants of package launch through the death, by any signal and at any
// moment, of the server, of the launcher or of a job (spec/faults A1–A4, G1–G5,
// G17–G19).
//
// It does not prepare files, judge exit codes or limit how many attempts run at
// once, and it does not isolate jobs from each other beyond what InForce says.
//
// # The launcher process
//
// [New] connects to the launcher of a data directory or starts one: the same
// binary executed once more, detached, in a session of its own. It outlives the
// server. Jobs are its children, their pipes are its own, and so nothing of a
// job passes through the server. No wrapper stands between launcher and job:
// starting our binary costs more than a whole transition may take.
//
// One thread of the launcher forks and reaps, for three reasons. A child's death
// signal is tied to the thread that forked it and not to the process, so that
// thread must never end. no_new_privs is an attribute of a thread too. And a pid
// that only this thread reaps cannot be given to a stranger while this thread
// looks at it.
//
// # Files
//
//	DIR/lock         held by the current launcher
//	DIR/id           random name of this directory, part of the mark in each job's environment
//	DIR/launcher.log what the launcher says of itself
//	DIR/gN/          one generation, that is one launcher process: lock, journal, address
//	DIR/../logs/     output, one file per attempt
//
// A journal is written by one process only, so it can be torn at its end and
// nowhere else. A new launcher takes over what dead generations left, then
// removes them. A newer server asks an older launcher to drain: it gives up
// DIR/lock, takes no new attempts, and ends when its last fact is acknowledged;
// the new one runs beside it meanwhile. A protocol version must be able to speak
// with all earlier ones.
//
// # Records of an attempt
//
//	record    written                         if the launcher dies after it
//	intent    before the answer to Start      Lost
//	started   after fork: pid and start time  Lost, once pid and all that bears the mark is gone
//	exit      after the output is complete    Ended, as recorded
//	ack       on Ack                          forgotten
//
// Records are written, not flushed. They survive the death of any process; after
// the death of the machine no process is left that they could speak of, and the
// boot id in each intent tells. The end of an attempt also stands in its output
// file, so an attempt is not started again after it was forgotten.
//
// # The end of an attempt
//
// It is the exit of its first process, not the end of its pipes. What is left of
// its group and its descendants is killed then, and the fact is sent when they
// are gone. The launcher is their subreaper, so the children of the dead become
// its own children; they are told apart by session, by group and by the mark
// TENON_ATTEMPT in their environment. A process that shed all three is killed as
// soon as every attempt it could belong to has ended. After the death of the
// launcher itself such a process cannot be told from a stranger's and lives on;
// cgroups close this gap where they are writable.
//
// # Limits
//
// Resource limits are set while the child is stopped at its exec, before its
// first instruction: the child asks to be traced (PTRACE_TRACEME), the forking
// thread sets the limits with prlimit(2) and detaches. Where tracing is
// forbidden they are set right after the fork instead. no_new_privs and a core
// size of zero are inherited from the launcher.
//
// On macOS there is no death signal, no subreaper and no limits: process groups
// only.
//
// # Crash points (testkit/crashpoint)
//
//	launcher.before-intent   request read, nothing written
//	launcher.after-intent    intent written, Start not answered, not forked
//	launcher.after-fork      child runs, pid not written
//	launcher.after-started   pid written, Running not sent
//	launcher.after-reap      child gone, its end not written
//	launcher.after-output    output complete, exit not written
//	launcher.after-exit      exit written, Ended not sent
//	launcher.after-ack       ack written, not answered
//	launcher.compacting      compacted journal written, not yet in its place
//	launcher.recovering      survivors gone, Lost not written
//	launcher.absorbed        Lost written, old generation not yet removed
package local
