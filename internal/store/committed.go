package store

import (
	"slices"
	"time"
)

// Empty tells whether a commit left nothing to do.
func (c *Committed) Empty() bool {
	return len(c.Effects) == 0 && len(c.Runs) == 0 && len(c.Attempts) == 0 && c.Wake.IsZero()
}

// AddRun notes that a run was inserted or changed.
func (c *Committed) AddRun(seq int64) {
	if !slices.Contains(c.Runs, seq) {
		c.Runs = append(c.Runs, seq)
	}
}

// AddAttempt notes that an attempt was inserted or changed.
func (c *Committed) AddAttempt(k AttemptKey) {
	if !slices.Contains(c.Attempts, k) {
		c.Attempts = append(c.Attempts, k)
	}
}

// AddWake notes that a timer was set for a time.
func (c *Committed) AddWake(due time.Time) {
	if c.Wake.IsZero() || due.Before(c.Wake) {
		c.Wake = due
	}
}

// DropEffect forgets an effect that was deleted in the transaction that added it.
func (c *Committed) DropEffect(key string) {
	c.Effects = slices.DeleteFunc(c.Effects, func(e Effect) bool { return e.Key == key })
}

// Append adds what a later transaction of the same commit left to do.
func (c *Committed) Append(later Committed) {
	c.Effects = append(c.Effects, later.Effects...)
	c.Runs = append(c.Runs, later.Runs...)
	c.Attempts = append(c.Attempts, later.Attempts...)
	if !later.Wake.IsZero() {
		c.AddWake(later.Wake)
	}
}
