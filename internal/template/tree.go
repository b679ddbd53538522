package template

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Tree is the folder s3 beside a template: s3/BUCKET/KEY… holds the objects to upload. BUCKET is a bucket's name, or @LogicalID for a bucket of
// the template (see Evaluated.Bucket). Nothing outside the folder can be reached through it.
type Tree struct{ root *os.Root }

// Object is one file to upload. Folder is the first path element under s3, Key the rest.
type Object struct {
	Folder, Key string
	Size        int64

	tree *Tree
}

// OpenTree opens dir/s3. A dir without that folder, or a dir that is a file, gives an empty tree. Close it.
func OpenTree(dir string) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		st, statErr := os.Stat(dir)
		if statErr == nil && !st.IsDir() {
			return &Tree{}, nil
		}
		return nil, fmt.Errorf("open the s3 tree: %w", err)
	}
	sub, err := root.OpenRoot("s3")
	if closeErr := root.Close(); err == nil {
		err = closeErr
	}
	if errors.Is(err, fs.ErrNotExist) {
		return &Tree{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the s3 tree: %w", err)
	}
	return &Tree{root: sub}, nil
}

// Close releases the folder.
func (t *Tree) Close() error {
	if t.root == nil {
		return nil
	}
	return t.root.Close()
}

var bucketFolder = regexp.MustCompile(`^(@[A-Za-z0-9]{1,255}|[a-z0-9][-a-z0-9.]{1,61}[a-z0-9])$`)

// Folders lists the buckets of the tree, also empty ones, in byte order.
func (t *Tree) Folders() ([]string, error) {
	if t.root == nil {
		return nil, nil
	}
	entries, err := fs.ReadDir(t.root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("read the s3 tree: %w", err)
	}
	var names []string
	for _, e := range entries {
		switch {
		case noise(e.Name()):
		case !e.IsDir():
			return nil, fmt.Errorf("s3/%s: only folders named like buckets stand here", e.Name())
		case !bucketFolder.MatchString(e.Name()):
			return nil, fmt.Errorf("s3/%s: a folder here is a bucket's name (3 to 63 of a-z, 0-9, hyphen and dot) or @LogicalID", e.Name())
		default:
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// noise is what version control and desktops leave in folders; it is not uploaded.
func noise(name string) bool { return name == ".gitkeep" || name == ".DS_Store" }

// Objects lists the files of all buckets in byte order of their paths. Links, devices and sockets are errors, as is a key that S3
// would not take; iteration ends at the first error.
func (t *Tree) Objects() iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		folders, err := t.Folders()
		if err != nil {
			yield(Object{}, err)
			return
		}
		stopped := false
		for _, folder := range folders {
			err := fs.WalkDir(t.root.FS(), folder, func(name string, d fs.DirEntry, err error) error {
				if err != nil {
					return fmt.Errorf("s3/%s: %w", name, err)
				}
				if d.IsDir() || noise(path.Base(name)) {
					return nil
				}
				o, err := t.object(folder, name, d)
				if err != nil {
					return err
				}
				if stopped = !yield(o, nil); stopped {
					return fs.SkipAll
				}
				return nil
			})
			if err != nil {
				yield(Object{}, err)
			}
			if err != nil || stopped {
				return
			}
		}
	}
}

func (t *Tree) object(folder, name string, d fs.DirEntry) (Object, error) {
	const longest = 1024 // bytes of a key
	o := Object{Folder: folder, Key: strings.TrimPrefix(name, folder+"/"), tree: t}
	switch {
	case !d.Type().IsRegular():
		return o, fmt.Errorf("s3/%s: only regular files are uploaded", name)
	case !utf8.ValidString(o.Key):
		return o, fmt.Errorf("s3/%q: an object's key is valid UTF-8", name)
	case len(o.Key) > longest:
		return o, fmt.Errorf("s3/%s: an object's key has at most %d bytes", clip(name), longest)
	}
	st, err := d.Info()
	if err != nil {
		return o, fmt.Errorf("s3/%s: %w", name, err)
	}
	o.Size = st.Size()
	return o, nil
}

// Open opens the file for reading. It is still a regular file of the tree, or there is an error.
func (o Object) Open() (*os.File, error) {
	name := path.Join(o.Folder, o.Key)
	// A file that became a pipe since it was listed would block an open; Lstat first, then look at what was opened.
	if st, err := o.tree.root.Lstat(name); err != nil || !st.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("s3/%s: it is no longer a regular file", name), err)
	}
	f, err := o.tree.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("s3/%s: %w", name, err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("it is no longer a regular file")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("s3/%s: %w", name, err), f.Close())
	}
	return f, nil
}
