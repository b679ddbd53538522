package local

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"tenon/internal/launch"
)

// On macOS there is no death signal, no subreaper and no limit for another
// process: jobs are process groups and nothing more. A job's children that leave
// its group outlive it.

type procInfo struct {
	pid, parent, group, session int
	state                       byte
	birth                       uint64 // start time in microseconds
}

func (p procInfo) dead() bool { return p.state == 'Z' }

func infoOf(k *unix.KinfoProc) procInfo {
	const zombie = 5 // SZOMB
	start := k.Proc.P_starttime
	p := procInfo{
		pid: int(k.Proc.P_pid), parent: int(k.Eproc.Ppid), group: int(k.Eproc.Pgid),
		birth: uint64(start.Sec)*1e6 + uint64(start.Usec),
	}
	if k.Proc.P_stat == zombie {
		p.state = 'Z'
	}
	return p
}

func birthOf(pid int) (uint64, error) {
	k, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return 0, err
	}
	return infoOf(k).birth, nil
}

func bootID() (string, error) {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	return id, nil
}

func becomeParent(*slog.Logger) string { return "process group" }

func pipe2(ends []int) error {
	syscall.ForkLock.RLock() // no fork between the creation and the flags
	defer syscall.ForkLock.RUnlock()
	if err := unix.Pipe(ends); err != nil {
		return err
	}
	unix.CloseOnExec(ends[0])
	unix.CloseOnExec(ends[1])
	return unix.SetNonblock(ends[0], true)
}

func spawn(argv []string, attr *syscall.ProcAttr, _ launch.Limits) (pid int, inForce string, err error) {
	attr.Sys = &syscall.SysProcAttr{Setsid: true}
	pid, err = syscall.ForkExec(argv[0], argv, attr)
	return pid, "", err
}

// reapNext reaps one ended child. There is no look before the reaping here, so
// the group is signalled right after it.
func reapNext(before func(pid int)) (pid int, status syscall.WaitStatus, usage syscall.Rusage, ok bool) {
	for {
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, &usage)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return 0, 0, usage, false
		}
		before(pid)
		return pid, status, usage, true
	}
}

func maxRSS(usage syscall.Rusage) int64 { return usage.Maxrss }

func adopted() []procInfo { return nil }

func descendants(procInfo) []procInfo { return nil }

func attemptOf(int, string) string { return "" }

// processes lists the processes of this user.
func processes() []procInfo {
	list, err := unix.SysctlKinfoProcSlice("kern.proc.uid", os.Geteuid())
	if err != nil {
		return nil
	}
	infos := make([]procInfo, len(list))
	for i := range list {
		infos[i] = infoOf(&list[i])
	}
	return infos
}

// killExactly kills a process and, if it leads one, its group.
func killExactly(pid int, birth uint64) {
	k, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || infoOf(k).birth != birth {
		return
	}
	if infoOf(k).group == pid {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		return
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func peerUID(fd uintptr) (int, error) {
	cred, err := unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}
