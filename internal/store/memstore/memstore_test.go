package memstore

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tenon/internal/store"
	"tenon/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return New() })
}

// TestTimeout proves that a store waits on virtual time alone.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		s.Timeout = 5 * time.Second
		begin := time.Now()
		release := make(chan struct{})
		go func() {
			err := s.Write(context.Background(), func(tx store.Tx) error {
				<-release
				return tx.PutProperties(1, []byte("{}"))
			})
			if err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		err := s.Write(t.Context(), func(store.Tx) error { t.Error("the function ran"); return nil })
		if !errors.Is(err, store.ErrTimeout) || time.Since(begin) != 5*time.Second {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
		close(release)
		synctest.Wait()
	})
}
