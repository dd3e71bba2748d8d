-- Before, all was the platform's. Conversations of others keep apart from its own by their names.

DROP INDEX turns_by_session;
UPDATE turns SET session_id = org_id || '/' || session_id WHERE org_id <> 'default';
ALTER TABLE turns DROP COLUMN org_id;
CREATE INDEX turns_by_session ON turns (session_id, id);

DROP INDEX actions_of_tenants;
UPDATE copilot_actions_log SET session_id = org_id || '/' || session_id WHERE org_id <> 'default';
ALTER TABLE copilot_actions_log DROP COLUMN org_id;

UPDATE performance_logs SET session_id = org_id || '/' || session_id WHERE org_id <> 'default';
ALTER TABLE performance_logs DROP COLUMN org_id;

CREATE TABLE old_sessions (
    session_id       TEXT    NOT NULL PRIMARY KEY,
    created_at       TEXT    NOT NULL,
    last_activity_at TEXT    NOT NULL,
    turns            BIGINT  NOT NULL
) WITHOUT ROWID;
INSERT INTO old_sessions
    SELECT CASE org_id WHEN 'default' THEN session_id ELSE org_id || '/' || session_id END,
           created_at, last_activity_at, turns
    FROM sessions;
DROP TABLE sessions;
ALTER TABLE old_sessions RENAME TO sessions;
CREATE INDEX sessions_by_activity ON sessions (last_activity_at);

-- A writer's sums of one minute and several organisations stay apart, as those of several writers.
CREATE TABLE old_performance_minutes (
    minute    TEXT NOT NULL,
    writer_id TEXT NOT NULL,
    summary   TEXT NOT NULL,
    PRIMARY KEY (minute, writer_id)
);
INSERT INTO old_performance_minutes
    SELECT minute, CASE org_id WHEN 'default' THEN writer_id ELSE org_id || '/' || writer_id END, summary
    FROM performance_minutes;
DROP TABLE performance_minutes;
ALTER TABLE old_performance_minutes RENAME TO performance_minutes;
