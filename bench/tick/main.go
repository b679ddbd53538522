// Command tick is a job that does nothing but say when it lived: it appends one
// line "begin end", both in nanoseconds since 1970, to the file that is its first
// argument. It guarantees that lines of processes that run at once do not mix.
// It links nothing but the standard library, so that it starts fast; what it
// costs itself is measured in a bare chain of it.
package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	begin := time.Now()
	if err := stamp(begin); err != nil {
		fmt.Fprintln(os.Stderr, "tick:", err)
		os.Exit(1)
	}
}

func stamp(begin time.Time) error {
	if len(os.Args) != 2 {
		return fmt.Errorf("one argument is wanted: the file to append to")
	}
	f, err := os.OpenFile(os.Args[1], os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	// One write, which O_APPEND keeps whole.
	_, err = fmt.Fprintf(f, "%d %d\n", begin.UnixNano(), time.Now().UnixNano())
	return err
}
