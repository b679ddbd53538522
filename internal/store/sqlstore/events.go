package sqlstore

import (
	"fmt"
	"strings"
	"time"

	"tenon/internal/store"
)

var qInsertFiring = sql(`INSERT INTO firings (owner, cause, at) VALUES (?, ?, ?) ON CONFLICT (owner, cause) DO NOTHING`)

func (t *tx) InsertFiring(trigger int64, cause string, at time.Time) (bool, error) {
	n, err := t.exec(qInsertFiring, trigger, cause, millis(at))
	return n > 0, err
}

var (
	qSetTimer    = sql(`INSERT INTO timers (kind, ref, due) VALUES (?, ?, ?) ON CONFLICT (kind, ref) DO UPDATE SET due = excluded.due`)
	qDeleteTimer = sql(`DELETE FROM timers WHERE kind = ? AND ref = ?`)
	qDueTimers   = sql(`SELECT kind, ref, due FROM timers WHERE due <= ? ORDER BY due, kind, ref LIMIT ?`)
	qNextTimer   = sql(`SELECT due FROM timers ORDER BY due LIMIT 1`)
)

func (t *tx) SetTimer(x store.Timer) error {
	// Rounded up, so that no timer comes early.
	due := x.Due.Add(time.Millisecond - 1).Truncate(time.Millisecond).UTC()
	t.committed.AddWake(due)
	_, err := t.exec(qSetTimer, string(x.Kind), x.Ref, due.UnixMilli())
	return err
}

func (t *tx) DeleteTimer(key string) error {
	kind, ref, ok := strings.Cut(key, "/")
	if !ok {
		return fmt.Errorf("timer key %q has no kind", key)
	}
	_, err := t.exec(qDeleteTimer, kind, ref)
	return err
}

func (t *tx) DueTimers(now time.Time, limit int) (out []store.Timer, err error) {
	err = t.query(qDueTimers, func(r row) error {
		out = append(out, store.Timer{Kind: store.TimerKind(r.text(0)), Ref: r.text(1), Due: time.UnixMilli(r.int(2)).UTC()})
		return nil
	}, now.UnixMilli(), int64(limit))
	return out, err
}

func (t *tx) NextTimer() (at time.Time, err error) {
	err = t.query(qNextTimer, func(r row) error { at = time.UnixMilli(r.int(0)).UTC(); return nil })
	return at, err
}

var (
	qAddEffect    = sql(`INSERT INTO outbox (seq, key, kind, base, n, owner, low) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`)
	qDeleteEffect = sql(`DELETE FROM outbox WHERE key = ?`)
	qListEffects  = sql(`SELECT seq, key, kind, base, n, owner, low FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?`)
)

func (t *tx) AddEffect(e store.Effect) error {
	err := t.insert(qAddEffect, e.Seq, e.Key, string(e.Kind), e.Attempt.Base, int64(e.Attempt.N), e.Owner, bit(e.Low))
	if err == nil {
		t.note(e.Seq)
		t.committed.Effects = append(t.committed.Effects, e)
	}
	return err
}

func (t *tx) DeleteEffect(key string) error {
	_, err := t.exec(qDeleteEffect, key)
	if err == nil {
		t.committed.DropEffect(key)
	}
	return err
}

func (t *tx) ListEffects(after int64, limit int) (out []store.Effect, err error) {
	err = t.query(qListEffects, func(r row) error {
		out = append(out, store.Effect{
			Seq: r.int(0), Key: r.text(1), Kind: store.EffectKind(r.text(2)),
			Attempt: store.AttemptKey{Base: r.int(3), N: int(r.int(4))}, Owner: r.int(5), Low: r.bool(6),
		})
		return nil
	}, after, int64(limit))
	return out, err
}

var (
	qReply    = sql(`SELECT body FROM replies WHERE day = ? AND key = ?`)
	qPutReply = sql(`INSERT INTO replies (day, key, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`)
)

func (t *tx) Reply(key store.Hash, day int64) ([]byte, error) { return t.body(qReply, day, key[:]) }

func (t *tx) PutReply(key store.Hash, day int64, body []byte) error {
	return t.insert(qPutReply, day, key[:], blob(body))
}
