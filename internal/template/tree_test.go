package template

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// listing reads a whole tree: folder, key, size and content of each object, or the error it ends with.
func listing(t *testing.T, dir string) (out []string) {
	t.Helper()
	tree, err := OpenTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	}()
	for o, err := range tree.Objects() {
		if err != nil {
			return append(out, "error: "+err.Error())
		}
		f, err := o.Open()
		if err != nil {
			return append(out, "error: "+err.Error())
		}
		data, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %s %d %s", o.Folder, o.Key, o.Size, data))
	}
	return out
}

func TestTree(t *testing.T) {
	link := func(target, name string) func(string) error {
		return func(dir string) error { return os.Symlink(target, filepath.Join(dir, name)) }
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		also  func(dir string) error
		want  string
	}{
		{"no tree", map[string]string{"template.yaml": ""}, nil, ""},
		{"objects", map[string]string{"s3/raw-data/a/b c.csv": "1", "s3/raw-data/ü.txt": "", "s3/@Scripts/job.py": "pass", "s3/raw-data/.gitkeep": "", "s3/raw-data/.hidden": "h"}, nil,
			"@Scripts job.py 4 pass|raw-data .hidden 1 h|raw-data a/b c.csv 1 1|raw-data ü.txt 0 "},
		{"stray file", map[string]string{"s3/x.txt": "1"}, nil, "error: s3/x.txt: only folders named like buckets stand here"},
		{"bad bucket", map[string]string{"s3/Raw_Data/x": "1"}, nil, "error: s3/Raw_Data: a folder here is a bucket's name (3 to 63 of a-z, 0-9, hyphen and dot) or @LogicalID"},
		{"link out", map[string]string{"s3/raw/a": "1"}, link("/etc/hostname", "s3/raw/b"), "raw a 1 1|error: s3/raw/b: only regular files are uploaded"},
		{"link to a folder", map[string]string{"s3/raw/a": "1"}, link("..", "s3/raw/b"), "raw a 1 1|error: s3/raw/b: only regular files are uploaded"},
		{"linked bucket", map[string]string{"s3/raw/a": "1"}, link("raw", "s3/raw2"), "error: s3/raw2: only folders named like buckets stand here"},
		{"pipe", map[string]string{"s3/raw/a": "1"}, func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "s3/raw/p"), 0o600) },
			"raw a 1 1|error: s3/raw/p: only regular files are uploaded"},
		{"bad UTF-8", map[string]string{"s3/raw/\xff": "1"}, nil, `error: s3/"raw/\xff": an object's key is valid UTF-8`},
		{"long key", map[string]string{"s3/raw/" + strings.Repeat(strings.Repeat("d", 200)+"/", 5) + strings.Repeat("f", 30): "1"}, nil,
			"error: s3/raw/" + strings.Repeat("d", 76) + "…: an object's key has at most 1024 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := write(t, t.TempDir(), c.files)
			if c.also != nil {
				if err := c.also(dir); err != nil {
					t.Fatal(err)
				}
			}
			if got := strings.Join(listing(t, dir), "|"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestTreeOpening(t *testing.T) {
	outside := write(t, t.TempDir(), map[string]string{"raw/a": "1"})
	dir := write(t, t.TempDir(), map[string]string{"template.yaml": ""})
	if err := os.Symlink(outside, filepath.Join(dir, "s3")); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenTree(dir); err == nil || !strings.Contains(err.Error(), "open the s3 tree") {
		t.Errorf("a linked s3 folder leads out: %v", err)
	}
	if got := listing(t, filepath.Join(dir, "template.yaml")); len(got) != 0 {
		t.Errorf("a file has no tree: %v", got)
	}
	if _, err := OpenTree(filepath.Join(dir, "absent")); err == nil {
		t.Error("an absent folder is an error")
	}
}

func TestTreeStopsAndStaysInside(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"s3/aaa/1": "", "s3/bbb/2": "", "s3/ccc/.gitkeep": ""})
	tree, err := OpenTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tree.Folders(); err != nil || strings.Join(got, " ") != "aaa bbb ccc" {
		t.Errorf("folders %v %v", got, err)
	}
	var first Object
	n := 0
	for o, err := range tree.Objects() {
		if err != nil {
			t.Fatal(err)
		}
		first, n = o, n+1
		break
	}
	if n != 1 {
		t.Errorf("%d objects after a break", n)
	}
	// What was listed is replaced by a link before it is opened.
	if err := os.Remove(filepath.Join(dir, "s3/aaa/1")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "s3/aaa/1")); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Open(); err == nil || !strings.Contains(err.Error(), "no longer a regular file") {
		t.Errorf("got %v", err)
	}
	if err := tree.Close(); err != nil {
		t.Error(err)
	}
}
