// Package crash proves, on built binaries and with real processes, that the
// server and the launcher may be killed at any moment: no acknowledged run is
// lost, no attempt is launched twice, no process lives on beside its retry, no
// outcome is guessed, and every run ends after a restart (spec/faults A1–A7, G3,
// G4, G17, G19; invariants 1–3, 8, 14, 19–21, 25–27).
//
// Command server is a server with crash points; command job is what its jobs
// run. Every process writes into one file that it started and how it ended, and
// holds a lock while it lives, so that the tests compare what the server says
// with what happened. After a failure of the random kills, the same ones come
// with TENON_CRASH_SEED; that the machine schedules alike is not promised.
//
// It does not cover the death of the machine, and it cannot reach the crash
// point launcher.compacting, which needs a journal of a megabyte: the suite of
// launch/local does.
package crash
