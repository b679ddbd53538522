package python

import (
	"fmt"
	"strings"

	"tenon/internal/launch"
)

// argumentLimit is Linux's MAX_ARG_STRLEN without the closing NUL: a longer
// argument fails in exec with nothing but "argument list too long" (spec/jobs §3.4).
const argumentLimit = 128<<10 - 1

// argument returns the value of the last argument called key.
func argument(spec launch.Spec, key string) (string, bool) {
	for i := len(spec.Arguments) - 1; i >= 0; i-- {
		if spec.Arguments[i].Key == key {
			return spec.Arguments[i].Value, true
		}
	}
	return "", false
}

// scriptLocation is where the script is read from: --scriptLocation overrides
// the command (spec/jobs §3.2).
func scriptLocation(spec launch.Spec) string {
	if v, _ := argument(spec, "--scriptLocation"); v != "" {
		return v
	}
	return spec.Command.ScriptLocation
}

// scriptArguments builds sys.argv[1:] as spec/jobs §3.4 has it: what the service
// adds, then every merged argument, special ones too, in the order given. An
// empty value leaves a lone key. A key that the service sets is not repeated,
// because Glue's arguments are a map.
func scriptArguments(spec launch.Spec, injectJobIDs bool) ([]string, error) {
	system := []launch.Argument{{Key: "--scriptLocation", Value: scriptLocation(spec)}}
	if spec.Command.PythonVersion == "3.9" {
		system = append(system, launch.Argument{Key: "--python-version", Value: "3.9"})
	}
	if spec.Workflow != "" {
		system = append(system,
			launch.Argument{Key: "--WORKFLOW_NAME", Value: spec.Workflow},
			launch.Argument{Key: "--WORKFLOW_RUN_ID", Value: spec.WorkflowRun})
	}
	if injectJobIDs {
		// Users set --JOB_NAME themselves all the time (spec/jobs §3.2); theirs stands.
		if _, given := argument(spec, "--JOB_NAME"); !given {
			system = append(system, launch.Argument{Key: "--JOB_NAME", Value: spec.JobName})
		}
		if _, given := argument(spec, "--JOB_RUN_ID"); !given {
			system = append(system, launch.Argument{Key: "--JOB_RUN_ID", Value: spec.Attempt})
		}
	}
	taken := make(map[string]bool, len(system))
	for _, a := range system {
		taken[a.Key] = true
	}
	all := system
	for _, a := range spec.Arguments {
		if !taken[a.Key] {
			all = append(all, a)
		}
	}
	argv := make([]string, 0, 2*len(all))
	for _, a := range all {
		if err := checkArgument(a); err != nil {
			return nil, err
		}
		argv = append(argv, a.Key)
		if a.Value != "" {
			argv = append(argv, a.Value)
		}
	}
	return argv, nil
}

func checkArgument(a launch.Argument) error {
	switch {
	case strings.ContainsRune(a.Key, 0):
		return refuse("The name of argument %s contains a NUL byte, which no program argument can hold.", quoteShort(a.Key))
	case strings.ContainsRune(a.Value, 0):
		return refuse("The value of argument %s contains a NUL byte, which no program argument can hold.", quoteShort(a.Key))
	case len(a.Key) > argumentLimit:
		return refuse("The name of argument %s is %d bytes long; a program argument can hold at most %d bytes.", quoteShort(a.Key), len(a.Key), argumentLimit)
	case len(a.Value) > argumentLimit:
		return refuse("The value of argument %s is %d bytes long; a program argument can hold at most %d bytes.", quoteShort(a.Key), len(a.Value), argumentLimit)
	}
	return nil
}

// refuse makes a PrepareError without a hidden cause.
func refuse(format string, args ...any) *launch.PrepareError {
	return &launch.PrepareError{Message: fmt.Sprintf(format, args...)}
}

// quoteShort shows a name as it is when it is harmless, quoted and cut when not.
func quoteShort(s string) string {
	const most = 100
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			return fmt.Sprintf("%q", s)
		}
	}
	return s
}
