package storetest

import (
	"errors"
	"time"

	"tenon/internal/store"
)

func firings(f *fixture) {
	fire := func(trigger int64, cause string, want bool) {
		f.Helper()
		f.write(func(tx store.Tx) error {
			fresh, err := tx.InsertFiring(trigger, cause, epoch)
			if err == nil && fresh != want {
				f.Errorf("firing of %d for %q is new: %t, want %t", trigger, cause, fresh, want)
			}
			return err
		})
	}
	fire(1, "wr_1", true)
	fire(1, "wr_1", false)
	fire(2, "wr_1", true)
	fire(1, "wr_2", true)
	fire(1, "wr_2", false)
}

func timers(f *fixture) {
	at := func(kind store.TimerKind, ref string, d time.Duration) store.Timer {
		return store.Timer{Kind: kind, Ref: ref, Due: epoch.Add(d)}
	}
	a, b, c := at(store.TimerQueue, "jr_a", 2*time.Second), at(store.TimerRetry, "jr_a", time.Second), at(store.TimerQueue, "x/y", 3*time.Second)
	f.in(func(tx store.Tx) { got(f, time.Time{})(tx.NextTimer()) })
	f.write(func(tx store.Tx) error {
		return errors.Join(tx.SetTimer(a), tx.SetTimer(b), tx.SetTimer(c))
	})
	f.in(func(tx store.Tx) {
		got(f, b.Due)(tx.NextTimer())
		got(f, []store.Timer{b, a, c})(tx.DueTimers(epoch.Add(time.Hour), 10))
		got(f, []store.Timer{b, a})(tx.DueTimers(epoch.Add(time.Hour), 2))
		got(f, []store.Timer{b, a})(tx.DueTimers(a.Due, 10)) // due at that very time
		got(f, []store.Timer{b})(tx.DueTimers(a.Due.Add(-time.Millisecond), 10))
		got(f, nil)(tx.DueTimers(epoch, 10))
	})
	b.Due = epoch.Add(time.Minute)
	f.write(func(tx store.Tx) error {
		return errors.Join(tx.SetTimer(b), tx.DeleteTimer(c.Key()), tx.DeleteTimer("queue/none"))
	})
	f.in(func(tx store.Tx) {
		got(f, a.Due)(tx.NextTimer())
		got(f, []store.Timer{a, b})(tx.DueTimers(epoch.Add(time.Hour), 10))
	})
	// Times are kept to the millisecond, and no timer comes early.
	f.write(func(tx store.Tx) error { return tx.SetTimer(at(store.TimerQueue, "jr_a", time.Nanosecond)) })
	f.in(func(tx store.Tx) {
		got(f, nil)(tx.DueTimers(epoch, 10))
		got(f, epoch.Add(time.Millisecond))(tx.NextTimer())
	})
}

func effect(seq int64, key string) store.Effect {
	return store.Effect{Seq: seq, Key: key, Kind: store.EffectLaunch, Attempt: store.AttemptKey{Base: seq, N: 1}, Owner: 7, Low: true}
}

func outbox(f *fixture) {
	stop := store.Effect{Seq: 3, Key: "stop/c", Kind: store.EffectStop, Attempt: store.AttemptKey{Base: 3}}
	f.write(func(tx store.Tx) error {
		return errors.Join(tx.AddEffect(effect(2, "launch/b")), tx.AddEffect(effect(1, "launch/a")), tx.AddEffect(stop))
	})
	f.in(func(tx store.Tx) {
		got(f, []store.Effect{effect(1, "launch/a"), effect(2, "launch/b"), stop})(tx.ListEffects(0, 10))
		got(f, []store.Effect{effect(2, "launch/b")})(tx.ListEffects(1, 1))
	})
	f.write(func(tx store.Tx) error {
		f.is(tx.AddEffect(effect(9, "launch/a")), store.ErrExists)
		return errors.Join(tx.DeleteEffect("launch/b"), tx.DeleteEffect("launch/none"))
	})
	f.in(func(tx store.Tx) { got(f, []store.Effect{effect(1, "launch/a"), stop})(tx.ListEffects(0, 10)) })
	f.write(func(tx store.Tx) error { return tx.AddEffect(effect(10, "launch/b")) }) // the key is free again
}

func replies(f *fixture) {
	k := store.Hash{1}
	f.write(func(tx store.Tx) error {
		absent(f)(tx.Reply(k, 5))
		return errors.Join(tx.PutReply(k, 5, []byte("five")), tx.PutReply(k, 6, []byte("six")))
	})
	f.in(func(tx store.Tx) {
		got(f, []byte("five"))(tx.Reply(k, 5))
		got(f, []byte("six"))(tx.Reply(k, 6))
		absent(f)(tx.Reply(k, 7))
		absent(f)(tx.Reply(store.Hash{2}, 5))
	})
	f.write(func(tx store.Tx) error {
		f.is(tx.PutReply(k, 5, []byte("again")), store.ErrExists)
		return nil
	})
	f.in(func(tx store.Tx) { got(f, []byte("five"))(tx.Reply(k, 5)) })
}
