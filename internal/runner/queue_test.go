package runner

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tenon/internal/store"
)

func order(owner, base int64, low bool) store.Effect {
	return store.Effect{Kind: store.EffectLaunch, Owner: owner, Attempt: store.AttemptKey{Base: base}, Low: low}
}

func takeAll(q *queue) (bases []int64) {
	for {
		e, ok := q.take()
		if !ok {
			return bases
		}
		bases = append(bases, e.Attempt.Base)
	}
}

// Slots go round robin by run, then first come; those of low priority last
// (DESIGN §5).
func TestQueueOrder(t *testing.T) {
	q := newQueue(100)
	for _, e := range []store.Effect{
		order(1, 11, false), order(1, 12, false), order(1, 13, false), order(2, 21, true), order(2, 22, true),
		order(3, 31, false), order(4, 41, true), order(3, 32, false), order(1, 11, false), // known already
	} {
		q.add(e)
	}
	if got, want := takeAll(q), []int64{11, 31, 12, 32, 13, 21, 41, 22}; !slices.Equal(got, want) {
		t.Errorf("took %v, want %v", got, want)
	}
}

// Stops overtake everything and need no slot.
func TestQueueStops(t *testing.T) {
	q := newQueue(0)
	q.add(order(1, 11, false))
	halt := store.Effect{Kind: store.EffectStop, Attempt: store.AttemptKey{Base: 11}}
	q.add(halt)
	if e, ok := q.take(); !ok || e != halt {
		t.Fatalf("took %v, %t", e, ok)
	}
	if got := q.stop(halt); got != stoppedQueued {
		t.Errorf("stop says %v", got)
	}
	if q.holds(halt.Attempt) || len(takeAll(q)) > 0 {
		t.Error("a stopped launch is still there")
	}
}

// Those that wait are told so once, and not in their first moment.
func TestQueueExplains(t *testing.T) {
	q := newQueue(1)
	q.add(order(1, 1, false))
	q.add(order(1, 2, false))
	q.take()
	if keys, more := q.unexplained(); len(keys) > 0 || !more {
		t.Errorf("at once: %v, %t", keys, more)
	}
	q.add(order(1, 3, false))
	if keys, more := q.unexplained(); !slices.Equal(keys, []store.AttemptKey{{Base: 2}}) || !more {
		t.Errorf("then: %v, %t", keys, more)
	}
	if keys, more := q.unexplained(); !slices.Equal(keys, []store.AttemptKey{{Base: 3}}) || more {
		t.Errorf("at last: %v, %t", keys, more)
	}
	if keys, more := q.unexplained(); len(keys) > 0 || more {
		t.Errorf("again: %v, %t", keys, more)
	}
}

// Whatever happens to launches, no more are out than there are slots, none is out
// twice, and every slot comes back in the end.
func TestQueueSlots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.IntRange(1, 4).Draw(t, "slots")
		q := newQueue(slots)
		out := map[store.AttemptKey]store.Effect{} // taken, and not given back
		known := map[store.AttemptKey]bool{}
		pick := func(what string) (store.AttemptKey, bool) {
			var keys []store.AttemptKey
			for k := range out {
				keys = append(keys, k)
			}
			if len(keys) == 0 {
				return store.AttemptKey{}, false
			}
			slices.SortFunc(keys, func(a, b store.AttemptKey) int { return int(a.Base - b.Base) })
			return rapid.SampledFrom(keys).Draw(t, what), true
		}
		next := int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				next++
				e := order(rapid.Int64Range(1, 3).Draw(t, "owner"), next, rapid.Bool().Draw(t, "low"))
				q.add(e)
				q.add(e)
				known[e.Attempt] = true
			},
			"take": func(t *rapid.T) {
				e, ok := q.take()
				if !ok {
					return
				}
				if e.Kind == store.EffectStop {
					q.stop(e)
					return
				}
				if _, twice := out[e.Attempt]; twice || !known[e.Attempt] {
					t.Fatalf("%v was handed out twice, or after its end", e.Attempt)
				}
				out[e.Attempt] = e
			},
			"go on": func(*rapid.T) {
				if k, ok := pick("attempt"); ok && q.preparing(k, func() {}) && q.handOver(k) {
					q.accepted(k)
				}
			},
			"fail": func(*rapid.T) {
				if k, ok := pick("attempt"); ok {
					e := out[k]
					delete(out, k)
					q.again(e)
				}
			},
			"stop": func(t *rapid.T) {
				if next == 0 {
					return
				}
				e := store.Effect{Kind: store.EffectStop, Attempt: store.AttemptKey{Base: rapid.Int64Range(1, next).Draw(t, "stopped")}}
				if q.stop(e) == stoppedQueued {
					delete(known, e.Attempt)
				}
			},
			"end": func(*rapid.T) {
				if k, ok := pick("attempt"); ok {
					delete(out, k)
					delete(known, k)
					q.free(k)
					q.free(k)
				}
			},
			"": func(t *rapid.T) {
				if len(out) > slots || q.slots != slots-len(out) {
					t.Fatalf("%d are out, %d of %d slots are free", len(out), q.slots, slots)
				}
			},
		})
		for k := range known {
			q.free(k)
		}
		if q.slots != slots || len(q.attempts) > 0 || len(takeAll(q)) > 0 {
			t.Fatalf("%d of %d slots came back, %d attempts are left", q.slots, slots, len(q.attempts))
		}
	})
}
