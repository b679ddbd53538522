package local

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"tenon/internal/launch"
)

// procInfo is what /proc says of one process. The start time tells it from any
// other that ever had its pid since boot.
type procInfo struct {
	pid, parent, group, session int
	state                       byte
	birth                       uint64 // field 22 of stat: clock ticks since boot
}

func (p procInfo) dead() bool { return p.state == 'Z' || p.state == 'X' }

// readProc parses /proc/PID/stat. The command name may hold anything, blanks and
// brackets included, so fields are counted from its last bracket.
func readProc(pid int) (procInfo, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procInfo{}, err
	}
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 20 {
		return procInfo{}, fmt.Errorf("stat of process %d is short", pid)
	}
	p := procInfo{pid: pid, state: fields[0][0]}
	var errs [4]error
	p.parent, errs[0] = strconv.Atoi(string(fields[1]))
	p.group, errs[1] = strconv.Atoi(string(fields[2]))
	p.session, errs[2] = strconv.Atoi(string(fields[3]))
	p.birth, errs[3] = strconv.ParseUint(string(fields[19]), 10, 64)
	return p, errors.Join(errs[:]...)
}

func birthOf(pid int) (uint64, error) {
	p, err := readProc(pid)
	return p.birth, err
}

// bootID names the machine's present boot.
func bootID() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// becomeParent prepares process and calling thread to be the parent of jobs and
// says what its children inherit.
func becomeParent(log *slog.Logger) string {
	inForce := []string{"own session", "death signal"}
	attempt := func(name string, err error) {
		if err != nil {
			log.Warn("isolation is not in force", "what", name, "error", err)
			return
		}
		inForce = append(inForce, name)
	}
	attempt("subreaper", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	// An attribute of this thread, which is the one that forks.
	attempt("no_new_privs", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	attempt("no core files", unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}))
	// The secrets of jobs pass through this process (spec/faults G14).
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		log.Warn("launcher stays readable to processes of its user", "error", err)
	}
	return strings.Join(inForce, ", ")
}

// pipe2 makes a pipe whose read end, and only that, does not block.
func pipe2(ends []int) error {
	if err := unix.Pipe2(ends, unix.O_CLOEXEC); err != nil {
		return err
	}
	return unix.SetNonblock(ends[0], true)
}

// spawn forks and executes. It must be called on the forking thread. What limits
// are in force is returned for people.
func spawn(argv []string, attr *syscall.ProcAttr, limits launch.Limits) (pid int, inForce string, err error) {
	attr.Sys = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if limits == (launch.Limits{}) {
		pid, err = syscall.ForkExec(argv[0], argv, attr)
		return pid, "", err
	}
	attr.Sys.Ptrace = true
	pid, err = syscall.ForkExec(argv[0], argv, attr)
	traced := err == nil && waitForExec(pid)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOSYS) {
		// Perhaps tracing is forbidden. If it is the program that is, the second
		// try fails in the same way.
		attr.Sys.Ptrace = false
		pid, err = syscall.ForkExec(argv[0], argv, attr)
	}
	if err != nil {
		return 0, "", err
	}
	inForce, err = setLimits(pid, limits)
	if traced {
		err = errors.Join(err, syscall.PtraceDetach(pid))
	}
	if err != nil {
		// Without its limits it must not run; it is reaped as a stranger.
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		return 0, "", fmt.Errorf("set resource limits: %w", err)
	}
	return pid, inForce, nil
}

// waitForExec waits until the traced child stands at its first instruction. It
// reaps nothing: a child that was killed meanwhile is left to reapNext.
func waitForExec(pid int) bool {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT|unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		const trapped = 4 // CLD_TRAPPED
		return err == nil && info.Code == trapped
	}
}

func setLimits(pid int, limits launch.Limits) (string, error) {
	var names []string
	for _, l := range []struct {
		name     string
		resource int
		value    int64
	}{
		{"memory", unix.RLIMIT_AS, limits.MemoryBytes},
		{"processes", unix.RLIMIT_NPROC, limits.Processes},
		{"open files", unix.RLIMIT_NOFILE, limits.OpenFiles},
		{"file size", unix.RLIMIT_FSIZE, limits.FileBytes},
	} {
		if l.value <= 0 {
			continue
		}
		value := uint64(l.value)
		var now unix.Rlimit
		if err := unix.Prlimit(pid, l.resource, nil, &now); err != nil {
			return "", fmt.Errorf("%s: %w", l.name, err)
		}
		value = min(value, now.Max) // a lower limit of the machine stands
		if err := unix.Prlimit(pid, l.resource, &unix.Rlimit{Cur: value, Max: value}, nil); err != nil {
			return "", fmt.Errorf("%s: %w", l.name, err)
		}
		names = append(names, l.name)
	}
	return "rlimits (" + strings.Join(names, ", ") + ")", nil
}

// reapNext reaps one ended child, if there is one. before is called while it is
// still a zombie, when its pid can belong to nobody else.
func reapNext(before func(pid int)) (pid int, status syscall.WaitStatus, usage syscall.Rusage, ok bool) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if pid = pidOf(&info); err != nil || pid == 0 {
			return 0, 0, usage, false
		}
		before(pid)
		got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, &usage)
		return pid, status, usage, err == nil && got == pid
	}
}

// pidOf reads si_pid, which follows three ints and the union's alignment.
func pidOf(info *unix.Siginfo) int {
	fields := (*[8]int32)(unsafe.Pointer(info))
	if unsafe.Sizeof(uintptr(0)) == 8 {
		return int(fields[4])
	}
	return int(fields[3])
}

func maxRSS(usage syscall.Rusage) int64 { return int64(usage.Maxrss) << 10 }

// adopted lists the processes whose parent is this process, zombies included,
// since they are not gone before they are reaped: jobs' first processes and what
// was reparented to the subreaper. The kernel
// gives the latter to the first thread of the process; the forking thread has
// its own.
func adopted() []procInfo {
	self := os.Getpid()
	list := childrenOf(self, self)
	if tid := unix.Gettid(); tid != self {
		list = append(list, childrenOf(self, tid)...)
	}
	return list
}

// childrenOf reads the children of one thread.
func childrenOf(pid, tid int) []procInfo {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, tid))
	if errors.Is(err, os.ErrNotExist) && tid == pid {
		return childrenByScan(pid) // a kernel without CONFIG_PROC_CHILDREN, or pid is gone
	}
	var list []procInfo
	for _, field := range bytes.Fields(data) {
		child, err := strconv.Atoi(string(field))
		if err != nil {
			continue
		}
		if p, err := readProc(child); err == nil {
			list = append(list, p)
		}
	}
	return list
}

func childrenByScan(parent int) []procInfo {
	var list []procInfo
	for _, p := range processes() {
		if p.parent == parent {
			list = append(list, p)
		}
	}
	return list
}

// processes lists all processes that can be seen. One that ends meanwhile is
// left out.
func processes() []procInfo {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil
	}
	var list []procInfo
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, err := readProc(pid); err == nil {
			list = append(list, p)
		}
	}
	return list
}

// descendants lists everything below p, whichever of its threads forked it.
func descendants(p procInfo) []procInfo {
	var list []procInfo
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.pid))
	if err != nil {
		return nil // it is gone, and its children are orphans now
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}
		for _, child := range childrenOf(p.pid, tid) {
			list = append(append(list, child), descendants(child)...)
		}
	}
	return list
}

// attemptOf reads the attempt's id from a process's environment, if it bears the
// mark of this data directory.
func attemptOf(pid int, mark string) string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return ""
	}
	for entry := range bytes.SplitSeq(data, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(markName+"=")); ok {
			if id, ok := bytes.CutSuffix(value, []byte(mark)); ok {
				return string(id)
			}
		}
	}
	return ""
}

// killExactly kills the process with this pid and start time and no other: the
// descriptor pins the process, then the start time is compared.
func killExactly(pid int, birth uint64) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // gone
	}
	defer unix.Close(fd)
	if p, err := readProc(pid); err != nil || p.birth != birth {
		return
	}
	_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // fails when it has just ended
}

// peerUID tells who is at the other end of a unix socket.
func peerUID(fd uintptr) (int, error) {
	cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}
