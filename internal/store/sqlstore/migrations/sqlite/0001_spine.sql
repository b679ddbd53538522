-- Sequence numbers, uids and versions are 64-bit and rise with time. Times are
-- milliseconds since 1970, 0 for none. Columns named body hold versioned JSON.

-- A ceiling above every sequence number ever stored; see Store.LastSeq.
CREATE TABLE sequence (id INTEGER PRIMARY KEY, ceiling INTEGER NOT NULL);
INSERT INTO sequence (id, ceiling) VALUES (1, 0);

-- Account and region, interned: they are part of every key.
CREATE TABLE scopes (
    id      INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    region  TEXT NOT NULL,
    UNIQUE (account, region)
);

CREATE TABLE workflows (
    uid      INTEGER PRIMARY KEY,
    scope    INTEGER NOT NULL,
    name     TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    body     BLOB    NOT NULL
);
CREATE UNIQUE INDEX workflows_name ON workflows (scope, name);

CREATE TABLE triggers (
    uid      INTEGER PRIMARY KEY,
    scope    INTEGER NOT NULL,
    name     TEXT    NOT NULL,
    workflow TEXT    NOT NULL,
    type     TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    body     BLOB    NOT NULL
);
CREATE UNIQUE INDEX triggers_name ON triggers (scope, name);
CREATE INDEX triggers_workflow ON triggers (scope, workflow, uid);

CREATE TABLE documents (
    uid      INTEGER PRIMARY KEY,
    scope    INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    tags     BLOB,
    body     BLOB    NOT NULL
);
CREATE UNIQUE INDEX documents_name ON documents (scope, kind, name);

CREATE TABLE snapshots (hash BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE runs (
    seq           INTEGER PRIMARY KEY,
    rand          BLOB    NOT NULL,
    version       INTEGER NOT NULL,
    scope         INTEGER NOT NULL,
    kind          TEXT    NOT NULL,
    workflow      INTEGER NOT NULL,
    workflow_name TEXT    NOT NULL,
    active        INTEGER NOT NULL,
    started       INTEGER NOT NULL,
    completed     INTEGER NOT NULL,
    snapshot      BLOB    NOT NULL,
    body          BLOB    NOT NULL
);
CREATE INDEX runs_workflow ON runs (workflow, seq) WHERE kind = 'workflow';
CREATE INDEX runs_active ON runs (scope, workflow) WHERE active = 1 AND kind = 'workflow';
CREATE INDEX runs_live ON runs (seq) WHERE active = 1;

-- Part -1 holds the properties of the run.
CREATE TABLE parts (
    run  INTEGER NOT NULL,
    part INTEGER NOT NULL,
    body BLOB    NOT NULL,
    PRIMARY KEY (run, part)
) WITHOUT ROWID;

CREATE TABLE attempts (
    base       INTEGER NOT NULL,
    n          INTEGER NOT NULL,
    rand       BLOB    NOT NULL,
    seq        INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    scope      INTEGER NOT NULL,
    job        INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    holds      INTEGER NOT NULL,
    run        INTEGER NOT NULL,
    node       INTEGER NOT NULL,
    boot       TEXT    NOT NULL,
    definition BLOB    NOT NULL,
    body       BLOB    NOT NULL,
    PRIMARY KEY (base, n)
) WITHOUT ROWID;
CREATE INDEX attempts_job ON attempts (job, seq);
-- The scope at the end lets counts of a scope stay within the index.
CREATE INDEX attempts_waiting ON attempts (job, seq, scope) WHERE state = 'WAITING';
CREATE INDEX attempts_holding ON attempts (job, seq, scope) WHERE holds = 1;
CREATE INDEX attempts_live ON attempts (base, n) WHERE holds = 1;

CREATE TABLE firings (
    owner INTEGER NOT NULL,
    cause TEXT    NOT NULL,
    at    INTEGER NOT NULL,
    PRIMARY KEY (owner, cause)
) WITHOUT ROWID;

CREATE TABLE timers (
    kind TEXT    NOT NULL,
    ref  TEXT    NOT NULL,
    due  INTEGER NOT NULL,
    PRIMARY KEY (kind, ref)
) WITHOUT ROWID;
CREATE INDEX timers_due ON timers (due, kind, ref);

CREATE TABLE outbox (
    seq   INTEGER PRIMARY KEY,
    key   TEXT    NOT NULL,
    kind  TEXT    NOT NULL,
    base  INTEGER NOT NULL,
    n     INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    low   INTEGER NOT NULL
);
CREATE UNIQUE INDEX outbox_key ON outbox (key);

CREATE TABLE replies (
    day  INTEGER NOT NULL,
    key  BLOB    NOT NULL,
    body BLOB    NOT NULL,
    PRIMARY KEY (day, key)
) WITHOUT ROWID;

-- Names and keys of objects are bytes: they need not be valid UTF-8.
CREATE TABLE buckets (name BLOB PRIMARY KEY, created INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE objects (
    bucket BLOB NOT NULL,
    key    BLOB NOT NULL,
    body   BLOB NOT NULL,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;

CREATE TABLE uploads (id BLOB PRIMARY KEY, bucket BLOB NOT NULL, key BLOB NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX uploads_key ON uploads (bucket, key, id);

CREATE TABLE upload_parts (
    upload BLOB    NOT NULL,
    number INTEGER NOT NULL,
    body   BLOB    NOT NULL,
    PRIMARY KEY (upload, number)
) WITHOUT ROWID;

CREATE TABLE contents (id BLOB PRIMARY KEY) WITHOUT ROWID;
