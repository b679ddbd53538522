package blobtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"tenon/internal/blob"
)

func listing(f *fixture) {
	for _, key := range []string{"a", "a/1", "a/2", "a/b/3", "a0", "b/", "b/1", "c//d", "ü/1", "ü/2", "z"} {
		f.put(key, key)
	}
	for _, c := range []struct {
		o    blob.ListOptions
		want string
	}{
		{blob.ListOptions{}, "a a/1 a/2 a/b/3 a0 b/ b/1 c//d z ü/1 ü/2 |"},
		{blob.ListOptions{Delimiter: "/"}, "a a0 z |a/ b/ c/ ü/"},
		{blob.ListOptions{Prefix: "a"}, "a a/1 a/2 a/b/3 a0 |"},
		{blob.ListOptions{Prefix: "a", Delimiter: "/"}, "a a0 |a/"},
		{blob.ListOptions{Prefix: "a/", Delimiter: "/"}, "a/1 a/2 |a/b/"},
		{blob.ListOptions{Prefix: "b/", Delimiter: "/"}, "b/ b/1 |"},
		{blob.ListOptions{Prefix: "c/", Delimiter: "/"}, "|c//"},
		{blob.ListOptions{Prefix: "ü", Delimiter: "/"}, "|ü/"},
		{blob.ListOptions{Prefix: "none"}, "|"},
		{blob.ListOptions{After: "a/2"}, "a/b/3 a0 b/ b/1 c//d z ü/1 ü/2 |"},
		{blob.ListOptions{After: "a/", Delimiter: "/"}, "a0 z |b/ c/ ü/"},
		{blob.ListOptions{After: "a/1", Delimiter: "/"}, "a0 z |a/ b/ c/ ü/"},
		{blob.ListOptions{After: "zz"}, "ü/1 ü/2 |"},
		{blob.ListOptions{After: "ü/2"}, "|"},
		{blob.ListOptions{Prefix: "a/", After: "c"}, "|"},
		{blob.ListOptions{Delimiter: "//"}, "a a/1 a/2 a/b/3 a0 b/ b/1 z ü/1 ü/2 |c//"},
	} {
		c.o.Limit = 1000
		page, err := f.s.List(f.ctx, bucket, c.o)
		f.ok(err)
		if got := show(page); got != c.want || page.More || page.Next != "" {
			f.Errorf("%+v\ngot  %q, more %v, next %q\nwant %q", c.o, got, page.More, page.Next, c.want)
		}
	}
	page, err := f.s.List(f.ctx, bucket, blob.ListOptions{Prefix: "a/1", Limit: 1})
	f.ok(err)
	f.equal([]any{page.Objects[0].Size, page.Objects[0].ETag, page.More}, []any{int64(3), etag("a/1"), false})
	page, err = f.s.List(f.ctx, bucket, blob.ListOptions{})
	f.ok(err)
	f.equal([]any{show(page), page.More}, []any{"|", false})
}

func show(page blob.Page) string {
	var b strings.Builder
	for _, o := range page.Objects {
		b.WriteString(o.Key + " ")
	}
	return b.String() + "|" + strings.Join(page.Prefixes, " ")
}

// listPages: pages of any size, joined, are the listing a plain model gives.
func listPages(f *fixture) {
	random := rand.New(rand.NewPCG(1, 2))
	var all []string
	for range 160 {
		key := make([]string, 1+random.IntN(3))
		for i := range key {
			key[i] = fmt.Sprint(random.IntN(5))
		}
		all = append(all, strings.Join(key, "/"))
	}
	// One prefix hides more keys than any page has entries.
	for i := range 60 {
		all = append(all, fmt.Sprintf("2/many/%03d", i))
	}
	slices.Sort(all)
	all = slices.Compact(all)
	for _, key := range all {
		f.put(key, "")
	}
	for _, o := range []blob.ListOptions{{}, {Delimiter: "/"}, {Prefix: "2/", Delimiter: "/"}, {Prefix: "1"}, {Delimiter: "m"}} {
		want := model(all, o)
		for _, limit := range []int{1, 2, 7, 19, 1000} {
			o.Limit, o.After = limit, ""
			var got []string
			for {
				page, err := f.s.List(f.ctx, bucket, o)
				f.ok(err)
				entries := slices.Clone(page.Prefixes)
				for _, object := range page.Objects {
					entries = append(entries, object.Key)
				}
				slices.Sort(entries)
				if got = append(got, entries...); len(entries) > limit {
					f.Errorf("%+v: a page has %d entries", o, len(entries))
				}
				if !page.More {
					break
				}
				if page.Next <= o.After || len(entries) != limit {
					f.Fatalf("%+v: %d entries and %q after %q", o, len(entries), page.Next, o.After)
				}
				o.After = page.Next
			}
			f.equal(got, want)
		}
	}
}

func model(all []string, o blob.ListOptions) (out []string) {
	for _, key := range all {
		rest, ok := strings.CutPrefix(key, o.Prefix)
		if !ok {
			continue
		}
		if o.Delimiter != "" {
			if head, _, found := strings.Cut(rest, o.Delimiter); found {
				key = o.Prefix + head + o.Delimiter
			}
		}
		if len(out) == 0 || out[len(out)-1] != key {
			out = append(out, key)
		}
	}
	return out
}
