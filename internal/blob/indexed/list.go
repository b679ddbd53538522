package indexed

import (
	"context"
	"strings"

	"tenon/internal/blob"
)

// List walks the keys in order. Where a common prefix begins it jumps behind the
// last key below it, so the cost depends on the entries of the page and not on
// the keys that a prefix hides.
func (s *Store) List(ctx context.Context, bucket string, o blob.ListOptions) (blob.Page, error) {
	if _, err := s.index.GetBucket(ctx, bucket); err != nil {
		return blob.Page{}, err
	}
	page, err := s.walk(ctx, bucket, o)
	if !page.More {
		page.Next = ""
	}
	return page, err
}

func (s *Store) walk(ctx context.Context, bucket string, o blob.ListOptions) (page blob.Page, err error) {
	limit := min(o.Limit, blob.MaxPage)
	span := PrefixSpan(o.Prefix)
	span.From = max(span.From, start(o))
	batch := limit + 1
	if o.Delimiter != "" {
		batch = 16
	}
	for limit > 0 {
		// A start at or behind the end, as after the very last prefix.
		if span.To != "" && span.From >= span.To {
			return page, nil
		}
		infos, err := s.index.ListObjects(ctx, bucket, span, batch)
		if err != nil {
			return blob.Page{}, err
		}
		hidden := ""
		for _, info := range infos {
			if hidden != "" && strings.HasPrefix(info.Key, hidden) {
				continue
			}
			if len(page.Objects)+len(page.Prefixes) == limit {
				page.More = true
				return page, nil
			}
			if hidden = commonPrefix(info.Key, o); hidden != "" {
				page.Prefixes = append(page.Prefixes, hidden)
				page.Next = hidden
				continue
			}
			page.Objects = append(page.Objects, info)
			page.Next = info.Key
		}
		if len(infos) < batch {
			return page, nil
		}
		// Plain keys come in ever larger batches; inside a prefix, where a large
		// batch would be thrown away, small ones look for what is behind it.
		if hidden == "" {
			span.From = infos[len(infos)-1].Key + "\x00"
			batch = min(2*batch, limit+1)
			continue
		}
		if span.From = prefixEnd(hidden); span.From == "" {
			return page, nil
		}
		batch = min(16, limit+1)
	}
	return page, nil
}

// start is the first key that may be listed.
func start(o blob.ListOptions) string {
	switch {
	case o.After == "":
		return ""
	case o.Delimiter != "" && commonPrefix(o.After, o) == o.After:
		if end := prefixEnd(o.After); end != "" {
			return end
		}
	}
	return o.After + "\x00"
}

// commonPrefix is the part of key up to and with the first delimiter behind the
// listing's prefix, or empty.
func commonPrefix(key string, o blob.ListOptions) string {
	if o.Delimiter == "" || !strings.HasPrefix(key, o.Prefix) {
		return ""
	}
	at := strings.Index(key[len(o.Prefix):], o.Delimiter)
	if at < 0 {
		return ""
	}
	return key[:len(o.Prefix)+at+len(o.Delimiter)]
}
