package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// dependenciesFile says for every direct dependency why std is not enough.
const dependenciesFile = "docs/dependencies.md"

// A requirement is one module of go.mod.
type requirement struct {
	version string
	direct  bool
}

var (
	moduleLine   = regexp.MustCompile(`(?m)^module\s+(\S+)`)
	requireLine  = regexp.MustCompile(`^(?:require\s+)?([^\s()]+\.[^\s()]+)\s+(v\S+)(\s*//\s*indirect)?\s*$`)
	documentLine = regexp.MustCompile("(?m)^\\|\\s*`([^`]+)`\\s*\\|([^|]*)\\|")
)

func moduleName(gomod string) string {
	if m := moduleLine.FindStringSubmatch(gomod); m != nil {
		return m[1]
	}
	return ""
}

// requirements reads the require lines of a go.mod.
func requirements(gomod string) map[string]requirement {
	all := map[string]requirement{}
	for line := range strings.Lines(gomod) {
		if m := requireLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			all[m[1]] = requirement{version: m[2], direct: m[3] == ""}
		}
	}
	return all
}

// checkGoMod forbids replacements and holds go.mod and the dependency list
// together (DESIGN, never 10).
func (t *tree) checkGoMod() []Finding {
	var all []Finding
	n := 0
	for line := range strings.Lines(t.gomod) {
		n++
		if f := strings.Fields(line); len(f) > 0 && f[0] == "replace" {
			all = append(all, Finding{Path: "go.mod", Line: n, Rule: "replace", Text: "others cannot build what is replaced: take a released version"})
		}
	}
	required := requirements(t.gomod)
	text, err := os.ReadFile(filepath.Join(t.root, filepath.FromSlash(dependenciesFile)))
	if err != nil && len(required) > 0 {
		return append(all, Finding{Path: dependenciesFile, Rule: "dependency", Text: "the list of dependencies is missing"})
	}
	documented := map[string]bool{}
	for _, m := range documentLine.FindAllStringSubmatch(string(text), -1) {
		documented[m[1]] = true
		if _, ok := required[m[1]]; !ok {
			all = append(all, Finding{Path: dependenciesFile, Rule: "dependency", Text: m[1] + " is not in go.mod any more: remove its line"})
		}
		if strings.TrimSpace(m[2]) == "" {
			all = append(all, Finding{Path: dependenciesFile, Rule: "dependency", Text: m[1] + " has no reason"})
		}
	}
	for path, r := range required {
		if r.direct && !documented[path] {
			all = append(all, Finding{Path: "go.mod", Rule: "dependency", Text: fmt.Sprintf("%s has no line in %s", path, dependenciesFile)})
		}
	}
	return all
}

// checkPin reports whether go.mod pins the very libc that its sqlite driver was
// generated against: with another one the driver compiles and then misbehaves.
func checkPin(ours, sqlites string) error {
	const libc = "modernc.org/libc"
	have, want := requirements(ours)[libc].version, requirements(sqlites)[libc].version
	if want == "" {
		return fmt.Errorf("go.mod of modernc.org/sqlite does not name %s", libc)
	}
	if have != want {
		return fmt.Errorf("go.mod has %s %s, but modernc.org/sqlite is made for %s", libc, have, want)
	}
	return nil
}
