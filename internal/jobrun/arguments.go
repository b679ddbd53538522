package jobrun

import (
	"maps"
	"slices"
)

// Argument is one argument of a job, key as the user wrote it.
type Argument struct{ Key, Value string }

// Merge returns the arguments that the script sees: the job's defaults, overlaid
// by those of the run, overlaid by the job's non-overridable ones, key by key
// (spec/jobs §3.1). They are sorted by key, because AWS has no order and a fixed
// one is easier to live with.
func Merge(d Definition, run map[string]string) []Argument {
	all := make(map[string]string, len(d.DefaultArguments)+len(run)+len(d.NonOverridableArguments))
	maps.Copy(all, d.DefaultArguments)
	maps.Copy(all, run)
	maps.Copy(all, d.NonOverridableArguments)
	out := make([]Argument, 0, len(all))
	for _, k := range slices.Sorted(maps.Keys(all)) {
		out = append(out, Argument{k, all[k]})
	}
	return out
}

// MaxArgumentBytes bounds the arguments of a run (spec/jobs §1.4).
const MaxArgumentBytes = 260 << 10

// ArgumentBytes is the size of an argument map as it counts against MaxArgumentBytes.
func ArgumentBytes(m map[string]string) int {
	n := 0
	for k, v := range m {
		n += len(k) + len(v)
	}
	return n
}
