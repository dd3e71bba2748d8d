CREATE TABLE old_sessions (
    session_id       TEXT    NOT NULL PRIMARY KEY,
    created_at       TEXT    NOT NULL,
    last_activity_at TEXT    NOT NULL,
    turns            BIGINT  NOT NULL
);
INSERT INTO old_sessions SELECT * FROM sessions ORDER BY session_id;
DROP TABLE sessions;
ALTER TABLE old_sessions RENAME TO sessions;
CREATE INDEX sessions_by_activity ON sessions (last_activity_at);

CREATE TABLE old_turns (
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
INSERT INTO old_turns SELECT * FROM turns ORDER BY id;
DROP TABLE turns;
ALTER TABLE old_turns RENAME TO turns;
CREATE INDEX turns_by_session ON turns (session_id, id);
CREATE INDEX turns_by_correlation ON turns (correlation_id);

CREATE TABLE old_actions_log (
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
INSERT INTO old_actions_log SELECT * FROM copilot_actions_log ORDER BY id;
DROP TABLE copilot_actions_log;
ALTER TABLE old_actions_log RENAME TO copilot_actions_log;
CREATE INDEX actions_by_correlation ON copilot_actions_log (correlation_id);
CREATE INDEX actions_by_time ON copilot_actions_log (timestamp);

CREATE TABLE old_performance_logs (
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
INSERT INTO old_performance_logs SELECT * FROM performance_logs ORDER BY id;
DROP TABLE performance_logs;
ALTER TABLE old_performance_logs RENAME TO performance_logs;
CREATE INDEX performance_by_time ON performance_logs (timestamp);
