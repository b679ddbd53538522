package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// checkPackages holds the rules about whole packages: a room, a telling name,
// documentation of substance.
func (t *tree) checkPackages() []Finding {
	byDir := map[string][]*file{}
	for _, f := range t.files {
		byDir[f.dir] = append(byDir[f.dir], f)
	}
	var all []Finding
	for dir, files := range byDir {
		add := func(rule, format string, args ...any) {
			all = append(all, Finding{Path: dir, Rule: rule, Text: fmt.Sprintf(format, args...)})
		}
		if files[0].room == nil {
			add("import", "the package is in no room of the house: give it one in archtest's table, with a decision in docs/adr")
		}
		name, doc := describe(files)
		for _, n := range append(strings.Split(dir, "/"), name) {
			if slices.Contains(nameless, n) {
				add("name", "%q says nothing about what is inside", n)
				break
			}
		}
		if text := judgeDoc(name, doc); text != "" {
			add("doc", "%s", text)
		}
		if slices.Contains(withDoc, dir) && !slices.ContainsFunc(files, func(f *file) bool { return path.Base(f.path) == "doc.go" }) {
			add("doc", "needs a doc.go with states, failure table and invariants (DESIGN §8)")
		}
	}
	return all
}

// describe returns the name of the package and its longest comment. A package
// of tests alone may carry its comment in a test file.
func describe(files []*file) (name, doc string) {
	production := slices.ContainsFunc(files, func(f *file) bool { return !f.test })
	for _, f := range files {
		if f.test && production {
			continue
		}
		name = strings.TrimSuffix(f.ast.Name.Name, "_test")
		if text := f.ast.Doc.Text(); len(text) > len(doc) {
			doc = text
		}
	}
	return name, doc
}

func judgeDoc(name, doc string) string {
	if doc == "" {
		return "no package comment: say what the package guarantees, then what it does not do"
	}
	says := strings.HasPrefix(doc, "Package "+name+" ") || strings.HasPrefix(doc, "Package "+name+"_test ")
	if name != "main" && !says {
		return fmt.Sprintf("the package comment does not begin with %q", "Package "+name)
	}
	first, _, _ := strings.Cut(doc, "\n\n")
	if n := len(strings.Fields(first)); n < minWords {
		return fmt.Sprintf("the first paragraph has %d words: say what the package guarantees", n)
	}
	return ""
}
