package memstore

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"tenon/internal/store"
)

func (t *tx) InsertFiring(trigger int64, cause string, _ time.Time) (bool, error) {
	if err := t.writes(); err != nil {
		return false, err
	}
	k := firingKey{trigger, cause}
	_, ok := t.firings[k]
	if !ok {
		t.firings.put(t, k, struct{}{})
	}
	return !ok, nil
}

// timerPlace orders timers by their time, which must go before the strings.
func timerPlace(x store.Timer) key {
	var due [8]byte
	binary.BigEndian.PutUint64(due[:], uint64(x.Due.UnixMilli())^(1<<63))
	return key{s: string(due[:]), t: string(x.Kind), u: x.Ref}
}

func (t *tx) SetTimer(x store.Timer) error {
	if err := t.DeleteTimer(x.Key()); err != nil {
		return err
	}
	// Rounded up, so that no timer comes early.
	x.Due = moment(x.Due.Add(time.Millisecond - 1))
	t.timers.put(t, x.Key(), x)
	t.timersDue.put(t, timerPlace(x), struct{}{})
	t.committed.AddWake(x.Due)
	return nil
}

func (t *tx) DeleteTimer(k string) error {
	if err := t.writes(); err != nil {
		return err
	}
	if x, ok := t.timers[k]; ok {
		t.timers.drop(t, k)
		t.timersDue.drop(t, timerPlace(x))
	}
	return nil
}

func (t *tx) DueTimers(now time.Time, limit int) (out []store.Timer, err error) {
	if err := t.reads(); err != nil {
		return nil, err
	}
	for k := range t.timersDue.from(key{}) {
		x := t.timers[k.t+"/"+k.u]
		if len(out) >= limit || x.Due.After(now) {
			break
		}
		out = append(out, x)
	}
	return out, nil
}

func (t *tx) NextTimer() (time.Time, error) {
	next, err := t.DueTimers(time.UnixMilli(math.MaxInt64), 1)
	if err != nil || len(next) == 0 {
		return time.Time{}, err
	}
	return next[0].Due, nil
}

func (t *tx) AddEffect(e store.Effect) error {
	if err := t.writes(); err != nil {
		return err
	}
	if _, ok := t.effectKeys[e.Key]; ok {
		return store.ErrExists
	}
	if _, ok := t.effects.get(key{a: e.Seq}); ok {
		return store.ErrExists
	}
	t.effects.put(t, key{a: e.Seq}, e)
	t.effectKeys.put(t, e.Key, e.Seq)
	t.committed.Effects = append(t.committed.Effects, e)
	return nil
}

func (t *tx) DeleteEffect(k string) error {
	if err := t.writes(); err != nil {
		return err
	}
	if seq, ok := t.effectKeys[k]; ok {
		t.effectKeys.drop(t, k)
		t.effects.drop(t, key{a: seq})
		t.committed.DropEffect(k)
	}
	return nil
}

func (t *tx) ListEffects(after int64, limit int) (out []store.Effect, err error) {
	if err := t.reads(); err != nil {
		return nil, err
	}
	for _, e := range t.effects.from(key{a: after + 1}) {
		if len(out) >= limit {
			break
		}
		out = append(out, e)
	}
	return out, nil
}

func (t *tx) Reply(k store.Hash, day int64) ([]byte, error) {
	return lookup(t, t.replies, replyKey{day, k})
}

func (t *tx) PutReply(k store.Hash, day int64, body []byte) error {
	if err := t.writes(); err != nil {
		return err
	}
	if _, ok := t.replies[replyKey{day, k}]; ok {
		return store.ErrExists
	}
	t.replies.put(t, replyKey{day, k}, slices.Clone(body))
	return nil
}
