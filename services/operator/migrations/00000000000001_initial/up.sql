-- Times are RFC 3339 UTC text of fixed width, so that text order is time order.

CREATE TABLE sessions (
    session_id       TEXT    NOT NULL PRIMARY KEY,
    created_at       TEXT    NOT NULL,
    last_activity_at TEXT    NOT NULL,
    turns            BIGINT  NOT NULL
);
CREATE INDEX sessions_by_activity ON sessions (last_activity_at);

-- One question and its answer.
CREATE TABLE turns (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    timestamp          TEXT    NOT NULL,
    session_id         TEXT    NOT NULL,
    correlation_id     TEXT    NOT NULL,
    message            TEXT    NOT NULL,
    extras             TEXT, -- what else the request held, as JSON: context, metadata, provider
    response           TEXT    NOT NULL,
    reasoning          TEXT,
    provider           TEXT    NOT NULL,
    model_used         TEXT    NOT NULL,
    status             TEXT    NOT NULL,
    degraded           BOOLEAN NOT NULL,
    fallback_source    TEXT,
    latency_ms         BIGINT  NOT NULL,
    prompt_tokens      BIGINT,
    completion_tokens  BIGINT
);
CREATE INDEX turns_by_session ON turns (session_id, id);
CREATE INDEX turns_by_correlation ON turns (correlation_id);

-- What was done, by whom, to what. The event stream is its tail.
CREATE TABLE copilot_actions_log (
    id             INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    timestamp      TEXT    NOT NULL,
    source         TEXT    NOT NULL,
    session_id     TEXT,
    correlation_id TEXT    NOT NULL,
    action         TEXT    NOT NULL,
    action_type    TEXT    NOT NULL,
    target         TEXT,
    status         TEXT    NOT NULL,
    mode           TEXT    NOT NULL,
    notes          TEXT
);
CREATE INDEX actions_by_correlation ON copilot_actions_log (correlation_id);
CREATE INDEX actions_by_time ON copilot_actions_log (timestamp);

CREATE TABLE performance_logs (
    id             INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    timestamp      TEXT    NOT NULL,
    correlation_id TEXT    NOT NULL,
    session_id     TEXT,
    endpoint       TEXT    NOT NULL,
    method         TEXT    NOT NULL,
    status_code    INTEGER NOT NULL,
    latency_ms     BIGINT  NOT NULL,
    provider       TEXT,
    degraded       BOOLEAN NOT NULL,
    error_type     TEXT
);
CREATE INDEX performance_by_time ON performance_logs (timestamp);

-- Mergeable summaries of performance_logs, one row a minute and writer, so that a query over a day reads at most
-- 1440 rows a writer however many requests there were. Written in the transaction that writes the rows they sum up.
CREATE TABLE performance_minutes (
    minute    TEXT NOT NULL,
    writer_id TEXT NOT NULL,
    summary   TEXT NOT NULL,
    PRIMARY KEY (minute, writer_id)
);
