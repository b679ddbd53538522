package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// checkImports holds the import law: the table of rooms for packages of this
// module, the table of borrowings for all others.
func (t *tree) checkImports(f *file) []Finding {
	if f.room == nil {
		return nil // reported once per package by checkPackages
	}
	var all []Finding
	for _, spec := range f.ast.Imports {
		target := strings.Trim(spec.Path.Value, `"`)
		add := func(rule, format string, args ...any) {
			all = append(all, Finding{Path: f.path, Line: t.line(spec), Rule: rule, Text: fmt.Sprintf(format, args...)})
		}
		if spec.Name != nil && spec.Name.Name == "." {
			add("import", "dot import of %s hides where names come from", target)
		}
		if dir, ok := t.inside(target); ok {
			if text := judgeEdge(f, dir); text != "" {
				add("import", "%s", text)
			}
			continue
		}
		if text := judgeBorrowed(f, target); text != "" {
			add("import", "%s", text)
		}
	}
	return all
}

// judgeEdge returns why f may not import the package in dir, or "".
func judgeEdge(f *file, dir string) string {
	to, unit := roomOf(dir)
	edge := fmt.Sprintf("%s -> %s", f.dir, dir)
	switch {
	case to == nil:
		return edge + ": the imported package is in no room of the house"
	case unit == f.unit:
		return ""
	case listed(f.room.may, to, unit), listed(f.room.extra[f.unit], to, unit):
		return ""
	case f.test && (to.name == "testkit" || to.name == "crash points" || listed(f.room.tests, to, unit)):
		return ""
	}
	may := "nothing of this module"
	if list := join(f.room.may, f.room.extra[f.unit]...); len(list) > 0 {
		may = strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s: %s may not import %s; it may import %s", edge, f.room.name, to.name, may)
}

// judgeBorrowed returns why f may not import a package from outside, or "".
func judgeBorrowed(f *file, target string) string {
	std := !strings.Contains(strings.SplitN(target, "/", 2)[0], ".")
	if std && f.room.pure && !f.test && under(impure, target) && !under(exempt, target) {
		return fmt.Sprintf("%s -> %s: %s is pure: no I/O, context, clock, randomness, environment or log (DESIGN, never 1)", f.dir, target, f.room.name)
	}
	b := borrowing(target)
	switch {
	case b == nil && std:
		return ""
	case b == nil:
		return fmt.Sprintf("%s -> %s: nobody may import it until archtest says who and docs/dependencies.md says why", f.dir, target)
	case listed(b.in, f.room, f.unit):
		return ""
	case f.test && (slices.Contains(b.tests, "all") || listed(b.tests, f.room, f.unit)):
		return ""
	}
	if len(b.in) == 0 {
		return fmt.Sprintf("%s -> %s: nobody may import it: %s", f.dir, target, b.why)
	}
	return fmt.Sprintf("%s -> %s: only for %s: %s", f.dir, target, strings.Join(b.in, ", "), b.why)
}

// borrowing finds the entry with the longest path that covers target.
func borrowing(target string) *borrowed {
	var best *borrowed
	for i := range borrowings {
		b := &borrowings[i]
		if (best == nil || len(b.path) > len(best.path)) && under([]string{b.path}, target) {
			best = b
		}
	}
	return best
}

// listed reports whether a list of rooms and packages names this one.
func listed(list []string, r *room, unit string) bool {
	return slices.Contains(list, r.name) || slices.Contains(list, unit)
}

// under reports whether target is one of the paths or lies below one.
func under(paths []string, target string) bool {
	return slices.ContainsFunc(paths, func(p string) bool {
		return target == p || strings.HasPrefix(target, p+"/")
	})
}
