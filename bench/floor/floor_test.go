package floor

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"tenon/bench/drive"
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

func TestServe(t *testing.T) {
	j, err := NewJournal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- j.Serve(ctx, l, "secret") }()
	s := drive.Server{URL: "http://" + l.Addr().String(), Key: "key", Secret: "secret"}
	load := drive.Load{Operation: "StartWorkflowRun", Body: []byte(`{"Name":"w","RunProperties":{"a":"b"}}`), Clients: 4, For: time.Minute, Calls: 40}
	if _, err := drive.Run(s, nil, load); err != nil {
		t.Fatal(err)
	}
	if info, err := j.file.Stat(); err != nil || info.Size() != 40*record {
		t.Errorf("journal has %d bytes, %v", info.Size(), err)
	}
	load.Body = []byte(`{"Name":`)
	if _, err := drive.Run(s, nil, load); err == nil {
		t.Error("broken JSON was taken")
	}
	s.Secret = "other"
	if _, err := drive.Run(s, nil, load); err == nil {
		t.Error("a wrong signature was taken")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}
