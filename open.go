package tenon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tenon/internal/blob"
	"tenon/internal/blob/fsblob"
	"tenon/internal/blob/indexed"
	"tenon/internal/blob/s3blob"
	"tenon/internal/jobrun"
	"tenon/internal/launch"
	"tenon/internal/launch/local"
	pythonlaunch "tenon/internal/launch/python"
	"tenon/internal/store"
	"tenon/internal/store/memstore"
	"tenon/internal/store/sqlstore"
	"tenon/internal/testkit/crashpoint"
	"tenon/internal/wire/auth"
	"tenon/python"
)

// parts are the adapters of a server.
type parts struct {
	store      store.Store
	blobs      blob.Store
	supervisor launch.Supervisor
	preparers  map[string]launch.Preparer
	// sweep removes content that no object names any more.
	sweep func(context.Context) error
}

// openParts opens everything that can fail. The address comes before what starts
// processes: they are not started for a server that cannot listen.
func (s *Server) openParts(ctx context.Context) error {
	for _, open := range []func(context.Context) error{
		s.openStore, s.openKeys, s.openBlobs, s.listen, s.openSupervisor, s.openPreparers,
	} {
		if err := open(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) openStore(ctx context.Context) error {
	if s.config.Ephemeral {
		memory := memstore.New()
		memory.Timeout = s.config.StoreTimeout
		s.parts.store = memory
	} else {
		db, err := openDatabase(ctx, sqlstore.Config{Dir: s.root, Now: time.Now, Logger: s.config.Logger, Timeout: s.config.StoreTimeout})
		if err != nil {
			return err
		}
		s.parts.store = db
	}
	s.onClose(s.parts.store.Close)
	return nil
}

// takeover is how long the directory of a killed server may look as if it were in
// use: a launcher that was being forked holds the lock until it executes.
const takeover = time.Second

func openDatabase(ctx context.Context, c sqlstore.Config) (*sqlstore.Store, error) {
	for end := time.Now().Add(takeover); ; {
		db, err := sqlstore.Open(ctx, c)
		if !errors.Is(err, sqlstore.ErrInUse) || time.Now().After(end) {
			return db, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *Server) openKeys(context.Context) error {
	keys, err := auth.Open(filepath.Join(s.root, "credentials"), auth.Options{Account: s.config.Account, Now: time.Now, Active: s.attemptActive})
	if err != nil {
		return fmt.Errorf("open credentials: %w", err)
	}
	s.keys = keys
	return nil
}

// attemptActive tells whether the credentials of an attempt are still good: they
// end with it (DESIGN §5).
func (s *Server) attemptActive(ctx context.Context, id string) (bool, error) {
	key, rand, err := store.ParseAttemptID(id)
	if err != nil {
		return false, nil
	}
	active := false
	err = s.parts.store.Read(ctx, func(tx store.Tx) error {
		a, err := tx.Attempt(key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		active = err == nil && a.Rand == rand && !a.State.Terminal()
		return err
	})
	return active, err
}

func (s *Server) openBlobs(ctx context.Context) error {
	if c := s.config.S3; c.Region != "" || c.Endpoint != "" {
		if c.Region == "" {
			c.Region = s.config.Region
		}
		remote, err := s3blob.New(s3blob.Config{
			Endpoint: c.Endpoint, Region: c.Region, PathStyle: c.PathStyle, AccessKey: c.AccessKey, SecretKey: c.SecretKey, Now: time.Now,
		})
		if err != nil {
			return err
		}
		s.parts.blobs = remote
		s.parts.sweep = func(context.Context) error { return nil }
		return nil
	}
	files, err := fsblob.Open(filepath.Join(s.root, "objects"), objectIndex{s.parts.store}, indexed.Config{Now: time.Now})
	if err != nil {
		return err
	}
	s.onClose(files.Close)
	s.parts.blobs = files
	s.parts.sweep = func(ctx context.Context) error {
		_, err := files.Sweep(ctx)
		return err
	}
	if err := s.parts.sweep(ctx); err != nil {
		return fmt.Errorf("sweep objects: %w", err)
	}
	return nil
}

func (s *Server) openSupervisor(context.Context) error {
	if s.config.Supervisor != nil {
		s.parts.supervisor = s.config.Supervisor
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own executable: %w", err)
	}
	sup, err := local.New(local.Config{
		Dir: filepath.Join(s.root, "launcher"), Executable: self, Args: []string{LauncherCommand},
		Env: environment("TMPDIR", crashpoint.Variable), Ephemeral: s.config.Ephemeral, Logger: s.config.Logger,
	})
	if err != nil {
		return fmt.Errorf("start launcher: %w", err)
	}
	s.onClose(sup.Close)
	s.parts.supervisor = sup
	return nil
}

func (s *Server) openPreparers(ctx context.Context) error {
	s.parts.preparers = map[string]launch.Preparer{}
	maps.Copy(s.parts.preparers, s.config.Preparers)
	if _, ok := s.parts.preparers[jobrun.PythonShell]; ok {
		return nil
	}
	cache, err := s.config.cacheDir(s.root)
	if err != nil {
		return err
	}
	p, err := pythonlaunch.New(pythonlaunch.Config{
		Root: filepath.Join(cache, "python"), Open: s.openObject, Runtime: python.Files(),
		BasePython: s.config.Python, BaseRequirements: s.config.PythonRequirements,
		Path: searchPath(), InstallerEnv: environment(installerVariables...), JobEnv: environment(networkVariables...),
		Grace: s.config.StopGrace, Logger: s.config.Logger,
	})
	if err != nil {
		return err
	}
	s.parts.preparers[jobrun.PythonShell] = p
	// The environment is built ahead of the first job; a job that comes earlier
	// waits for it, and tells its owner if it cannot be built.
	warm, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var done sync.WaitGroup
	done.Go(func() {
		if err := p.Warm(warm); err != nil && warm.Err() == nil {
			s.config.Logger.Warn("python environment is not ready; jobs will try again", "error", err)
		}
	})
	s.onClose(func() error {
		cancel()
		done.Wait()
		return nil
	})
	return nil
}

func searchPath() string { return os.Getenv("PATH") }

// openObject reads s3://bucket/key for preparers, in the words they know.
func (s *Server) openObject(ctx context.Context, uri string) (io.ReadCloser, int64, error) {
	o, err := blob.Open(ctx, s.parts.blobs, uri)
	switch {
	case errors.Is(err, blob.ErrNoSuchBucket):
		return nil, 0, fmt.Errorf("%w: %w", pythonlaunch.ErrNoBucket, err)
	case errors.Is(err, blob.ErrNoSuchKey):
		return nil, 0, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case err != nil:
		return nil, 0, err
	}
	return o.Body, o.Length, nil
}
