package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/errgroup"

	"tenon/internal/template"
)

type applyCommand struct {
	Path   string   `arg:"" optional:"" help:"A template, or a folder with one and optionally a tree s3/BUCKET/KEY that is uploaded too." type:"path"`
	Stack  string   `help:"Name of the stack; by default the folder's." placeholder:"N"`
	Param  []string `help:"A parameter of the template; may be repeated." placeholder:"K=V" sep:"none"`
	Delete bool     `help:"Delete the stack instead."`
	serverFlags
}

// Run applies a template, or deletes a stack.
func (c *applyCommand) Run(s *session) error {
	ctx := s.soft
	if c.Path == "" && !(c.Delete && c.Stack != "") {
		return usagef("give the PATH of a template, or --delete with --stack")
	}
	params, err := assignments("param", c.Param)
	if err != nil {
		return err
	}
	name, err := stackName(c.Stack, c.Path)
	if err != nil {
		return err
	}
	var t *template.Template
	if !c.Delete {
		if t, err = template.Load(c.Path); err != nil {
			return usageError{err}
		}
	}
	cl, err := s.connect(ctx, c.serverFlags)
	if err != nil {
		return err
	}
	if c.Delete {
		return interrupted(ctx, s.deleteStack(ctx, cl, name))
	}
	ev, err := s.applyStack(ctx, cl, t, name, params, func(*template.Evaluated) error { return nil })
	if err != nil {
		return interrupted(ctx, err)
	}
	if _, err := s.upload(ctx, cl, c.Path, ev); err != nil {
		return interrupted(ctx, err)
	}
	for _, o := range ev.Outputs {
		s.printf("output %s = %s\n", visible(o.Name), visible(o.Value))
	}
	return nil
}

var notInStackName = regexp.MustCompile(`[^A-Za-z0-9]+`)

// stackName gives the stack's name: the one asked for, or the folder's, made to
// fit CloudFormation's rule for names.
func stackName(asked, path string) (string, error) {
	const longest = 128
	if asked != "" {
		if !regexp.MustCompile(`^[A-Za-z][-A-Za-z0-9]{0,127}$`).MatchString(asked) {
			return "", usagef("--stack %q: a stack's name begins with a letter and has up to %d letters, digits and hyphens", asked, longest)
		}
		return asked, nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find the template's folder: %w", err)
	}
	if ext := strings.ToLower(filepath.Ext(abs)); ext == ".yaml" || ext == ".yml" || ext == ".json" {
		abs = filepath.Dir(abs)
	}
	name := strings.Trim(notInStackName.ReplaceAllString(filepath.Base(abs), "-"), "-")
	if name == "" || name[0] < 'A' {
		name = strings.TrimRight("stack-"+name, "-")
	}
	return name[:min(len(name), longest)], nil
}

// storedStack is a stack as /_tenon/stacks keeps it. Version is 0 before the
// first save, and each save must name the version it follows.
type storedStack struct {
	Version int64          `json:"version"`
	State   jsontext.Value `json:"state,omitzero"`
}

func stackPath(name string) string { return "/_tenon/stacks/" + url.PathEscape(name) }

// loadStack reads a stack's state; that of a stack which does not exist is new.
func (c *client) loadStack(ctx context.Context, name string) (state template.State, version int64, err error) {
	var stored storedStack
	err = c.call(ctx, http.MethodGet, stackPath(name), nil, nil, &stored)
	var status *statusError
	switch {
	case errors.As(err, &status) && status.status == http.StatusNotFound:
		return template.NewState(name, stackID()), 0, nil
	case err != nil:
		return state, 0, fmt.Errorf("read stack %s: %w", name, err)
	}
	state, err = template.DecodeState(stored.State)
	return state, stored.Version, err
}

// stackID is a random UUID.
func stackID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// saver returns what stores a stack's state after version.
func (c *client) saver(ctx context.Context, name string, version int64) template.Save {
	return func(st template.State) error {
		state, err := st.Encode()
		if err != nil {
			return err
		}
		// What was done must be written down, also when the user has just pressed Ctrl-C.
		var reply storedStack
		err = c.call(context.WithoutCancel(ctx), http.MethodPut, stackPath(name), nil, storedStack{version, state}, &reply)
		var status *statusError
		if errors.As(err, &status) && status.status == http.StatusConflict {
			return fmt.Errorf("stack %s was changed by somebody else meanwhile: apply again", name)
		}
		version = reply.Version
		return err
	}
}

// applyStack makes the stack what its template says, with a line per change.
// Mistakes in the template are usage errors, as is what check says of it before
// anything is changed.
func (s *session) applyStack(ctx context.Context, cl *client, t *template.Template, name string, params map[string]string,
	check func(*template.Evaluated) error,
) (*template.Evaluated, error) {
	prev, version, err := cl.loadStack(ctx, name)
	if err != nil {
		return nil, err
	}
	ev, err := t.Evaluate(template.Options{Account: cl.account, Region: cl.region, Params: params, Prev: prev})
	if err != nil {
		return nil, usageError{err}
	}
	if err := check(ev); err != nil {
		return nil, usageError{err}
	}
	plan, err := ev.Plan()
	if err != nil {
		return nil, usageError{err}
	}
	for _, k := range ev.Skipped {
		s.notef("skipped  %s %s: this type does nothing here\n", visible(k.Type), visible(k.LogicalID))
	}
	for _, n := range ev.Notes {
		s.notef("note     %s:%d: %s\n", visible(t.File()), n.Line, visible(n.Text))
	}
	if len(plan.Changes) == 0 {
		s.printf("stack %s is up to date\n", visible(name))
	}
	_, err = plan.Apply(ctx, template.Clients{GlueAPI: cl.glue, S3API: cl.s3}, cl.saver(ctx, name, version), s.showChange)
	return ev, err
}

func (s *session) showChange(c template.Change) { s.printf("%s\n", visible(c.String())) }

func (s *session) deleteStack(ctx context.Context, cl *client, name string) error {
	prev, version, err := cl.loadStack(ctx, name)
	if err != nil {
		return err
	}
	if version == 0 {
		return fmt.Errorf("there is no stack %s", name)
	}
	left, err := template.Destroy(prev).Apply(ctx, template.Clients{GlueAPI: cl.glue, S3API: cl.s3}, cl.saver(ctx, name, version), s.showChange)
	if err != nil {
		return err
	}
	if !left.Empty() {
		return fmt.Errorf("stack %s is not empty after all its deletions", name)
	}
	if err := cl.call(ctx, http.MethodDelete, stackPath(name), nil, nil, nil); err != nil {
		return fmt.Errorf("forget stack %s: %w", name, err)
	}
	s.printf("stack %s is deleted\n", visible(name))
	return nil
}

// upload puts the s3 tree beside a template into its buckets, creating those
// that do not exist. It returns the buckets by their folders.
func (s *session) upload(ctx context.Context, cl *client, path string, ev *template.Evaluated) (buckets map[string]string, err error) {
	tree, err := template.OpenTree(treeRoot(path))
	if err != nil {
		return nil, usageError{err}
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	folders, err := tree.Folders()
	if err != nil {
		return nil, usageError{err}
	}
	buckets = map[string]string{}
	for _, f := range folders {
		bucket, err := ev.Bucket(f)
		if err != nil {
			return nil, usageError{err}
		}
		buckets[f] = bucket
		if err := cl.ensureBucket(ctx, bucket); err != nil {
			return nil, fmt.Errorf("create bucket %s: %w", bucket, err)
		}
	}
	// Uploads wait for the disk more than for anything else.
	const atOnce = 8
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	files, size := 0, int64(0)
	for o, err := range tree.Objects() {
		if err != nil {
			return nil, errors.Join(usageError{err}, g.Wait())
		}
		files, size = files+1, size+o.Size
		g.Go(func() error {
			if err := cl.put(gctx, buckets[o.Folder], o); err != nil {
				return fmt.Errorf("upload s3/%s/%s: %w", o.Folder, o.Key, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if files > 0 {
		s.printf("upload  %d files, %d bytes\n", files, size)
	}
	return buckets, nil
}

// treeRoot is the folder whose subfolder s3 is uploaded: PATH, or for a template
// file the folder it lies in.
func treeRoot(path string) string {
	if ext := strings.ToLower(filepath.Ext(path)); ext == ".yaml" || ext == ".yml" || ext == ".json" {
		return filepath.Dir(path)
	}
	return path
}

func (c *client) ensureBucket(ctx context.Context, name string) error {
	_, err := c.s3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name})
	var missing *s3types.NotFound
	if !errors.As(err, &missing) {
		return err
	}
	in := &s3.CreateBucketInput{Bucket: &name}
	if c.region != "us-east-1" { // the one region that must not be named (S3 API, CreateBucket)
		in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(c.region)}
	}
	_, err = c.s3.CreateBucket(ctx, in)
	return err
}

func (c *client) put(ctx context.Context, bucket string, o template.Object) error {
	f, err := o.Open()
	if err != nil {
		return err
	}
	_, err = c.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &o.Key, Body: f})
	return errors.Join(err, f.Close())
}
