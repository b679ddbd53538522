package archtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Finding is one broken law.
type Finding struct {
	Path string // file relative to the root, slash-separated; or a package directory
	Line int    // 0 when the finding is about the whole file
	Rule string
	Text string
}

// String formats the finding as compilers do, so that editors can jump to it.
func (f Finding) String() string {
	at := f.Path
	if f.Line > 0 {
		at = fmt.Sprintf("%s:%d", f.Path, f.Line)
	}
	return fmt.Sprintf("%s: %s: %s", at, f.Rule, f.Text)
}

// Check judges the module whose go.mod lies in root and returns every broken
// law, ordered by place. The error is about reading the tree, not about laws.
func Check(root string) ([]Finding, error) { return check(root, exceptions) }

func check(root string, table []exception) ([]Finding, error) {
	t, err := load(root)
	if err != nil {
		return nil, err
	}
	var all []Finding
	for _, f := range t.files {
		all = append(all, t.checkImports(f)...)
		all = append(all, t.checkIdentifiers(f)...)
		all = append(all, t.checkLength(f)...)
	}
	all = append(all, t.checkPackages()...)
	all = append(all, t.checkGoMod()...)
	all = t.excuse(all, table)
	slices.SortFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Text, b.Text))
	})
	return all, nil
}

// excuse removes what the exceptions cover and reports exceptions that cover
// nothing although their package exists.
func (t *tree) excuse(all []Finding, table []exception) []Finding {
	used := make([]bool, len(table))
	kept := all[:0:0]
	for _, f := range all {
		excused := false
		for i, e := range table {
			if e.rule == f.Rule && covers(e.path, f.Path) {
				used[i], excused = true, true
			}
		}
		if !excused {
			kept = append(kept, f)
		}
	}
	for i, e := range table {
		if !used[i] && slices.ContainsFunc(t.files, func(f *file) bool { return covers(e.path, f.path) }) {
			kept = append(kept, Finding{Path: e.path, Rule: "exception", Text: fmt.Sprintf("nothing breaks rule %q here any more: remove the exception", e.rule)})
		}
	}
	return kept
}

// covers reports whether an exception for place speaks of the file: it is that
// file, or a Go file directly in that package.
func covers(place, file string) bool {
	if place == file {
		return true
	}
	rest, ok := strings.CutPrefix(file, place+"/")
	return ok && !strings.Contains(rest, "/")
}

// checkLength keeps files readable in one sitting (DESIGN §8).
func (t *tree) checkLength(f *file) []Finding {
	if f.generated || f.lines <= maxLines {
		return nil
	}
	return []Finding{{Path: f.path, Rule: "length", Text: fmt.Sprintf("%d lines; a file has at most %d: split it by subject", f.lines, maxLines)}}
}
