-- One file holds everything. Every statement that reaches a tenant's rows names the tenant.
-- One more table per tenant, `search_<tenant>` (FTS5), is made when its first passage is indexed.

CREATE TABLE events (
  position INTEGER PRIMARY KEY AUTOINCREMENT, -- of the change feed; one writer at a time, so it is the commit order
  tenant   TEXT    NOT NULL,
  run      TEXT    NOT NULL,
  seq      INTEGER NOT NULL,
  hash     TEXT    NOT NULL,
  data     BLOB    NOT NULL,
  UNIQUE (tenant, run, seq)                   -- the fence
) STRICT;

CREATE TABLE content (
  tenant          TEXT NOT NULL,
  id              TEXT NOT NULL,
  kind            TEXT NOT NULL,
  owner           TEXT NOT NULL,
  confidentiality TEXT NOT NULL,
  at              TEXT NOT NULL,
  key             BLOB NOT NULL,              -- of the commitment; erased together with the bytes
  data            BLOB NOT NULL,
  UNIQUE (tenant, id)
) STRICT;

CREATE TABLE records (
  tenant TEXT NOT NULL,
  kind   TEXT NOT NULL,
  key    TEXT NOT NULL,
  etag   TEXT NOT NULL,
  body   TEXT NOT NULL,
  PRIMARY KEY (tenant, kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE passages (
  number          INTEGER PRIMARY KEY AUTOINCREMENT, -- row number in the tenant's FTS5 table; never given twice
  tenant          TEXT    NOT NULL,
  id              TEXT    NOT NULL,
  document        TEXT    NOT NULL,
  ordinal         INTEGER NOT NULL,
  collection      TEXT    NOT NULL,
  owner           TEXT    NOT NULL,
  vector          BLOB    NOT NULL,
  heading         TEXT    NOT NULL,
  text            TEXT    NOT NULL,
  UNIQUE (tenant, id)
) STRICT;

CREATE INDEX passages_by_document ON passages (tenant, document, ordinal);

-- Grows with every write to the tenant's passages, so that other processes drop what they hold in memory.
CREATE TABLE passage_versions (
  tenant  TEXT    NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE view_rows (
  tenant TEXT    NOT NULL,
  view   TEXT    NOT NULL,
  key    TEXT    NOT NULL,
  sort   TEXT    NOT NULL,
  owner  TEXT    NOT NULL,
  state  TEXT    NOT NULL,
  run    TEXT    NOT NULL,
  seq    INTEGER NOT NULL,
  body   BLOB    NOT NULL,
  PRIMARY KEY (tenant, view, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX view_rows_by_sort ON view_rows (tenant, view, sort);
CREATE INDEX view_rows_by_owner ON view_rows (tenant, view, owner, sort);
CREATE INDEX view_rows_by_state ON view_rows (view, state, sort);

CREATE TABLE checkpoints (
  name     TEXT    NOT NULL PRIMARY KEY,
  position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who was erased: nothing of them is written any more. Person is empty where it is the whole tenant.
CREATE TABLE barred (
  tenant TEXT NOT NULL,
  person TEXT NOT NULL,
  PRIMARY KEY (tenant, person)
) STRICT, WITHOUT ROWID;

-- Days for which a tenant keeps a class of content, where it differs from what the store was opened with.
CREATE TABLE retention (
  tenant TEXT    NOT NULL,
  kind   TEXT    NOT NULL,
  days   INTEGER NOT NULL,
  PRIMARY KEY (tenant, kind)
) STRICT, WITHOUT ROWID;

-- Content that must not go: of a person, a piece by its id, or '*' for all.
CREATE TABLE holds (
  tenant  TEXT NOT NULL,
  subject TEXT NOT NULL,
  name    TEXT NOT NULL,
  PRIMARY KEY (tenant, subject, name)
) STRICT, WITHOUT ROWID;
