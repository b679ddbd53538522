//go:build !crashpoints

// Package crashpoint guarantees that a process can be made to die, as by
// kill -9, at a named place of its own code, and that a release build holds
// nothing of it: without the build tag "crashpoints" Hit is empty and inlined
// away.
//
// With the tag, the environment variable TENON_CRASH names the point, as NAME
// for the first time it is reached or NAME:N for the Nth. The package does not
// list the points; each package names its own in its documentation.
package crashpoint

// Enabled tells whether this build can crash on purpose.
const Enabled = false

// Variable names the environment variable that names the point; it is empty in
// this build, which knows of no such thing.
const Variable = ""

// Hit does nothing in this build.
func Hit(string) {}
