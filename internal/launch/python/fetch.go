package python

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"tenon/internal/launch"
)

// ErrNoBucket is what Config.Open may wrap when the bucket itself is missing;
// fs.ErrNotExist alone means the object.
var ErrNoBucket = errors.New("the bucket does not exist")

const (
	scriptLimit  = 64 << 20
	libraryLimit = 2 << 30
	// nameLimit leaves room below NAME_MAX (255) for ".part".
	nameLimit = 240
)

// workspace is the directory of one attempt. Everything in it is named through
// os.Root, so that no key and no link leads out of it (spec/faults J11).
type workspace struct {
	root *os.Root
	path string
}

func (p *Preparer) openWorkspace(attempt string) (*workspace, error) {
	work, err := os.OpenRoot(p.workDir)
	if err != nil {
		return nil, fmt.Errorf("open work directory: %w", err)
	}
	defer work.Close()
	if err := work.Mkdir(attempt, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make work directory: %w", err)
	}
	root, err := work.OpenRoot(attempt)
	if err != nil {
		return nil, fmt.Errorf("open work directory: %w", err)
	}
	for _, dir := range []string{"script", "libs", "installation", "scratch"} {
		if err := root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			root.Close()
			return nil, fmt.Errorf("make work directory: %w", err)
		}
	}
	return &workspace{root: root, path: filepath.Join(p.workDir, attempt)}, nil
}

func (w *workspace) join(rel string) string { return filepath.Join(w.path, rel) }

// object is a location split up. What names it in sentences is the location as
// the user wrote it.
type object struct{ location, name string }

// parseObject accepts s3://bucket/key where key names a single file.
func parseObject(what, location string) (object, error) {
	unreadable := func(why string) (object, error) {
		return object{}, refuse("%s %s could not be read: %s.", what, quoteShort(location), why)
	}
	switch {
	case location == "":
		return object{}, refuse("%s has no location.", what)
	case strings.ContainsRune(location, 0):
		return unreadable("the location contains a NUL byte")
	case !strings.HasPrefix(location, "s3://"):
		return unreadable("the location must begin with s3://")
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(location, "s3://"), "/")
	switch {
	case bucket == "":
		return unreadable("the location names no bucket")
	case key == "":
		return unreadable("the location names a bucket and no object")
	case strings.HasSuffix(key, "/"):
		return unreadable("the location is a directory, not an object")
	}
	name := path.Base(key)
	if name == "." || name == ".." {
		return unreadable(fmt.Sprintf("%q is not a file name", name))
	}
	return object{location: location, name: shortName(name)}, nil
}

// shortName keeps a name that a file system can hold; of a longer one it keeps
// the end, where the suffix is.
func shortName(name string) string {
	if len(name) <= nameLimit {
		return name
	}
	name = name[len(name)-nameLimit:]
	for len(name) > 0 && !utf8.RuneStart(name[0]) {
		name = name[1:]
	}
	return name
}

// fetch reads the object into the file rel and returns its sha256. The file is
// complete or not there: a repeated call replaces it in one step.
func (p *Preparer) fetch(ctx context.Context, w *workspace, what string, o object, rel string, limit int64) (string, error) {
	failed := func(why string, err error) (string, error) {
		if ctx.Err() != nil {
			return "", fmt.Errorf("read %s: %w", o.location, context.Cause(ctx))
		}
		return "", &launch.PrepareError{Message: fmt.Sprintf("%s %s could not be read: %s.", what, quoteShort(o.location), why), Err: err}
	}
	in, size, err := p.cfg.Open(ctx, o.location)
	if err != nil {
		return failed(openCause(err), err)
	}
	defer in.Close()
	tooLarge := fmt.Sprintf("it is larger than %d MiB", limit>>20)
	if size > limit {
		return failed(tooLarge, nil)
	}
	part := rel + ".part"
	out, err := w.root.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("write %s: %w", rel, err)
	}
	hash := sha256.New()
	sink := &countingWriter{to: io.MultiWriter(out, hash)}
	_, err = io.Copy(sink, io.LimitReader(contextReader{ctx, in}, limit+1))
	if cerr := out.Close(); cerr != nil && sink.err == nil {
		sink.err = cerr
	}
	switch {
	case sink.err != nil:
		return "", fmt.Errorf("write %s: %w", rel, sink.err)
	case err != nil:
		return failed("reading it failed: "+err.Error(), err)
	case sink.n > limit:
		return failed(tooLarge, nil)
	case size >= 0 && sink.n != size:
		return failed(fmt.Sprintf("it ended after %d of %d bytes", sink.n, size), nil)
	}
	if err := w.root.Rename(part, rel); err != nil {
		return "", fmt.Errorf("write %s: %w", rel, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func openCause(err error) string {
	switch {
	case errors.Is(err, ErrNoBucket):
		return "the bucket does not exist"
	case errors.Is(err, fs.ErrNotExist):
		return "the object does not exist"
	case errors.Is(err, fs.ErrPermission):
		return "access is denied"
	}
	return err.Error()
}

// countingWriter tells a failed write from a failed read after io.Copy.
type countingWriter struct {
	to  io.Writer
	n   int64
	err error
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.to.Write(b)
	c.n += int64(n)
	c.err = err
	return n, err
}

// contextReader ends a long download between two pieces.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}

// libraries is what --extra-py-files and wheels in S3 come to.
type libraries struct {
	path   []string // entries of sys.path, in order
	wheels []wheel
	files  map[string]int // names given out, with how often
}

type wheel struct{ path, name, digest string }

// fetchList reads the comma list of single files in an argument. Files lie side
// by side, as on AWS; one whose name is taken gets a folder of its own and comes
// later on the path. Archives are put on the path as they are: nothing is
// unpacked here, so no member can escape (spec/faults J16).
func (p *Preparer) fetchList(ctx context.Context, w *workspace, libs *libraries, what, list string, notice func(string)) error {
	for location := range strings.SplitSeq(list, ",") {
		location = strings.TrimSpace(location)
		if location == "" {
			continue
		}
		o, err := parseObject(what, location)
		if err != nil {
			return err
		}
		// The path is joined with colons later.
		o.name = strings.ReplaceAll(o.name, string(os.PathListSeparator), "_")
		if err := p.fetchLibrary(ctx, w, libs, what, o, notice); err != nil {
			return err
		}
	}
	return nil
}

func (p *Preparer) fetchLibrary(ctx context.Context, w *workspace, libs *libraries, what string, o object, notice func(string)) error {
	dir, kind := "libs", strings.ToLower(path.Ext(o.name))
	libs.files[o.name]++
	if n := libs.files[o.name]; n > 1 {
		dir = fmt.Sprintf("libs/%d", n)
		if err := w.root.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make library directory: %w", err)
		}
	}
	rel := dir + "/" + o.name
	digest, err := p.fetch(ctx, w, what, o, rel, libraryLimit)
	if err != nil {
		return err
	}
	libs.add(w.join(dir))
	switch kind {
	case ".whl":
		for _, other := range libs.wheels {
			if other.name == o.name {
				if other.digest != digest {
					notice(fmt.Sprintf("%s is left out: another wheel of that name was given first.", o.location))
				}
				return nil
			}
		}
		libs.wheels = append(libs.wheels, wheel{path: w.join(rel), name: o.name, digest: digest})
	case ".zip", ".egg":
		libs.add(w.join(rel))
	}
	return nil
}

func (l *libraries) add(entry string) {
	for _, e := range l.path {
		if e == entry {
			return
		}
	}
	l.path = append(l.path, entry)
}
