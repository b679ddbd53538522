package python

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenon/internal/launch"
)

// spec/jobs §3.4, Python shell.
func TestScriptArguments(t *testing.T) {
	const loc = "s3://b/x.py"
	for _, c := range []struct {
		name   string
		spec   launch.Spec
		inject bool
		want   []string
	}{
		{name: "nothing given", want: []string{"--scriptLocation", loc}},
		{name: "special arguments stay, empty value is a lone key, order kept",
			spec: launch.Spec{Arguments: args("--enable-metrics", "", "--job-language", "python", "--S3_BUCKET", "b", "--TempDir", "s3://t")},
			want: []string{"--scriptLocation", loc, "--enable-metrics", "--job-language", "python", "--S3_BUCKET", "b", "--TempDir", "s3://t"}},
		{name: "3.9",
			spec: launch.Spec{Command: launch.Command{PythonVersion: "3.9"}, Arguments: args("--tenant_id", "r")},
			want: []string{"--scriptLocation", loc, "--python-version", "3.9", "--tenant_id", "r"}},
		{name: "3",
			spec: launch.Spec{Command: launch.Command{PythonVersion: "3"}},
			want: []string{"--scriptLocation", loc}},
		{name: "workflow; the service's values stand",
			spec: launch.Spec{Workflow: "w f", WorkflowRun: "wr_1", Arguments: args("--WORKFLOW_NAME", "other", "--x", "1")},
			want: []string{"--scriptLocation", loc, "--WORKFLOW_NAME", "w f", "--WORKFLOW_RUN_ID", "wr_1", "--x", "1"}},
		{name: "outside workflows the name is the user's",
			spec: launch.Spec{Arguments: args("--WORKFLOW_NAME", "other")},
			want: []string{"--scriptLocation", loc, "--WORKFLOW_NAME", "other"}},
		{name: "--scriptLocation overrides",
			spec: launch.Spec{Arguments: args("--a", "1", "--scriptLocation", "s3://c/y.py")},
			want: []string{"--scriptLocation", "s3://c/y.py", "--a", "1"}},
		{name: "keys as they are",
			spec: launch.Spec{Arguments: args("library-set", "none", "-c", "import os", "", "v", "--ü x", "$(id);\n\"'")},
			want: []string{"--scriptLocation", loc, "library-set", "none", "-c", "import os", "", "v", "--ü x", "$(id);\n\"'"}},
		{name: "ids injected", inject: true,
			spec: launch.Spec{JobName: "j", Attempt: "jr_1", Arguments: args("--a", "1")},
			want: []string{"--scriptLocation", loc, "--JOB_NAME", "j", "--JOB_RUN_ID", "jr_1", "--a", "1"}},
		{name: "the user's JOB_NAME stands", inject: true,
			spec: launch.Spec{JobName: "j", Attempt: "jr_1", Arguments: args("--JOB_NAME", "mine")},
			want: []string{"--scriptLocation", loc, "--JOB_RUN_ID", "jr_1", "--JOB_NAME", "mine"}},
		{name: "128 KiB less the NUL",
			spec: launch.Spec{Arguments: args("--a", strings.Repeat("x", argumentLimit))},
			want: []string{"--scriptLocation", loc, "--a", strings.Repeat("x", argumentLimit)}},
	} {
		c.spec.Command.ScriptLocation = loc
		got, err := scriptArguments(c.spec, c.inject)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestScriptArgumentsRefused(t *testing.T) {
	for _, c := range []struct {
		args []launch.Argument
		want string
	}{
		{args("--a", "x\x00y"), "The value of argument --a contains a NUL byte, which no program argument can hold."},
		{args("--a\x00", "x"), `The name of argument "--a\x00" contains a NUL byte, which no program argument can hold.`},
		{args("--a", strings.Repeat("x", argumentLimit+1)), "The value of argument --a is 131072 bytes long; a program argument can hold at most 131071 bytes."},
	} {
		_, err := scriptArguments(launch.Spec{Arguments: c.args}, false)
		var refused *launch.PrepareError
		if !errors.As(err, &refused) || refused.Message != c.want {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

func args(pairs ...string) []launch.Argument {
	var all []launch.Argument
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, launch.Argument{Key: pairs[i], Value: pairs[i+1]})
	}
	return all
}
