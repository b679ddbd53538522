// Package archtest holds the laws of the house as tables and proves that the
// source tree obeys them. It guarantees that every broken law is reported with
// the place, the rule it breaks and the reason the rule exists, and that each
// rule has itself been seen to fail on a fixture.
//
// It reads syntax only: every Go file of the module is parsed, whatever its
// build tags, so a law holds on every platform at once and a tree that does not
// compile is still judged. It does not know types, therefore it cannot see a
// clock that is hidden behind a variable; reviewers can.
//
// A law that proves wrong is changed here together with a decision in docs/adr.
// An exception is a line in the exceptions table with its reason, and a line
// that excuses nothing any more is itself a finding.
package archtest
