package drive

import (
	"cmp"
	"slices"
	"time"
)

// Samples are durations of the same thing.
type Samples []time.Duration

// Quantile returns the smallest sample that at least the share q of all samples
// does not exceed; 0 without samples.
func (s Samples) Quantile(q float64) time.Duration { return quantile(s, q) }

// Median returns the middle sample.
func (s Samples) Median() time.Duration { return quantile(s, 0.5) }

// Median returns the middle one of values; 0 without values.
func Median(values []float64) float64 { return quantile(values, 0.5) }

func quantile[T cmp.Ordered](list []T, q float64) T {
	if len(list) == 0 {
		var zero T
		return zero
	}
	sorted := slices.Sorted(slices.Values(list))
	// Nearest rank, ceil(q·n), counted from 1.
	rank := int(q * float64(len(sorted)))
	if float64(rank) < q*float64(len(sorted)) {
		rank++
	}
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// MedianResult takes the median of every column of repeated measurements.
func MedianResult(list []Result) Result {
	column := func(f func(Result) float64) float64 {
		values := make([]float64, len(list))
		for i, r := range list {
			values[i] = f(r)
		}
		return Median(values)
	}
	duration := func(f func(Result) time.Duration) time.Duration {
		return time.Duration(column(func(r Result) float64 { return float64(f(r)) }))
	}
	if len(list) == 0 {
		return Result{}
	}
	// Rate is derived from calls and wall time, so it is kept as calls in a second.
	return Result{
		Clients: list[0].Clients, Calls: int(column(Result.Rate)), Wall: time.Second,
		P50:       duration(func(r Result) time.Duration { return r.P50 }),
		P99:       duration(func(r Result) time.Duration { return r.P99 }),
		Max:       duration(func(r Result) time.Duration { return r.Max }),
		ServerCPU: column(func(r Result) float64 { return r.ServerCPU }),
		DriverCPU: column(func(r Result) float64 { return r.DriverCPU }),
		Written:   int64(column(func(r Result) float64 { return float64(r.Written) })),
	}
}
