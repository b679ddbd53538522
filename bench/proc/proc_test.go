//go:build linux

package proc

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

func TestOfThisProcess(t *testing.T) {
	began := Self()
	for Self()-began < 3*tick { // burn what /proc must show
		for i := range 1_000_000 {
			_ = i * i
		}
	}
	cpu, err := CPU(os.Getpid())
	if err != nil || cpu < 2*tick {
		t.Errorf("CPU time %s, %v", cpu, err)
	}
	m, err := RSS(os.Getpid())
	if err != nil || m.Resident < 1<<20 || m.Peak < m.Resident {
		t.Errorf("memory %+v, %v", m, err)
	}
	if n, err := Written(os.Getpid()); err != nil || n < 0 {
		t.Errorf("written %d, %v", n, err)
	}
}

// A process that is gone must not count as one that cost nothing.
func TestOfAProcessThatIsGone(t *testing.T) {
	cmd := exec.Command("/bin/true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	if _, err := CPU(pid); err == nil {
		t.Error("CPU time of a process that is gone")
	}
	if _, err := RSS(pid); err == nil {
		t.Error("memory of a process that is gone")
	}
	if _, err := Written(pid); err == nil {
		t.Error("bytes of a process that is gone")
	}
}

func TestWithArgument(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	cmd := exec.Command("/bin/sh", "-c", "read line", mark)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	got, err := WithArgument(mark)
	if want := []int{cmd.Process.Pid}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if got, err := WithArgument(mark + "-other"); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v for an argument that nobody has", got, err)
	}
	_ = in.Close()
	_ = cmd.Wait() // read fails at the end of input
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"a": 10, "below/b": 20} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Disk(dir); err != nil || got != 30 {
		t.Errorf("got %d, %v; want 30", got, err)
	}
}
