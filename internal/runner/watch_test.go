package runner

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"tenon/internal/launch"
	"tenon/internal/launch/fake"
	"tenon/internal/store/memstore"
)

// unwatchable is a supervisor that lists its attempts and cannot be watched.
type unwatchable struct {
	*fake.Supervisor
	asked int
}

func (u *unwatchable) Watch(context.Context, func([]launch.Fact)) error {
	u.asked++
	return launch.ErrClosed
}

// A supervisor that is gone as soon as it is watched does not keep a core busy.
func TestUnwatchableSupervisor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sup := &unwatchable{Supervisor: fake.New(time.Now, func(launch.Process) fake.Outcome { return fake.Outcome{} })}
		r := New(Config{Store: memstore.New(), Supervisor: sup, Slots: 1, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
		if sup.asked < 9 || sup.asked > 11 {
			t.Errorf("watched %d times in ten seconds", sup.asked)
		}
	})
}
