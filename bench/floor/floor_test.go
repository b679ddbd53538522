package floor

import (
	"os"
	"testing"
	"time"
)

func TestChain(t *testing.T) {
	dir := t.TempDir()
	j, err := NewJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	whole, between, err := j.Chain(3, "/bin/sleep", "0.01")
	if err != nil {
		t.Fatal(err)
	}
	if len(between) != 2 || whole < 30*time.Millisecond || between.Median() <= 0 || between.Median() > whole {
		t.Errorf("whole %s, between %v", whole, between)
	}
	info, err := j.file.Stat()
	if err != nil || info.Size() != 4*page { // one before each, one at the end
		t.Errorf("journal has %d bytes, %v", info.Size(), err)
	}
	if _, _, err := j.Chain(2, "/bin/false"); err == nil {
		t.Error("a failed process did not fail the chain")
	}
	if list, err := j.Commits(5); err != nil || len(list) != 5 || list.Median() <= 0 {
		t.Errorf("got %v, %v", list, err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%d files left, %v", len(left), err)
	}
}
