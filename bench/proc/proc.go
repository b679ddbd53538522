// Package proc tells what processes cost: CPU time, resident memory, bytes on
// disk, and which ones belong to a data directory. It guarantees that a process
// which is gone is an error and never a zero, because a zero would look like a
// result. It reads /proc and therefore works on Linux only; elsewhere every
// question about a process is answered with an error.
package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of CPU times in /proc; Linux has shown hundredths of a second
// to programs since 2.6, whatever it counts in.
const tick = 10 * time.Millisecond

// CPU is the time that processes have spent, in user and system mode together,
// children that they waited for not included.
func CPU(pids ...int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, fmt.Errorf("read CPU time: %w", err)
		}
		// The name in brackets may hold anything; fields are counted behind it.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) < 13 {
			return 0, fmt.Errorf("read CPU time: /proc/%d/stat has %d fields", pid, len(fields))
		}
		for _, f := range fields[11:13] { // utime, stime
			n, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read CPU time: %w", err)
			}
			sum += time.Duration(n) * tick
		}
	}
	return sum, nil
}

// Written is how many bytes processes caused to be written to disks.
func Written(pids ...int) (int64, error) {
	var sum int64
	for _, pid := range pids {
		path := fmt.Sprintf("/proc/%d/io", pid)
		text, err := os.ReadFile(path)
		if err != nil {
			return 0, fmt.Errorf("read bytes written: %w", err)
		}
		var n int64
		for line := range strings.Lines(string(text)) {
			if _, err := fmt.Sscanf(line, "write_bytes: %d", &n); err == nil {
				break
			}
		}
		sum += n
	}
	return sum, nil
}

// Self is the CPU time that this process has spent.
func Self() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // not possible with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Memory is what a process holds, in bytes.
type Memory struct {
	Resident int64
	Peak     int64 // of Resident
}

// RSS returns the memory of a process.
func RSS(pid int) (Memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, fmt.Errorf("read memory: %w", err)
	}
	var m Memory
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		to := map[string]*int64{"VmRSS": &m.Resident, "VmHWM": &m.Peak}[name]
		if to == nil {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return Memory{}, fmt.Errorf("read memory: %w", err)
		}
		*to = kib << 10
	}
	if m.Resident == 0 {
		return Memory{}, fmt.Errorf("read memory: process %d has none", pid)
	}
	return m, nil
}

// WithArgument lists the processes one of whose arguments is arg.
func WithArgument(arg string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue // it has ended meanwhile
		}
		for a := range bytes.SplitSeq(line, []byte{0}) {
			if string(a) == arg {
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids, nil
}

// Disk is how many bytes the files below dir hold.
func Disk(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) { // a temporary file of a server that runs
			return nil
		}
		if err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("measure directory: %w", err)
	}
	return sum, nil
}
