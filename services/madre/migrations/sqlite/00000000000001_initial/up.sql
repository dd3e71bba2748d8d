-- Times are RFC 3339 UTC text of fixed width, so that text order is time order.

-- A plan that waits, or waited, for a confirmation.
CREATE TABLE plans (
    id             INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    plan_id        TEXT   NOT NULL UNIQUE,
    correlation_id TEXT   NOT NULL,
    session_id     TEXT   NOT NULL,
    intent         TEXT   NOT NULL,
    confidence     DOUBLE NOT NULL,
    target         TEXT,
    risk           TEXT   NOT NULL,
    status         TEXT   NOT NULL,
    actions        TEXT   NOT NULL,
    work           TEXT   NOT NULL,
    result         TEXT,
    token_digest   TEXT   NOT NULL,
    created_at     TEXT   NOT NULL,
    updated_at     TEXT   NOT NULL,
    expires_at     TEXT   NOT NULL
);
CREATE INDEX plans_by_status ON plans (status, id);
CREATE INDEX plans_by_update ON plans (updated_at);

-- A time in which services run that the policy keeps off. `services_started` is written before they are started, so
-- that a crash in between cannot leave one running that nobody will stop.
CREATE TABLE power_windows (
    id                INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    window_id         TEXT NOT NULL UNIQUE,
    services          TEXT NOT NULL,
    services_started  TEXT NOT NULL,
    mode              TEXT NOT NULL,
    reason            TEXT NOT NULL,
    created_at        TEXT NOT NULL,
    deadline          TEXT,
    closed_at         TEXT
);
-- At most one is open.
CREATE UNIQUE INDEX one_open_window ON power_windows ((closed_at IS NULL)) WHERE closed_at IS NULL;
CREATE INDEX windows_by_close ON power_windows (closed_at);

CREATE TABLE power_policies (
    policy     TEXT    NOT NULL PRIMARY KEY,
    active     BOOLEAN NOT NULL,
    updated_at TEXT    NOT NULL
);

-- What was done, by whom, to what.
CREATE TABLE copilot_actions_log (
    id             INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    timestamp      TEXT NOT NULL,
    source         TEXT NOT NULL,
    session_id     TEXT,
    correlation_id TEXT NOT NULL,
    action         TEXT NOT NULL,
    action_type    TEXT NOT NULL,
    target         TEXT,
    status         TEXT NOT NULL,
    mode           TEXT NOT NULL,
    notes          TEXT
);
CREATE INDEX actions_by_correlation ON copilot_actions_log (correlation_id, id);
CREATE INDEX actions_by_time ON copilot_actions_log (timestamp);
