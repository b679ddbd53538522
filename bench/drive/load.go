package drive

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"tenon/bench/proc"
)

// Load is one measurement: Clients call Operation with Body until For has passed
// or Calls were made.
type Load struct {
	Operation string
	Body      []byte
	Clients   int
	For       time.Duration
	Calls     int // 0: bounded by time alone
}

// Result is what one measurement found.
type Result struct {
	Clients       int
	Calls         int
	Wall          time.Duration
	P50, P99, Max time.Duration
	ServerCPU     float64 // cores busy
	DriverCPU     float64 // cores busy
	Written       int64   // bytes that the server wrote to disk for one call
}

// Rate is in calls a second.
func (r Result) Rate() float64 {
	if r.Wall <= 0 {
		return 0
	}
	return float64(r.Calls) / r.Wall.Seconds()
}

// ServerTime is the server's CPU time for one call.
func (r Result) ServerTime() time.Duration {
	if r.Calls == 0 {
		return 0
	}
	return time.Duration(r.ServerCPU * float64(r.Wall) / float64(r.Calls))
}

// Run makes one measurement against s, whose processes are pids. A single failed
// call makes the measurement void: fast errors must not look like speed.
func Run(s Server, pids []int, l Load) (_ Result, err error) {
	conns := make([]*Conn, 0, l.Clients)
	defer func() {
		for _, c := range conns {
			err = errors.Join(err, c.Close())
		}
	}()
	for range l.Clients {
		c, err := Dial(s)
		if err != nil {
			return Result{}, err
		}
		conns = append(conns, c)
	}
	server, err := proc.CPU(pids...)
	if err != nil {
		return Result{}, err
	}
	written, err := proc.Written(pids...)
	if err != nil {
		return Result{}, err
	}
	driver := proc.Self()
	began := time.Now()
	samples, errs := l.run(conns, began.Add(l.For))
	r := Result{Clients: l.Clients, Wall: time.Since(began)}
	if err := errors.Join(errs...); err != nil {
		return Result{}, err
	}
	after, err := proc.CPU(pids...)
	if err != nil {
		return Result{}, err
	}
	bytes, err := proc.Written(pids...)
	if err != nil {
		return Result{}, err
	}
	r.ServerCPU = (after - server).Seconds() / r.Wall.Seconds()
	r.DriverCPU = (proc.Self() - driver).Seconds() / r.Wall.Seconds()
	var all Samples
	for _, s := range samples {
		all = append(all, s...)
	}
	r.Calls, r.P50, r.P99, r.Max = len(all), all.Quantile(0.5), all.Quantile(0.99), all.Quantile(1)
	if r.Calls > 0 {
		r.Written = (bytes - written) / int64(r.Calls)
	}
	return r, nil
}

// run lets every client call in a closed loop.
func (l Load) run(conns []*Conn, end time.Time) ([]Samples, []error) {
	samples, errs := make([]Samples, len(conns)), make([]error, len(conns))
	var made atomic.Int64
	var clients sync.WaitGroup
	for i, c := range conns {
		clients.Go(func() {
			for l.Calls == 0 || made.Add(1) <= int64(l.Calls) {
				began := time.Now()
				if began.After(end) {
					return
				}
				if _, err := c.Call(l.Operation, l.Body); err != nil {
					errs[i] = err
					made.Add(int64(l.Calls)) // the measurement is void, so it ends
					return
				}
				samples[i] = append(samples[i], time.Since(began))
			}
		})
	}
	clients.Wait()
	return samples, errs
}
