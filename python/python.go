// Package python carries the Python side of job runs inside the binary: the wrapper that runs a
// script and the clean-room awsglue module that scripts import. Its files are the same in every
// copy of one build, and Hash names them, so a copy on disk is either this one or another one.
//
// It does not write files, find interpreters or start anything; the preparer of Python jobs does.
package python

import (
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"sync"
)

// Wrapper is the path, within Files, of the script that runs job scripts:
//
//	python -I -u <root>/tenon_runscript.py SCRIPT [ARGUMENT…]
//
// The folder it lies in is on the script's sys.path, which is how awsglue is found.
const Wrapper = "tenon_runscript.py"

// Environment of a job process. EnvPath holds folders and zips for sys.path, separated like PATH,
// and is gone before the script starts; so is every other TENON_ variable except EnvFlavour and
// TENON_ATTEMPT, by which the launcher finds what a script leaves behind.
// EnvGlueVersion is Glue's own; from 6.0 on it forbids abbreviated option names (spec/jobs §3.5).
const (
	EnvPath        = "TENON_PYTHONPATH"
	EnvFlavour     = "TENON_GLUE_FLAVOUR"
	EnvGlueVersion = "GLUE_VERSION"
)

// Values of EnvFlavour: a wrong argument ends a Python-shell job with exit code 2, and raises
// GlueArgumentError in a Spark job.
const (
	FlavourPythonShell = "pythonshell"
	FlavourSpark       = "spark"
)

//go:embed tenon_runscript.py awsglue/*.py
var files embed.FS

// Files returns the read-only tree to lay out on disk (os.CopyFS), with Wrapper at its root.
func Files() fs.FS { return files }

// Hash returns 64 lower-case hex digits that depend on every path and byte of Files.
func Hash() string { return hashOnce() }

var hashOnce = sync.OnceValue(func() string {
	sum, err := digest(files)
	if err != nil {
		// The files are in the binary; reading them can only fail by a mistake in this file.
		panic(err)
	}
	return sum
})

// digest frames each name and content by its length, so that no two trees share an input.
func digest(tree fs.FS) (string, error) {
	h := sha256.New()
	frame := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	// WalkDir visits in lexical order, which makes the sum independent of the file system.
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(tree, path)
		if err != nil {
			return err
		}
		frame([]byte(path))
		frame(content)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("hash embedded files: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
