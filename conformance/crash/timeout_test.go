//go:build linux

package crash

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
)

// TestTimeoutWhileDown ends the server and lets a job exceed its timeout
// meanwhile: it is ended in time, and the next server says so (G17, invariant 27).
// The shortest timeout there is takes a minute, during which other tests run.
func TestTimeoutWhileDown(t *testing.T) {
	if testing.Short() {
		return // the suite of launch/local has timeouts of milliseconds
	}
	r := newRig(t)
	r.start()
	slow := job{name: "slow", wait: time.Hour}
	r.define("s3://scripts/none.py", shape{name: "slow", jobs: []job{slow}, triggers: []trigger{{starts: []string{slow.name}}}})
	run := must(r, r.glue.StartJobRun, &glue.StartJobRunInput{JobName: &slow.name, Timeout: aws.Int32(1)})
	id := *run.JobRunId
	var started life
	r.until("the job runs", func() bool {
		lives := r.read().starts[id]
		if len(lives) > 0 {
			started = lives[0]
		}
		return len(lives) > 0
	})
	r.stop()
	t.Parallel()

	r.until("the job is ended", func() bool { return !started.alive() })
	r.start()
	var got types.JobRun
	r.until("the run has ended", func() bool {
		got = *must(r, r.glue.GetJobRun, &glue.GetJobRunInput{JobName: &slow.name, RunId: &id}).JobRun
		return got.CompletedOn != nil
	})
	if got.JobRunState != types.JobRunStateTimeout {
		t.Errorf("the run ended %s, %q", got.JobRunState, aws.ToString(got.ErrorMessage))
	}
	if got.ExecutionTime < 60 || got.ExecutionTime > 70 {
		t.Errorf("the run took %d s, and its timeout is 60", got.ExecutionTime)
	}
	r.stop()
	r.checkDrained()
}
