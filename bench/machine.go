package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine says what was measured on what, without names of people or folders.
func machine(ctx context.Context, o *options) ([]string, error) {
	commit := output(ctx, "git", "describe", "--always", "--dirty", "--exclude=*")
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return nil, fmt.Errorf("read kernel version: %w", err)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(o.work, &disk); err != nil {
		return nil, fmt.Errorf("read filesystem: %w", err)
	}
	peer := output(ctx, filepath.Join(filepath.Dir(o.moto), "python"), "-c", "import moto; print(moto.__version__)")
	python := output(ctx, o.python, "-c", "import platform; print(platform.python_version())")
	var system unix.Sysinfo_t
	if err := unix.Sysinfo(&system); err != nil {
		return nil, fmt.Errorf("read memory size: %w", err)
	}
	return []string{
		"commit " + commit,
		fmt.Sprintf("%d cores (%s), %d MiB, %s %s, %s", runtime.NumCPU(), field("/proc/cpuinfo", "model name"), uint64(system.Totalram)*uint64(system.Unit)>>20,
			unix.ByteSliceToString(name.Sysname[:]), unix.ByteSliceToString(name.Release[:]), filesystem(int64(disk.Type))),
		fmt.Sprintf("%s, Python %s, moto %s, %d rounds of %s", runtime.Version(), python, peer, o.rounds, o.span),
	}, nil
}

// load is the machine's load average. A run beside other work says little.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// filesystem names the common ones; a memory filesystem makes flushes free, which
// a reader must see.
func filesystem(magic int64) string {
	names := map[int64]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
		unix.TMPFS_MAGIC: "tmpfs (flushes cost nothing)", unix.OVERLAYFS_SUPER_MAGIC: "overlayfs",
	}
	if n, ok := names[magic]; ok {
		return n
	}
	return fmt.Sprintf("filesystem %#x", magic)
}

// output is what a command prints, or "unknown": facts of the machine are not
// worth failing for.
func output(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return "unknown"
	}
	return string(bytes.TrimSpace(out))
}

// field is the first value of a name in a file of "name : value" lines.
func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}
