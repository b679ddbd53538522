package sigv4

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// AWS's signing guide: every service but S3 normalises the path and escapes it twice.
func TestCanonicalPath(t *testing.T) {
	cases := []struct{ sent, s3, other string }{
		{"/", "/", "/"},
		{"/a/../b", "/a/../b", "/b"},
		{"/a//b/", "/a//b/", "/a/b/"},
		{"/./", "/./", "/"},
		{"/../../x", "/../../x", "/x"},
		{"/a%20b", "/a%20b", "/a%2520b"},
		{"/a%2fb", "/a%2Fb", "/a%252fb"},
		{"/a+b@c", "/a%2Bb%40c", "/a%2Bb%40c"},
		{"/%41", "/A", "/%2541"},
		{"/é", "/%C3%A9", "/%25C3%25A9"},
	}
	for _, c := range cases {
		r := raw(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		u, err := url.Parse(c.sent)
		if err != nil {
			t.Fatal(err)
		}
		r.URL = u
		if got := string((&Signed{r: r, Service: ServiceS3}).appendPath(nil)); got != c.s3 {
			t.Errorf("%s for S3: %s, want %s", c.sent, got, c.s3)
		}
		if got := string((&Signed{r: r, Service: "glue"}).appendPath(nil)); got != c.other {
			t.Errorf("%s for others: %s, want %s", c.sent, got, c.other)
		}
	}
}

// What handlers read with net/url is what was signed: no parameter is dropped and none reads differently.
func TestQueryReadsAsNetURL(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q := rapid.StringOf(rapid.SampledFrom([]rune("ab=&%+;2fF0 é"))).Draw(rt, "query")
		got, err := parseQuery(q)
		want, wantErr := url.ParseQuery(q)
		if (err == nil) != (wantErr == nil) {
			rt.Fatalf("%q: %v, net/url %v", q, err, wantErr)
		}
		if err != nil {
			return
		}
		read := url.Values{}
		for _, p := range got {
			read.Add(p.name, p.value)
		}
		for name, values := range want {
			if strings.Join(read[name], "\x00") != strings.Join(values, "\x00") && name != "" {
				rt.Fatalf("%q: %s is %q, net/url %q", q, name, read[name], values)
			}
		}
	})
}
