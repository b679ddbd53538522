package tenon

import (
	"testing"
	"time"

	"tenon/internal/blob"
	"tenon/internal/blob/blobtest"
	"tenon/internal/blob/fsblob"
	"tenon/internal/blob/indexed"
	"tenon/internal/store"
	"tenon/internal/store/memstore"
	"tenon/internal/store/sqlstore"
)

// TestObjectIndex holds the built-in object store, rows in the server's store and
// bytes in files, to the blob port.
func TestObjectIndex(t *testing.T) {
	stores := map[string]func(t *testing.T) store.Store{
		"memstore": func(*testing.T) store.Store { return memstore.New() },
		"sqlstore": func(t *testing.T) store.Store {
			s, err := sqlstore.Open(t.Context(), sqlstore.Config{Dir: t.TempDir(), Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			blobtest.Run(t, func(t *testing.T) blob.Store {
				rows := open(t)
				files, err := fsblob.Open(t.TempDir(), objectIndex{rows}, indexed.Config{Now: time.Now})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := files.Close(); err != nil {
						t.Error(err)
					}
					if err := rows.Close(); err != nil {
						t.Error(err)
					}
				})
				return files
			})
		})
	}
}
