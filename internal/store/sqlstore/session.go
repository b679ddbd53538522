package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"tenon/internal/store"
)

// session runs statements on one connection, for one goroutine at a time. It
// sits on the driver itself: database/sql would add a lock, a conversion and
// several allocations to each of some thirty statements of a start.
type session struct {
	conn     driver.Conn
	dialect  dialect
	prepared []driver.Stmt
	args     []driver.NamedValue
	// fault is the first failure of the storage itself since reset. A function
	// that hides it from the writer fails all the same.
	fault error
}

// row is one row of a result: int64, string, []byte or nil.
type row []driver.Value

func (r row) int(i int) int64   { v, _ := r[i].(int64); return v }
func (r row) text(i int) string { v, _ := r[i].(string); return v }
func (r row) blob(i int) []byte { v, _ := r[i].([]byte); return v }
func (r row) bool(i int) bool   { return r.int(i) != 0 }

// Statements of every connection. A transaction of the writer is immediate: one
// that began as a reader could not always become a writer.
var (
	sqlBegin    = sql(`BEGIN IMMEDIATE`)
	sqlRead     = sql(`BEGIN`)
	sqlCommit   = sql(`COMMIT`)
	sqlRollback = sql(`ROLLBACK`)
	sqlSave     = sql(`SAVEPOINT f`)
	sqlRelease  = sql(`RELEASE f`)
	sqlUndo     = sql(`ROLLBACK TO f`)
)

// openSession opens a connection to a database file and sets it up.
func openSession(path string, pragmas ...string) (*session, error) {
	// A URI, because in a bare path the driver would take a question mark for the
	// beginning of options.
	dsn := (&url.URL{Scheme: "file", Path: path}).String()
	conn, err := (&sqlite.Driver{}).Open(dsn)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	c := &session{conn: conn, dialect: sqliteDialect, prepared: make([]driver.Stmt, len(texts))}
	for _, p := range pragmas {
		if err := c.script("PRAGMA " + p); err != nil {
			return nil, errors.Join(fmt.Errorf("set %s: %w", p, err), c.close())
		}
	}
	return c, nil
}

func (c *session) close() error {
	var errs []error
	for _, s := range c.prepared {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(append(errs, c.conn.Close())...)
}

func (c *session) statement(q statement) (driver.Stmt, error) {
	if s := c.prepared[q]; s != nil {
		return s, nil
	}
	s, err := c.conn.Prepare(c.dialect.bind(texts[q]))
	if err != nil {
		return nil, c.classify(err)
	}
	c.prepared[q] = s
	return s, nil
}

// bind lays out arguments in a slice that the next statement uses again: the
// driver copies them before it returns.
func (c *session) bind(args []any) []driver.NamedValue {
	c.args = c.args[:0]
	for i, a := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return c.args
}

// exec runs a statement and returns the number of rows it changed. Arguments are
// int64, string, []byte, bool or nil.
func (c *session) exec(q statement, args ...any) (int64, error) {
	s, err := c.statement(q)
	if err != nil {
		return 0, err
	}
	// The statements run under no context: one that is cancelled would roll back
	// the transaction of everybody in the group.
	res, err := s.(driver.StmtExecContext).ExecContext(context.Background(), c.bind(args))
	if err != nil {
		return 0, c.classify(err)
	}
	return res.RowsAffected()
}

// run runs a statement without arguments whose failure is not that of a function.
func (c *session) run(q statement) error {
	s, err := c.statement(q)
	if err != nil {
		return err
	}
	_, err = s.(driver.StmtExecContext).ExecContext(context.Background(), nil)
	return err
}

// script runs a text of one or more statements, unprepared.
func (c *session) script(text string) error {
	_, err := c.conn.(driver.ExecerContext).ExecContext(context.Background(), text, nil)
	return err
}

// query calls each for every row. The row is valid during the call; the strings
// and bytes in it are the caller's.
func (c *session) query(q statement, each func(row) error, args ...any) (err error) {
	s, err := c.statement(q)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), c.bind(args))
	if err != nil {
		return c.classify(err)
	}
	defer func() {
		if e := rows.Close(); e != nil && err == nil {
			err = c.classify(e)
		}
	}()
	dest := make(row, len(rows.Columns()))
	for {
		err := rows.Next(dest)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return c.classify(err)
		}
		if err := each(dest); err != nil {
			return err
		}
	}
}

// one calls each for the first row; none is ErrNotFound.
func (c *session) one(q statement, each func(row) error, args ...any) error {
	found := false
	err := c.query(q, func(r row) error {
		if found {
			return nil
		}
		found = true
		return each(r)
	}, args...)
	if err == nil && !found {
		return store.ErrNotFound
	}
	return err
}

// integer returns the first column of the first row, 0 without a row.
func (c *session) integer(q statement, args ...any) (n int64, err error) {
	err = c.query(q, func(r row) error { n = r.int(0); return nil }, args...)
	return n, err
}

// rollback ends the transaction if there still is one.
func (c *session) rollback() error {
	if !c.alive() {
		return nil
	}
	return c.run(sqlRollback)
}

// alive tells whether a transaction is open. SQLite ends one by itself after some
// failures, and a savepoint made then would quietly begin another.
func (c *session) alive() bool {
	if err := c.run(sqlRead); err != nil {
		return true // a transaction cannot begin within another
	}
	if err := c.run(sqlRollback); err != nil {
		return true // not closed: the caller's own rollback will say why
	}
	return false
}

// classify turns a broken unique key into ErrExists and remembers every other
// failure as a fault.
func (c *session) classify(err error) error {
	switch code(err) {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return store.ErrExists
	}
	if c.fault == nil {
		c.fault = err
	}
	return err
}

func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// ioFailed tells whether the system failed to write or flush, so that what lies
// on disk is not known.
func ioFailed(err error) bool { return code(err)&0xff == sqlite3.SQLITE_IOERR }
