package sqlstore

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

// A dialect is what differs between databases. The texts of statements do not:
// they keep to what every database here understands.
type dialect struct {
	name string
	// migrations is the folder of this database's schema, one numbered file a step.
	migrations string
	// bind rewrites the placeholders of a statement, which are question marks.
	bind func(text string) string
}

var sqliteDialect = dialect{name: "SQLite", migrations: "migrations/sqlite", bind: func(text string) string { return text }}

// A statement is an index into the registered texts; each connection prepares a
// text when it first runs it.
type statement int

var texts []string

func sql(text string) statement {
	texts = append(texts, text)
	return statement(len(texts) - 1)
}

//go:embed migrations
var migrationFiles embed.FS

// A migration is one step of the schema.
type migration struct {
	number   int
	name     string
	checksum string
	text     string
}

// ErrNewer is returned for a database that a later release has migrated.
var ErrNewer = errors.New("the database was written by a newer version of Tenon")

// readMigrations returns the steps in order. Files are named NNNN_name.sql, from
// 0001 without gaps.
func readMigrations(files fs.FS, dir string) ([]migration, error) {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	var out []migration
	for _, e := range entries {
		digits, name, _ := strings.Cut(strings.TrimSuffix(e.Name(), ".sql"), "_")
		number, err := strconv.Atoi(digits)
		if err != nil || number != len(out)+1 {
			return nil, fmt.Errorf("migration %s is out of order", e.Name())
		}
		text, err := fs.ReadFile(files, path.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		sum := sha256.Sum256(text)
		out = append(out, migration{number: number, name: name, checksum: hex.EncodeToString(sum[:]), text: string(text)})
	}
	return out, nil
}

// migrate brings the schema up to date. Each step commits together with its
// line in the table of migrations, so that a crash leaves a whole number of
// steps.
func migrate(c *session, steps []migration, now time.Time) error {
	err := c.script(`CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL)`)
	if err != nil {
		return fmt.Errorf("create table of migrations: %w", err)
	}
	var applied []migration
	err = c.query(qMigrations, func(r row) error {
		applied = append(applied, migration{number: int(r.int(0)), name: r.text(1), checksum: r.text(2)})
		return nil
	})
	if err != nil {
		return fmt.Errorf("read table of migrations: %w", err)
	}
	for i, a := range applied {
		switch {
		case i >= len(steps):
			return fmt.Errorf("%w: it has schema %d (%s), this binary knows %d", ErrNewer, a.number, a.name, len(steps))
		case a.number != steps[i].number || a.checksum != steps[i].checksum:
			return fmt.Errorf("migration %d (%s) of the database is not the one of this binary", a.number, a.name)
		}
	}
	for _, m := range steps[len(applied):] {
		if err := apply(c, m, now); err != nil {
			return fmt.Errorf("migration %d (%s): %w", m.number, m.name, err)
		}
	}
	return nil
}

func apply(c *session, m migration, now time.Time) error {
	if err := c.run(sqlBegin); err != nil {
		return err
	}
	err := c.script(m.text)
	if err == nil {
		_, err = c.exec(qMigrated, int64(m.number), m.name, m.checksum, now.UnixMilli())
	}
	if err == nil {
		err = c.run(sqlCommit)
	}
	if err != nil {
		return errors.Join(err, c.rollback())
	}
	return nil
}

var (
	qMigrations = sql(`SELECT number, name, checksum FROM migrations ORDER BY number`)
	qMigrated   = sql(`INSERT INTO migrations (number, name, checksum, applied_at) VALUES (?, ?, ?, ?)`)
)
