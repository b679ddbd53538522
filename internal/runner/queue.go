package runner

import (
	"context"
	"sync"

	"tenon/internal/store"
)

// queue holds orders and the slots of this machine. Stops are taken at once;
// launches when a slot is free, round robin by owner, those of low priority last.
type queue struct {
	changed chan struct{} // has an element when take may have something new

	mu       sync.Mutex
	slots    int
	stops    []store.Effect
	lanes    [2]lanes // by priority
	attempts map[store.AttemptKey]*place
}

// place is where a launch stands. An attempt without a place is not this
// server's to launch.
type place struct {
	step   step
	slot   bool // it has one
	cancel context.CancelFunc
	stop   *store.Effect // came while it was handed over
	// seen and explained follow a launch that waits; see unexplained.
	seen, explained bool
}

type step int

const (
	queued step = iota
	taken
	preparing
	handing // the supervisor is being asked
	handedOver
	stopping // a stop came before the hand-over
)

// lanes are queues of launches by owner, served in turn.
type lanes struct {
	order []int64 // owners with launches, the next one first
	by    map[int64][]store.Effect
}

func newQueue(slots int) *queue {
	q := &queue{changed: make(chan struct{}, 1), slots: slots, attempts: map[store.AttemptKey]*place{}}
	for i := range q.lanes {
		q.lanes[i].by = map[int64][]store.Effect{}
	}
	return q
}

func (q *queue) signal() {
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

// add queues an order. A launch that is known already is not queued twice.
func (q *queue) add(e store.Effect) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.signal()
	if e.Kind == store.EffectStop {
		q.stops = append(q.stops, e)
		return
	}
	if _, ok := q.attempts[e.Attempt]; ok {
		return
	}
	q.attempts[e.Attempt] = &place{}
	q.push(e)
}

func (q *queue) push(e store.Effect) {
	l := &q.lanes[0]
	if e.Low {
		l = &q.lanes[1]
	}
	if len(l.by[e.Owner]) == 0 {
		l.order = append(l.order, e.Owner)
	}
	l.by[e.Owner] = append(l.by[e.Owner], e)
}

// again queues an order that failed. Its slot is given back.
func (q *queue) again(e store.Effect) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.signal()
	if e.Kind == store.EffectStop {
		q.stops = append(q.stops, e)
		return
	}
	p, ok := q.attempts[e.Attempt]
	if !ok {
		return
	}
	q.release(p)
	switch {
	case p.stop != nil:
		p.step, p.stop = stopping, nil
	case p.step != stopping:
		p.step, p.cancel, p.seen = queued, nil, false
	}
	q.push(e)
}

// take returns the next order that can be carried out.
func (q *queue) take() (store.Effect, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.stops) > 0 {
		e := q.stops[0]
		q.stops = q.stops[1:]
		return e, true
	}
	for i := range q.lanes {
		l := &q.lanes[i]
		for q.slots > 0 && len(l.order) > 0 {
			owner := l.order[0]
			e := l.by[owner][0]
			l.order = l.order[1:]
			if l.by[owner] = l.by[owner][1:]; len(l.by[owner]) > 0 {
				l.order = append(l.order, owner)
			} else {
				delete(l.by, owner)
			}
			p, ok := q.attempts[e.Attempt]
			if !ok {
				continue // it was stopped in the queue
			}
			if p.step == queued {
				p.step = taken
			}
			p.slot = true
			q.slots--
			return e, true
		}
	}
	return store.Effect{}, false
}

// preparing marks a launch as being prepared; false means that it was stopped.
func (q *queue) preparing(k store.AttemptKey, cancel context.CancelFunc) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	p, ok := q.attempts[k]
	if !ok || p.step == stopping {
		return false
	}
	p.step, p.cancel = preparing, cancel
	return true
}

// handOver marks a launch as on its way to the supervisor; false means that it
// was stopped.
func (q *queue) handOver(k store.AttemptKey) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	p, ok := q.attempts[k]
	if !ok || p.step == stopping {
		return false
	}
	p.step, p.cancel = handing, nil
	return true
}

// accepted marks a launch as the supervisor's, which can now be asked to stop it.
func (q *queue) accepted(k store.AttemptKey) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p, ok := q.attempts[k]
	if !ok {
		return
	}
	p.step = handedOver
	if p.stop != nil {
		q.stops = append(q.stops, *p.stop)
		p.stop = nil
		q.signal()
	}
}

func (q *queue) stopped(k store.AttemptKey) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	p, ok := q.attempts[k]
	return ok && p.step == stopping
}

type stopResult int

const (
	stoppedNothing   stopResult = iota // the supervisor has it, or nobody
	stoppedQueued                      // it left the queue; the caller ends it
	stoppedPreparing                   // its launch sees to it
)

// stop stops a launch that was not handed over. While the supervisor is being
// asked it does not know the attempt yet, and a stop that overtook the launch
// would end a run whose process is about to start: it waits.
func (q *queue) stop(e store.Effect) stopResult {
	k := e.Attempt
	q.mu.Lock()
	defer q.mu.Unlock()
	p, ok := q.attempts[k]
	if !ok {
		return stoppedNothing
	}
	switch p.step {
	case queued:
		delete(q.attempts, k)
		return stoppedQueued
	case taken, preparing, stopping:
		p.step = stopping
		if p.cancel != nil {
			p.cancel()
		}
		return stoppedPreparing
	case handing:
		p.stop = &e
		return stoppedPreparing
	}
	return stoppedNothing
}

// adopt gives a slot to an attempt that the supervisor runs already.
func (q *queue) adopt(k store.AttemptKey) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.attempts[k]; ok {
		return
	}
	q.attempts[k] = &place{step: handedOver, slot: true}
	q.slots--
}

// free gives the slot of an attempt back. Repeating it changes nothing.
func (q *queue) free(k store.AttemptKey) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p, ok := q.attempts[k]
	if !ok {
		return
	}
	delete(q.attempts, k)
	if q.release(p) {
		q.signal()
	}
}

// release gives the slot of a place back, if it has one.
func (q *queue) release(p *place) bool {
	if !p.slot {
		return false
	}
	p.slot = false
	q.slots++
	return true
}

// unexplained returns launches that wait for a slot since the last call at least
// and whose runs do not say so; more says that others will have to be told.
func (q *queue) unexplained() (keys []store.AttemptKey, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for k, p := range q.attempts {
		switch {
		case p.step != queued || p.explained:
		case p.seen:
			p.explained = true
			keys = append(keys, k)
		default:
			p.seen, more = true, true
		}
	}
	return keys, more
}

// holds tells whether an attempt has a place here.
func (q *queue) holds(k store.AttemptKey) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, ok := q.attempts[k]
	return ok
}
