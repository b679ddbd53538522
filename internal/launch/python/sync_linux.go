package python

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncFiles writes out the file system that holds dir: one call instead of
// thousands of fsyncs for the files an installer wrote.
func syncFiles(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}
