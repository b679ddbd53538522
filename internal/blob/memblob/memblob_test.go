package memblob_test

import (
	"testing"
	"time"

	"tenon/internal/blob"
	"tenon/internal/blob/blobtest"
	"tenon/internal/blob/indexed"
	"tenon/internal/blob/memblob"
)

func TestConformance(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return memblob.New(indexed.Config{Now: time.Now}) })
}
