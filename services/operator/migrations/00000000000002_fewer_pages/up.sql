-- Each table and each index costs a commit at least one page, and so does AUTOINCREMENT (`sqlite_sequence`). What goes:
-- the row ids of sessions, AUTOINCREMENT, and most of what was indexed by time: rows are added as time goes, so that the
-- oldest are those with the smallest ids.

CREATE TABLE new_sessions (
    session_id       TEXT    NOT NULL PRIMARY KEY,
    created_at       TEXT    NOT NULL,
    last_activity_at TEXT    NOT NULL,
    turns            BIGINT  NOT NULL
) WITHOUT ROWID;
INSERT INTO new_sessions SELECT * FROM sessions ORDER BY session_id;
DROP TABLE sessions;
ALTER TABLE new_sessions RENAME TO sessions;
CREATE INDEX sessions_by_activity ON sessions (last_activity_at);

-- One question and its answer.
CREATE TABLE new_turns (
    id                 INTEGER PRIMARY KEY NOT NULL,
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
INSERT INTO new_turns SELECT * FROM turns ORDER BY id;
DROP TABLE turns;
ALTER TABLE new_turns RENAME TO turns;
CREATE INDEX turns_by_session ON turns (session_id, id);
CREATE INDEX turns_by_correlation ON turns (correlation_id);

-- What was done, by whom, to what. The event stream is its tail: an id is never given out twice, for which retention
-- leaves the newest row.
CREATE TABLE new_actions_log (
    id             INTEGER PRIMARY KEY NOT NULL,
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
INSERT INTO new_actions_log SELECT * FROM copilot_actions_log ORDER BY id;
-- Where the newest rows are gone already, a row keeps their ids from being given out again.
INSERT INTO new_actions_log (id, timestamp, source, correlation_id, action, action_type, status, mode)
    SELECT seq, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 'operator', 'migration', 'migrate', 'maintenance', 'ok', 'normal'
    FROM sqlite_sequence
    WHERE name = 'copilot_actions_log' AND seq > (SELECT coalesce(max(id), 0) FROM copilot_actions_log);
DROP TABLE copilot_actions_log;
ALTER TABLE new_actions_log RENAME TO copilot_actions_log;
CREATE INDEX actions_by_correlation ON copilot_actions_log (correlation_id);
-- One row in 256 marks the time of those around it.
CREATE INDEX actions_by_time ON copilot_actions_log (timestamp) WHERE id % 256 = 0;

CREATE TABLE new_performance_logs (
    id             INTEGER PRIMARY KEY NOT NULL,
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
INSERT INTO new_performance_logs SELECT * FROM performance_logs ORDER BY id;
DROP TABLE performance_logs;
ALTER TABLE new_performance_logs RENAME TO performance_logs;
