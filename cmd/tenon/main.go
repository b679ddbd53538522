// Command tenon is the server, its launcher of processes, and the client of
// both, in one binary. It guarantees nothing of its own: package tenon serves,
// internal/cli reads the command line.
package main

import (
	"os"

	"tenon"
	"tenon/internal/cli"
)

func main() {
	// The server executes this binary again as the launcher, which must not parse
	// a command line made for people.
	if len(os.Args) > 1 && os.Args[1] == tenon.LauncherCommand {
		os.Exit(tenon.LauncherMain(os.Args[2:]))
	}
	os.Exit(cli.Main(os.Args[1:], os.Getenv))
}
