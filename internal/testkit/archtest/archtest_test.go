package archtest

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the expectations of the fixtures")

const house = "../../.."

// TestHouse judges this very module.
func TestHouse(t *testing.T) {
	findings, err := Check(house)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		t.Error(f)
	}
}

// TestFixtures runs the checker over small trees. Each archive in testdata holds
// a tree and, in the member "want", all findings in order; an empty "want" is a
// tree that obeys.
func TestFixtures(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	seen := map[string]bool{}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(archive)
			if err != nil {
				t.Fatal(err)
			}
			findings, err := check(unpack(t, a), nil) // what is excused in the house is not excused here
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, f := range findings {
				seen[f.Rule] = true
				got.WriteString(f.String() + "\n")
			}
			i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == "want" })
			if i < 0 {
				t.Fatal("the archive has no member named want")
			}
			if *update {
				a.Files[i].Data = []byte(got.String())
				if err := os.WriteFile(archive, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(a.Files[i].Data), got.String()); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
	for _, rule := range []string{
		"import", "clock", "sleep", "environment", "process", "panic", "skip", "goroutine",
		"doc", "name", "length", "replace", "dependency",
	} {
		if !seen[rule] {
			t.Errorf("no fixture breaks rule %q: a rule that was never seen failing may never fail", rule)
		}
	}
}

func unpack(t *testing.T, a *txtar.Archive) string {
	t.Helper()
	root := t.TempDir()
	files := append([]txtar.File{{Name: "go.mod", Data: []byte("module tenon\n\ngo 1.26.0\n")}}, a.Files...)
	for _, f := range files {
		if f.Name == "want" {
			continue
		}
		// A fixture says "repeat" to become a file of 601 lines without being one.
		data := strings.ReplaceAll(string(f.Data), "// repeat\n", strings.Repeat("// line\n", maxLines))
		p := filepath.Join(root, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestExceptions proves that an exception excuses its rule in its place only,
// and that a stale one is reported.
func TestExceptions(t *testing.T) {
	a := txtar.Parse([]byte("-- python/python.go --\n" +
		"// Package python embeds the module that job scripts import, and nothing else at all.\n" +
		"package python\n\nfunc f() { panic(1) }\n"))
	tr, err := load(unpack(t, a))
	if err != nil {
		t.Fatal(err)
	}
	found := tr.checkIdentifiers(tr.files[0])
	if len(found) != 1 {
		t.Fatalf("the panic was not found: %v", found)
	}
	tests := []struct {
		name string
		e    exception
		want []string
	}{
		{"same file", exception{rule: "panic", path: "python/python.go"}, nil},
		{"same package", exception{rule: "panic", path: "python"}, nil},
		{"another rule", exception{rule: "clock", path: "python"}, []string{"panic", "exception"}},
		{"package above", exception{rule: "panic", path: "pyth"}, []string{"panic"}},
		{"package that is not there yet", exception{rule: "panic", path: "internal/cli"}, []string{"panic"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range tr.excuse(found, []exception{tt.e}) {
				got = append(got, f.Rule)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("rules left (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLaw proves that the tables themselves are sound: every name they use is a
// room or a package of a room, and the import law has no way up.
func TestLaw(t *testing.T) {
	place := func(name string) bool {
		_, unit := roomOf(name)
		return unit == name || slices.ContainsFunc(rooms, func(r room) bool { return r.name == name })
	}
	check := func(table string, names []string) {
		for _, n := range names {
			if n != "all" && !place(n) {
				t.Errorf("%s names %q, which is no room and no package", table, n)
			}
		}
	}
	for i, r := range rooms {
		check(r.name, r.may)
		check(r.name, r.tests)
		for unit, more := range r.extra {
			check(r.name, join(more, unit))
		}
		for _, below := range r.may {
			at := slices.IndexFunc(rooms, func(o room) bool { return o.name == below || slices.Contains(o.packages, below) })
			if at > i || at == i && r.name != "wire" && r.name != "testkit" {
				t.Errorf("%s may import %s, which does not stand below it", r.name, below)
			}
		}
	}
	for _, b := range borrowings {
		check(b.path, b.in)
		check(b.path, b.tests)
	}
	for _, b := range bans {
		check(b.rule, b.only)
		check(b.rule, b.except)
	}
	for _, e := range exceptions {
		if e.why == "" {
			t.Errorf("exception for %s in %s has no reason", e.rule, e.path)
		}
	}
}

// TestLibcPin holds the C runtime of the SQLite driver at the version that the
// driver was generated against.
func TestLibcPin(t *testing.T) {
	ours, err := os.ReadFile(filepath.Join(house, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sqlites, err := os.ReadFile(strings.TrimSpace(golist(t, "-m", "-f", "{{.GoMod}}", "modernc.org/sqlite")))
	if err != nil {
		t.Fatal(err)
	}
	if err := checkPin(string(ours), string(sqlites)); err != nil {
		t.Error(err)
	}

	const driver = "module modernc.org/sqlite\n\nrequire modernc.org/libc v1.79.0\n"
	if checkPin("module tenon\n\nrequire (\n\tmodernc.org/libc v1.79.1 // indirect\n)\n", driver) == nil {
		t.Error("a libc of another version was accepted")
	}
	if checkPin("module tenon\n\nrequire modernc.org/libc v1.79.0\n", "module modernc.org/sqlite\n") == nil {
		t.Error("a driver that names no libc was accepted")
	}
}

// TestLinked holds docs/linked.txt at what the release binary really contains,
// so that a new dependency is seen in review even when it arrives through
// another one. Without a binary there must be no list.
func TestLinked(t *testing.T) {
	list, err := os.ReadFile(filepath.Join(house, "docs/linked.txt"))
	if _, none := os.Stat(filepath.Join(house, "cmd/tenon")); none != nil {
		if err == nil {
			t.Error("docs/linked.txt lists a binary that does not exist")
		}
		return
	}
	if err != nil {
		t.Fatalf("run make generate: %v", err)
	}
	linked := golist(t, "-deps", "-f", "{{if .Module}}{{if not .Module.Main}}{{.ImportPath}}{{end}}{{end}}", "./cmd/tenon")
	want := strings.Fields(linked)
	slices.Sort(want)
	if diff := cmp.Diff(want, strings.Fields(string(list))); diff != "" {
		t.Errorf("docs/linked.txt is not what cmd/tenon links; run make generate (-linked +listed):\n%s", diff)
	}
}

// golist asks the go command about the release platform, linux/amd64.
func golist(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Dir = house
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	return string(out)
}
