package python

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// spec/jobs §3.2: --additional-python-modules, with the split that AWS gets wrong mended.
func TestSplitModules(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{" , ,", nil},
		{"a", []string{"a"}},
		{"a,b", []string{"a", "b"}},
		{" a , b ", []string{"a", "b"}},
		{"x>=6,<7", []string{"x>=6,<7"}},
		{"x>=6, <7,y", []string{"x>=6, <7", "y"}},
		{"x>=1,!=1.5,~=1.0,==1.*,y===2", []string{"x>=1,!=1.5,~=1.0,==1.*", "y===2"}},
		{"x (>=6,<7),y", []string{"x (>=6,<7)", "y"}},
		{"requests[security,socks]>=2,<3,y", []string{"requests[security,socks]>=2,<3", "y"}},
		{`x; python_version in "3.8,3.9",y`, []string{`x; python_version in "3.8,3.9"`, "y"}},
		{`x; sys_platform == 'a,b' and extra == "c,d",y`, []string{`x; sys_platform == 'a,b' and extra == "c,d"`, "y"}},
		{"p==1 -i https://h/simple,q", []string{"p==1 -i https://h/simple", "q"}},
		{"s3://b/k/a-1-py3-none-any.whl,s3://b/b-1-py3-none-any.whl", []string{"s3://b/k/a-1-py3-none-any.whl", "s3://b/b-1-py3-none-any.whl"}},
		{"<7", []string{"<7"}},
		{",<7", []string{"<7"}},
		{"a[b,c", []string{"a[b,c"}},
		{"a],b", []string{"a]", "b"}},
	} {
		if d := cmp.Diff(c.want, splitModules(c.in)); d != "" {
			t.Errorf("splitModules(%q): %s", c.in, d)
		}
	}
}

func FuzzSplitModules(f *testing.F) {
	for _, s := range []string{"a,b", "x>=6,<7", "a[b,c],d", `x;"a,`, ",,<", "x (,", "p -i https://h, -x", "\x00,\xff"} {
		f.Add(s)
	}
	squeeze := strings.NewReplacer(" ", "", "\t", "", "\n", "", "\r", "", "\v", "", "\f", "", "\u0085", "", "\u00a0", "", ",", "")
	f.Fuzz(func(t *testing.T, s string) {
		entries := splitModules(s)
		for _, e := range entries {
			if e == "" || e != strings.TrimSpace(e) {
				t.Fatalf("entry %q of %q is empty or not trimmed", e, s)
			}
			m, err := parseModule(e)
			if err != nil {
				continue
			}
			// Whatever passes cannot be read as an option or as more than one line.
			text := m.requirement + m.wheel
			if text == "" || text[0] == '-' || strings.ContainsAny(text, "\n\r\\") || strings.Contains(text, " -") || strings.Contains(text, "${") {
				t.Fatalf("entry %q passed as %q", e, text)
			}
		}
		if strings.ContainsFunc(s, func(r rune) bool { return r > 0xff }) {
			return // other Unicode spaces, which TrimSpace knows and squeeze does not
		}
		if got, want := squeeze.Replace(strings.Join(entries, "")), squeeze.Replace(s); got != want {
			t.Fatalf("splitModules(%q) lost something: %q", s, got)
		}
	})
}

// spec/faults J12: nothing but the listed options reaches the installer.
func TestParseModule(t *testing.T) {
	for _, c := range []struct {
		in   string
		want module
		err  string
	}{
		{in: "pandas", want: module{requirement: "pandas"}},
		{in: "x>=6,<7", want: module{requirement: "x>=6,<7"}},
		{in: "my-pkg-name==1", want: module{requirement: "my-pkg-name==1"}},
		{in: "p @ https://h/p-1-py3-none-any.whl", want: module{requirement: "p @ https://h/p-1-py3-none-any.whl"}},
		{in: "git+https://h/r.git@v1", want: module{requirement: "git+https://h/r.git@v1"}},
		{in: "s3://b/p-1-py3-none-any.whl", want: module{wheel: "s3://b/p-1-py3-none-any.whl"}},
		{in: "p==1 -i https://h/simple", want: module{requirement: "p==1", options: options{Index: "https://h/simple"}}},
		{in: "p --index-url=https://h/s --extra-index-url http://i --find-links https://j --trusted-host h:80 --no-deps --pre",
			want: module{requirement: "p", options: options{Index: "https://h/s", ExtraIndexes: []string{"http://i"}, FindLinks: []string{"https://j"}, TrustedHosts: []string{"h:80"}, NoDeps: true, Pre: true}}},
		{in: "<7.0", err: "Invalid requirement: '<7.0'"},
		{in: "-r /etc/passwd", err: "option -r is not allowed"},
		{in: "p --target /etc", err: "option --target is not allowed"},
		{in: "p --target=/etc", err: "option --target is not allowed"},
		{in: "p --config-settings=x", err: "option --config-settings is not allowed"},
		{in: "p --pre=1", err: "takes no value"},
		{in: "p -i", err: "option -i needs a value"},
		{in: "p -i file:///etc", err: "needs an http or https URL"},
		{in: "p --find-links /etc", err: "needs an http or https URL"},
		{in: "p --trusted-host a/b", err: "needs a host name"},
		{in: "p -i https://h q", err: "option q is not allowed"},
		{in: "-i https://h", err: "option without a module"},
		{in: "/etc/x.whl", err: "Invalid requirement"},
		{in: "./x", err: "Invalid requirement"},
		{in: "file:///etc/x.whl", err: "files of the server"},
		{in: "p @ file:///etc/x.whl", err: "files of the server"},
		{in: "p @FILE:/x", err: "files of the server"},
		{in: "git+file:///x", err: "files of the server"},
		{in: "s3://b/p.tar.gz", err: "not a wheel"},
		{in: "s3://b/p.whl --no-deps", err: "takes no options"},
		{in: "p\n--target=/etc", err: "Invalid requirement"},
		{in: `p\`, err: "Invalid requirement"},
		{in: "p @ https://h/${PIP_INDEX_URL}", err: "variables are not expanded"},
	} {
		got, err := parseModule(c.in)
		if c.err == "" {
			if err != nil {
				t.Errorf("parseModule(%q): %v", c.in, err)
			} else if d := cmp.Diff(c.want, got, cmp.AllowUnexported(module{})); d != "" {
				t.Errorf("parseModule(%q): %s", c.in, d)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("parseModule(%q) = %+v, %v; want error with %q", c.in, got, err, c.err)
		}
	}
}

// The reason of a failure, as pip and uv word it (spec/jobs §2.8).
func TestInstallerReason(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Looking in links: /x\nERROR: Could not find x\nERROR: No matching distribution found for x (from line 1 of /d/requirements.txt)\n", "ERROR: No matching distribution found for x"},
		{"ERROR: a\rnotice: b\n", "ERROR: a"},
		{"error: No solution found\n  cause: Because there is\n", "No solution found: Because there is"},
		{"  × No solution found:\n  ╰─▶ Because of x\n      and more\n", "No solution found: Because of x"},
		{"Traceback:\nOSError: no space left", "OSError: no space left"},
		{"ERROR: https://user:pw@host/simple is bad", "ERROR: https://****@host/simple is bad"},
		{"\n\n", ""},
		{"ERROR: " + strings.Repeat("x", 3*lineLimit) + "\n", "ERROR: " + strings.Repeat("x", lineLimit-7)},
	} {
		var lines []string
		w := &lineWriter{out: func(l string) { lines = append(lines, l) }}
		for i := range len(c.in) { // the cuts of a pipe are arbitrary
			if n, err := w.Write([]byte{c.in[i]}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		w.flush()
		if got := w.reason(); got != c.want {
			t.Errorf("%.60q: got %.80q, want %.80q", c.in, got, c.want)
		}
		whole := &lineWriter{out: func(string) {}}
		if _, err := whole.Write([]byte(c.in)); err != nil {
			t.Fatal(err)
		}
		whole.flush()
		if got := whole.reason(); got != c.want {
			t.Errorf("%.60q at once: got %.80q", c.in, got)
		}
		if strings.Contains(strings.Join(lines, ""), "pw@") {
			t.Errorf("a password was shown: %q", lines)
		}
	}
}
