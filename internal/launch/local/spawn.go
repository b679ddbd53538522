package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"tenon/internal/launch"
)

const (
	// startTimeout bounds how long a call waits for a launcher to come up.
	startTimeout = 20 * time.Second
	// logLimit is the size from which the launcher's own log is begun anew.
	logLimit = 1 << 20
)

// spawn starts a launcher and waits until it serves. Should another one be
// current, spawn returns without an error and the caller looks again.
func (s *Supervisor) spawn(ctx context.Context) error {
	if err := s.collect(false); err != nil {
		return err
	}
	readyR, readyW, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start launcher: %w", err)
	}
	defer readyR.Close()
	err = s.startProcess(readyW)
	_ = readyW.Close()
	if err != nil {
		return fmt.Errorf("start launcher: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = readyR.SetReadDeadline(time.Now()) })
	defer stop()
	said, err := io.ReadAll(readyR)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("start launcher: %w", errors.Join(launch.ErrClosed, context.Cause(ctx)))
	case err != nil:
		return fmt.Errorf("start launcher: %w", err)
	case string(said) == readyMessage:
		return nil
	case string(said) != busyMessage:
		// Nothing of the caller's: it was killed, or the machine is short of something.
		return fmt.Errorf("start launcher: %w: it ended at once; see %s", launch.ErrClosed, s.logPath())
	}
	// The current one is just starting or just ending.
	select {
	case <-time.After(5 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("start launcher: %w", errors.Join(launch.ErrClosed, context.Cause(ctx)))
	}
}

func (s *Supervisor) logPath() string { return filepath.Join(s.cfg.Dir, "launcher.log") }

// startProcess executes the launcher in a session of its own, with its log as
// standard error.
func (s *Supervisor) startProcess(ready *os.File) error {
	mode := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if info, err := os.Stat(s.logPath()); err == nil && info.Size() > logLimit {
		mode |= os.O_TRUNC
	}
	log, err := os.OpenFile(s.logPath(), mode, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	files := []*os.File{null, null, log, ready}
	if s.cfg.Ephemeral {
		lifelineR, lifelineW, err := os.Pipe()
		if err != nil {
			return err
		}
		defer lifelineR.Close()
		files = append(files, lifelineR)
		if s.lifeline != nil {
			_ = s.lifeline.Close() // of a launcher that is gone
		}
		s.lifeline = lifelineW
	}
	env := s.cfg.Env
	if env == nil {
		env = []string{} // nil would mean the server's own, which may hold secrets
	}
	s.child, err = os.StartProcess(s.cfg.Executable, s.arguments(), &os.ProcAttr{
		Dir: "/", Env: env, Files: files, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	return err
}

// collect reaps a launcher that this process started. Without wait it does so
// only if the launcher has ended.
func (s *Supervisor) collect(wait bool) error {
	if s.child == nil {
		return nil
	}
	if !wait {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(s.child.Pid, &status, syscall.WNOHANG, nil)
		if err == nil && pid == 0 {
			return nil // it lives; whoever adopts orphans will reap it
		}
		err = s.child.Release()
		s.child = nil
		return err
	}
	_, err := s.child.Wait()
	s.child = nil
	if err != nil {
		return fmt.Errorf("wait for launcher: %w", err)
	}
	return nil
}
