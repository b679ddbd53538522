package template

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Load reads the template at path: a file, or a folder in which one can be told to be the template. In a folder it is
// template.yaml, .yml or .json; else the one *.template.json, as `cdk synth` names it; else the one YAML or JSON file
// that has Resources. Several candidates of a kind are an error that names them. Errors about the content are *Error or
// several of them joined.
func Load(path string) (*Template, error) {
	file, err := find(path)
	if err != nil {
		return nil, err
	}
	data, err := read(file)
	if err != nil {
		return nil, err
	}
	return Parse(file, data)
}

// Parse reads a template from memory; file is the name that error messages use, and its ending .json, .yaml or .yml
// decides the language (otherwise a leading brace means JSON).
func Parse(file string, data []byte) (*Template, error) {
	root, err := parseNode(file, data)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	return newTemplate(file, hex.EncodeToString(sum[:]), root)
}

func parseNode(file string, data []byte) (*node, error) {
	if len(data) > maxBytes {
		return nil, &Error{File: file, Msg: fmt.Sprintf("the template is larger than %d bytes", maxBytes)}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	ext := strings.ToLower(filepath.Ext(file))
	if ext == ".json" || ext != ".yaml" && ext != ".yml" && bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return fromJSON(file, data)
	}
	return fromYAML(file, data)
}

func read(file string) ([]byte, error) {
	st, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("read template: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("read template: %s is not a regular file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read template: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read template: %w", err)
	}
	return data, nil
}

func find(path string) (string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("find template: %w", err)
	}
	if !st.IsDir() {
		return path, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return "", fmt.Errorf("find template: %w", err)
	}
	var named, synth, other []string
	for _, e := range entries {
		file := filepath.Join(path, e.Name())
		if st, err := os.Stat(file); err != nil || !st.Mode().IsRegular() {
			continue // a folder or a dangling link is no candidate
		}
		ext := strings.ToLower(filepath.Ext(e.Name()))
		switch {
		case slices.Contains([]string{"template.yaml", "template.yml", "template.json"}, e.Name()):
			named = append(named, file)
		case strings.HasSuffix(e.Name(), ".template.json"):
			synth = append(synth, file)
		case ext == ".yaml" || ext == ".yml" || ext == ".json":
			other = append(other, file)
		}
	}
	if len(named)+len(synth) == 0 {
		other = slices.DeleteFunc(other, func(f string) bool { return !hasResources(f) })
	}
	for _, c := range [][]string{named, synth, other} {
		switch {
		case len(c) == 1:
			return c[0], nil
		case len(c) > 1:
			return "", fmt.Errorf("find template: %s holds several templates (%s): name the one to use", path, strings.Join(c, ", "))
		}
	}
	return "", fmt.Errorf("find template: %s holds no template.yaml, template.json, *.template.json or other file with Resources", path)
}

// hasResources says whether a file looks like a template. A broken file that mentions Resources does too, so that the
// user hears of its mistake and not of a missing template.
func hasResources(file string) bool {
	data, err := read(file)
	if err != nil || len(data) > maxBytes {
		return false
	}
	n, err := parseNode(file, data)
	if err != nil {
		return bytes.Contains(data, []byte("Resources"))
	}
	return n.get("Resources") != nil
}
