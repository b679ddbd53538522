// Command launcher is a launcher process alone, built by tests with crash points.
package main

import (
	"os"

	"tenon/internal/launch/local"
)

func main() { os.Exit(local.Main(os.Args[1:])) }
