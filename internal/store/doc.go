// Package store is the port to durable state. It states what every adapter
// guarantees; storetest proves it for each of them.
//
// # Guarantees
//
//  1. When Write returns nil, everything its function wrote is durable; when it
//     returns an error, nothing of it is, and nothing of it was ever seen by
//     anybody else (DESIGN P1). There is one exception, [ErrUnknown]: the store
//     failed while committing and cannot say.
//  2. Writes are serialized. A function sees every write committed before it,
//     and reads of its own transaction see its own writes.
//  3. A row changes only under its version: an update that names an older one
//     fails with [ErrStale] and changes nothing (P4).
//  4. A function may run several times; only the run that is committed counts. It must
//     therefore touch nothing outside the transaction.
//  5. After a commit, and only then, subscribers hear of it, in commit order.
//  6. A caller's deadline counts only while its function waits to be taken. Once
//     taken, Write waits for the outcome.
//  7. A function that hides a failure of the storage from Write fails all the
//     same; errors that callers branch on may be handled and worked on after.
//  8. Times are kept to the millisecond. Those of timers are rounded up, so that
//     none comes early.
//
// # States of a write
//
//	queued --taken--> running --fn ok--> committing --> done
//	  |                  |                   |
//	  +-- ctx ended      +-- fn error        +-- commit failed
//	      ErrTimeout         fn's error          the store's error, retried alone first
//
// # Failures
//
//	what fails                     what the caller sees
//	its own function               its own error; neighbours are not touched
//	a neighbour in the same group  nothing
//	the deadline, while queued     ErrTimeout
//	disk full, I/O error           the error, for everybody it concerns; reads go on
//	fsync                          the error; the store refuses writes until it is opened again
//
// The package knows rows, not rules: what a state means, or whether a change is
// legal, is decided above.
package store
