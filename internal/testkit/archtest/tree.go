package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A tree is the parsed source of one module.
type tree struct {
	root   string
	module string
	gomod  string
	fset   *token.FileSet
	files  []*file
}

// A file is one Go file with what the rules ask about it.
type file struct {
	path string // slash-separated, relative to the root
	dir  string // "." for the root package
	ast  *ast.File
	test bool
	// lines counts the lines of the file.
	lines     int
	generated bool
	// imports maps local names to import paths.
	imports map[string]string
	room    *room
	unit    string
}

// load parses every Go file below root that belongs to the module itself:
// nested modules, testdata and hidden directories are other people's houses.
func load(root string) (*tree, error) {
	gomod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, fmt.Errorf("read go.mod: %w", err)
	}
	t := &tree{root: root, gomod: string(gomod), fset: token.NewFileSet()}
	t.module = moduleName(t.gomod)
	if t.module == "" {
		return nil, fmt.Errorf("go.mod in %s names no module", root)
	}
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != root && foreign(p, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(d.Name(), ".go") {
			return t.add(p)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("walk %s: %w", root, err)
	}
	return t, nil
}

func foreign(dir, name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return true
	}
	if slices.Contains([]string{"testdata", "node_modules", "bin", "dist"}, name) {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func (t *tree) add(p string) error {
	src, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(t.root, p)
	if err != nil {
		return err
	}
	rel = filepath.ToSlash(rel)
	parsed, err := parser.ParseFile(t.fset, rel, src, parser.ParseComments)
	if err != nil {
		return err
	}
	f := &file{
		path: rel, dir: path.Dir(rel), ast: parsed,
		test:      strings.HasSuffix(rel, "_test.go"),
		lines:     strings.Count(string(src), "\n"),
		generated: ast.IsGenerated(parsed),
		imports:   map[string]string{},
	}
	for _, spec := range parsed.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("%s: import %s: %w", rel, spec.Path.Value, err)
		}
		f.imports[localName(spec, target)] = target
	}
	f.room, f.unit = roomOf(f.dir)
	t.files = append(t.files, f)
	return nil
}

// localName guesses the name of an unnamed import from its path, which is right
// for every package that a ban names.
func localName(spec *ast.ImportSpec, target string) string {
	if spec.Name == nil {
		return path.Base(target)
	}
	if n := spec.Name.Name; n == "_" || n == "." {
		return n + target // several of them may stand in one file
	}
	return spec.Name.Name
}

// roomOf returns the room of a directory and the unit in it: the part of the
// path that the room's pattern matched.
func roomOf(dir string) (*room, string) {
	var best *room
	var unit string
	depth := -1
	for i := range rooms {
		for _, pattern := range rooms[i].packages {
			if u, n := matchPrefix(pattern, dir); n > depth {
				best, unit, depth = &rooms[i], u, n
			}
		}
	}
	return best, unit
}

// matchPrefix reports the part of dir that pattern covers and its number of
// elements, or -1. The root pattern covers the root package alone.
func matchPrefix(pattern, dir string) (string, int) {
	if pattern == "." || dir == "." {
		if pattern == dir {
			return ".", 0
		}
		return "", -1
	}
	want, have := strings.Split(pattern, "/"), strings.Split(dir, "/")
	if len(have) < len(want) {
		return "", -1
	}
	for i, w := range want {
		if w != "*" && w != have[i] {
			return "", -1
		}
	}
	return strings.Join(have[:len(want)], "/"), len(want)
}

// inside turns an import path into a directory of the module.
func (t *tree) inside(target string) (string, bool) {
	if target == t.module {
		return ".", true
	}
	dir, ok := strings.CutPrefix(target, t.module+"/")
	return dir, ok
}

func (t *tree) line(n ast.Node) int { return t.fset.Position(n.Pos()).Line }
