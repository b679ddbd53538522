// Package fsblob keeps objects as files of one directory. It guarantees that a
// put that was answered survives a crash – the file and its directory are
// synchronised before the index commits – and that no name of a bucket or key
// ever becomes part of a path: files are named by random ids and opened below an
// os.Root.
//
// It does not lock the directory against a second server, and it keeps the rows
// in whatever index it is given.
package fsblob

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync"

	"tenon/internal/blob"
	"tenon/internal/blob/indexed"
)

// Store is a blob.Store on a directory.
type Store struct {
	*indexed.Store
	root *os.Root
}

var _ blob.Store = (*Store)(nil)

// Open uses dir, which it makes if need be. Call Sweep once before or while
// serving, to collect what a crash left behind.
func Open(dir string, index indexed.Index, c indexed.Config) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open blob directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open blob directory: %w", err)
	}
	return &Store{Store: indexed.New(index, &files{root: root}, c), root: root}, nil
}

// Close gives the directory back. Objects that are still open stay readable up to
// the end of their current piece.
func (s *Store) Close() error { return s.root.Close() }

// files are contents under SHARD/ID, where the shard is the id's first two
// characters: a directory of millions of entries is slow to list and to fsync.
type files struct {
	root   *os.Root
	shards sync.Map // shards whose directory entry is known to be durable
}

const shardLength = 2

// path refuses everything that is not plainly an id, so that a damaged index
// cannot name another file.
func path(id string) (shard, name string, err error) {
	if len(id) <= shardLength || !alphanumeric(id) {
		return "", "", fmt.Errorf("content id %q is malformed", id)
	}
	return id[:shardLength], filepath.Join(id[:shardLength], id), nil
}

func alphanumeric(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func (f *files) Create(id string) (indexed.ContentWriter, error) {
	shard, name, err := path(id)
	if err != nil {
		return nil, err
	}
	if err := f.ensureShard(shard); err != nil {
		return nil, err
	}
	// The file is written under its final name: until the index names it, it is
	// an orphan, which is all that a temporary name would make it.
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &writer{File: file, files: f, id: id, shard: shard}, nil
}

func (f *files) ensureShard(shard string) error {
	if _, ok := f.shards.Load(shard); ok {
		return nil
	}
	if err := f.root.Mkdir(shard, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Also when the directory was there: another put may have made it and not yet
	// synchronised, or an earlier server may have died in between.
	if err := f.syncDir("."); err != nil {
		return err
	}
	f.shards.Store(shard, struct{}{})
	return nil
}

func (f *files) syncDir(name string) error {
	dir, err := f.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

type writer struct {
	*os.File
	files     *files
	id, shard string
}

func (w *writer) Commit() error {
	if err := errors.Join(w.Sync(), w.Close()); err != nil {
		// After a failed sync the kernel may have dropped the bytes: this file is
		// lost, and the sender is told.
		return errors.Join(fmt.Errorf("write content: %w", err), w.files.Remove(w.id))
	}
	if err := w.files.syncDir(w.shard); err != nil {
		return errors.Join(fmt.Errorf("sync content directory: %w", err), w.files.Remove(w.id))
	}
	return nil
}

func (w *writer) Abort() error {
	if err := errors.Join(w.Close(), w.files.Remove(w.id)); err != nil {
		return fmt.Errorf("discard content: %w", err)
	}
	return nil
}

func (f *files) Open(id string) (indexed.ContentReader, error) {
	_, name, err := path(id)
	if err != nil {
		return nil, err
	}
	return f.root.Open(name)
}

func (f *files) Remove(id string) error {
	_, name, err := path(id)
	if err != nil {
		return err
	}
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// All lists shard by shard. What is not ours by its name is left alone.
func (f *files) All() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		shards, err := f.names(".")
		if err != nil {
			yield("", err)
			return
		}
		for _, shard := range shards {
			if len(shard) != shardLength || !alphanumeric(shard) {
				continue
			}
			ids, err := f.names(shard)
			if err != nil {
				yield("", err)
				return
			}
			for _, id := range ids {
				if s, _, err := path(id); err != nil || s != shard {
					continue
				}
				if !yield(id, nil) {
					return
				}
			}
		}
	}
}

func (f *files) names(dir string) ([]string, error) {
	d, err := f.root.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	return names, errors.Join(err, d.Close())
}
