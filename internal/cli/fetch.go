package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"tenon/internal/template"
)

// contents says what buckets hold: bucket, key, ETag.
type contents map[string]map[string]string

// bucketsOf lists the buckets that belong to a template: those it creates and
// those of the tree beside it.
func bucketsOf(ev *template.Evaluated, uploaded map[string]string) []string {
	set := map[string]bool{}
	for _, r := range ev.Resources {
		if r.Type == template.TypeBucket {
			set[r.Name] = true
		}
	}
	for _, b := range uploaded {
		set[b] = true
	}
	return sorted(set)
}

func (c *client) contents(ctx context.Context, buckets []string) (contents, error) {
	out := contents{}
	for _, b := range buckets {
		out[b] = map[string]string{}
		pages := s3.NewListObjectsV2Paginator(c.s3, &s3.ListObjectsV2Input{Bucket: &b})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, fmt.Errorf("list bucket %s: %w", b, err)
			}
			for _, o := range page.Contents {
				out[b][aws.ToString(o.Key)] = aws.ToString(o.ETag)
			}
		}
	}
	return out, nil
}

// fetch copies the objects that are new or changed since before into files
// below dir. Nothing outside dir is written, whatever the keys are.
func (s *session) fetch(ctx context.Context, cl *client, dir string, before contents) (err error) {
	after, err := cl.contents(ctx, sorted(before))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	n := 0
	for _, bucket := range sorted(after) {
		for _, key := range sorted(after[bucket]) {
			if before[bucket][key] == after[bucket][key] {
				continue
			}
			file := path.Join(bucket, key)
			if file != bucket+"/"+key || path.Dir(file) == "." {
				s.notef("s3://%s/%s is not copied: its key is no path of a file\n", visible(bucket), visible(key))
				continue
			}
			if err := cl.download(ctx, root, file, bucket, key); err != nil {
				return fmt.Errorf("copy s3://%s/%s: %w", bucket, key, err)
			}
			n++
		}
	}
	s.printf("copied  %d objects to %s\n", n, visible(dir))
	return nil
}

func (c *client) download(ctx context.Context, root *os.Root, file, bucket, key string) (err error) {
	o, err := c.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Body.Close()) }()
	if err := root.MkdirAll(path.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := root.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, o.Body)
	return errors.Join(err, f.Close())
}
