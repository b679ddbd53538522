package archtest

import (
	"fmt"
	"go/ast"
	"slices"
)

// checkIdentifiers holds the rules about single calls and statements.
func (t *tree) checkIdentifiers(f *file) []Finding {
	if f.room == nil {
		return nil
	}
	var all []Finding
	add := func(n ast.Node, rule, format string, args ...any) {
		all = append(all, Finding{Path: f.path, Line: t.line(n), Rule: rule, Text: fmt.Sprintf(format, args...)})
	}
	var stack []ast.Node // the way from the file down to the node
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		stack = append(stack, n)
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if b := f.banned(n); b != nil && (b.rule != "sleep" || !f.inBubble(stack)) {
				add(n, b.rule, "%s.%s in %s: %s", b.pkg, n.Sel.Name, f.room.name, b.why)
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "panic" && id.Obj == nil && !f.test {
				add(n, "panic", "return an error: a bad input must never stop the server")
			}
			if f.test && skips(n) {
				add(n, "skip", "a skipped test proves nothing: make its prerequisites, or delete it")
			}
		case *ast.GoStmt:
			if f.room.pure && !f.test {
				add(n, "goroutine", "%s is pure and starts no goroutines", f.room.name)
			}
		}
		return true
	})
	return all
}

// banned returns the ban that a qualified identifier breaks in this file.
func (f *file) banned(sel *ast.SelectorExpr) *ban {
	pkg := f.qualifier(sel)
	if pkg == "" {
		return nil
	}
	for i := range bans {
		b := &bans[i]
		if b.pkg != pkg || !slices.Contains(b.names, sel.Sel.Name) {
			continue
		}
		if f.test && !b.tests || !f.test && !b.production {
			continue
		}
		if len(b.only) > 0 && !listed(b.only, f.room, f.unit) || listed(b.except, f.room, f.unit) {
			continue
		}
		return b
	}
	return nil
}

// qualifier returns the import path that a selector starts with, or "" when its
// left side is a value.
func (f *file) qualifier(sel *ast.SelectorExpr) string {
	id, ok := sel.X.(*ast.Ident)
	if !ok || id.Obj != nil { // the parser resolves local names; imports stay open
		return ""
	}
	return f.imports[id.Name]
}

// inBubble reports whether a node stands inside a call of synctest.Test, where
// sleeping costs no real time and is the way to let others run.
func (f *file) inBubble(stack []ast.Node) bool {
	return slices.ContainsFunc(stack, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return false
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "Test" && f.qualifier(sel) == "testing/synctest"
	})
}

// skips recognises t.Skip and its relatives by the names that test arguments
// have; a method Skip of a decoder is something else.
func skips(call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && slices.Contains([]string{"t", "b", "f", "tb", "rt"}, id.Name)
}
