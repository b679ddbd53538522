package python

import (
	"os/exec"
	"testing"
)

// BenchmarkStart compares a bare interpreter with a prepared job, whose script
// is empty (DESIGN §5: a clean start is what makes transitions short).
func BenchmarkStart(b *testing.B) {
	p := newPreparer(b, testConfig(shelf{"s3://b/script.py": []byte("pass")}))
	spec := specOf(b)
	proc, err := p.Prepare(b.Context(), spec, nil)
	if err != nil {
		b.Fatal(err)
	}
	c, err := p.finder.find(b.Context(), "")
	if err != nil {
		b.Fatal(err)
	}
	start := func(b *testing.B, argv ...string) {
		for b.Loop() {
			cmd := exec.CommandContext(b.Context(), argv[0], argv[1:]...)
			cmd.Env, cmd.Dir = proc.Env, proc.Dir
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("bare", func(b *testing.B) { start(b, c.Base, "-I", "-c", "pass") })
	b.Run("environment", func(b *testing.B) { start(b, proc.Argv[0], "-I", "-c", "pass") })
	b.Run("job", func(b *testing.B) { start(b, proc.Argv...) })
	b.Run("prepare", func(b *testing.B) {
		for b.Loop() {
			if _, err := p.Prepare(b.Context(), spec, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	if err := p.Discard(b.Context(), spec.Attempt); err != nil {
		b.Fatal(err)
	}
}
