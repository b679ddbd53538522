//go:build linux

package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"tenon"
)

// pipeline is a shape of real Python-shell jobs.
var pipeline = shape{
	name: "pipeline",
	jobs: []job{{name: "extract", wait: 100 * time.Millisecond, limit: 2}, {name: "transform", wait: 50 * time.Millisecond, fail: 1, retries: 2}, {name: "report"}},
	triggers: []trigger{
		{starts: []string{"extract"}},
		{watches: []watch{{"extract", succeeded}}, starts: []string{"transform"}},
		{watches: []watch{{"transform", succeeded}}, starts: []string{"report"}},
	},
}

// TestPython holds with the preparer that users have: scripts out of the S3 door,
// the wrapper, an interpreter.
func TestPython(t *testing.T) {
	t.Parallel()
	seed := seeded(t)
	// A version manager's shim would double the time of every start.
	python, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Fatalf("find Python: %v", err)
	}
	r := newRig(t, "-python", strings.TrimSpace(string(python)))
	r.start()
	r.upload("scripts", "job.py", "testdata/job.py")
	r.define("s3://scripts/job.py", pipeline)
	victims := []int{theServer, theLauncher, both, theServer, theLauncher, both}
	if testing.Short() {
		victims = victims[:1]
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	l := r.newLoad(3, "t", seed, pipeline)
	for _, victim := range victims {
		before := len(r.read().starts)
		r.until("another job runs", func() bool { return len(r.read().starts) > before })
		<-time.After(time.Duration(rng.IntN(200)) * time.Millisecond)
		r.strike(victim)
	}
	r.conclude(l, fmt.Sprintf("%d kills", len(victims)))
}

// upload puts a file into the server's own object store.
func (r *rig) upload(bucket, key, path string) {
	r.Helper()
	file, err := os.Open(path)
	if err != nil {
		r.Fatal(err)
	}
	defer file.Close()
	door := s3.New(s3.Options{
		Region: tenon.DefaultRegion, BaseEndpoint: aws.String("http://" + r.listen), UsePathStyle: true, HTTPClient: r.http,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return r.account, nil }),
	})
	if _, err := door.CreateBucket(r.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		r.Fatal(err)
	}
	if _, err := door.PutObject(r.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: file}); err != nil {
		r.Fatal(err)
	}
}
