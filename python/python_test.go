package python

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestSuites runs the Python suites with the machine's interpreter: the wrapper and awsglue
// (spec/jobs §3.5, §5.3), and the example's scripts run through both.
func TestSuites(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatalf("find an interpreter for the suites: %v", err)
	}
	for _, dir := range []string{"tests", "../examples/weather/tests"} {
		touch(t, filepath.Dir(dir))
		t.Run(filepath.Base(filepath.Dir(dir))+"-"+filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), python, "-B", "-m", "unittest", "discover", "-s", dir)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("suite %s: %v\n%s", dir, err, out)
			}
			// unittest of older interpreters ends well when it finds no test at all.
			if strings.Contains(string(out), "Ran 0 tests") {
				t.Fatalf("suite %s ran nothing:\n%s", dir, out)
			}
		})
	}
}

// touch looks at every file below root, which makes the go command run this test again, instead of
// showing a cached result, when one of them changed. It cannot see what the interpreter reads.
func touch(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() == "__pycache__" {
			return err
		}
		_, err = os.Stat(path)
		return err
	})
	if err != nil {
		t.Fatalf("look at the files of a suite: %v", err)
	}
}

// TestFilesComplete compares the embedded tree with the source tree: nothing forgotten, nothing stale.
func TestFilesComplete(t *testing.T) {
	var want []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "tests" || d.Name() == "__pycache__"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".py"):
			want = append(want, filepath.ToSlash(path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = fs.WalkDir(Files(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		got = append(got, path)
		embedded, err := fs.ReadFile(Files(), path)
		if err != nil {
			return err
		}
		source, err := os.ReadFile(filepath.FromSlash(path))
		if err != nil {
			return err
		}
		if string(embedded) != string(source) {
			t.Errorf("%s differs from its source", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) || !slices.Contains(got, Wrapper) {
		t.Errorf("embedded files %q, want %q with %q", got, want, Wrapper)
	}
}

// TestConstants holds the names that Go and Python must agree on.
func TestConstants(t *testing.T) {
	for file, names := range map[string][]string{
		Wrapper:            {EnvPath, EnvFlavour},
		"awsglue/utils.py": {EnvFlavour, EnvGlueVersion, FlavourPythonShell},
	} {
		text, err := fs.ReadFile(Files(), file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if !strings.Contains(string(text), `"`+name+`"`) {
				t.Errorf("%s does not read %q", file, name)
			}
		}
	}
}

// TestCopy lays the tree out as the runtime does and runs a script with it.
func TestCopy(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, Files()); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "job.py")
	source := "import sys\nfrom awsglue.utils import getResolvedOptions\n" +
		"print(getResolvedOptions(sys.argv, ['name'])['name'])\n"
	if err := os.WriteFile(script, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "python3", "-I", "-u", filepath.Join(dir, Wrapper), script, "--name", "tenon")
	cmd.Env = append(os.Environ(), EnvFlavour+"="+FlavourPythonShell)
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "tenon\n" {
		t.Errorf("script printed %q, %v; want %q", out, err, "tenon\n")
	}
}

func TestHash(t *testing.T) {
	if h := Hash(); len(h) != 64 || h != Hash() {
		t.Errorf("Hash() = %q, want 64 hex digits, the same each time", h)
	}
	tree := func(pairs ...string) fs.FS {
		m := fstest.MapFS{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
		}
		return m
	}
	// Each tree differs from the others in one respect only: a name, a byte, a border, a file.
	seen := map[string]int{}
	for i, files := range []fs.FS{
		tree(), tree("a", ""), tree("a", "b"), tree("b", "a"), tree("ab", ""), tree("a", "c"),
		tree("a", "", "b", ""), tree("a/b", ""), tree("a", "bc"), tree("a", "b", "c", ""),
	} {
		sum, err := digest(files)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := digest(files); err != nil || again != sum {
			t.Errorf("tree %d: second digest %q, %v; want %q", i, again, err, sum)
		}
		if first, ok := seen[sum]; ok {
			t.Errorf("trees %d and %d have the same digest", first, i)
		}
		seen[sum] = i
	}
}
