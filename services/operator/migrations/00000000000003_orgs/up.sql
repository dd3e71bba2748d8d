-- Every row has its organisation. What is there already is the platform's own, `default`: nobody else could chat.

ALTER TABLE turns ADD COLUMN org_id TEXT NOT NULL DEFAULT 'default';
-- Two organisations may call a conversation the same. By its id first: new ones are in order of time, whosever they are,
-- so that a batch of rows shares pages of the index.
DROP INDEX turns_by_session;
CREATE INDEX turns_by_session ON turns (session_id, org_id, id);

ALTER TABLE copilot_actions_log ADD COLUMN org_id TEXT NOT NULL DEFAULT 'default';
-- Tenants find theirs without reading others'. The platform's own rows are not in it, and cost it nothing.
CREATE INDEX actions_of_tenants ON copilot_actions_log (org_id) WHERE org_id <> 'default';

ALTER TABLE performance_logs ADD COLUMN org_id TEXT NOT NULL DEFAULT 'default';

CREATE TABLE new_sessions (
    session_id       TEXT    NOT NULL,
    org_id           TEXT    NOT NULL,
    created_at       TEXT    NOT NULL,
    last_activity_at TEXT    NOT NULL,
    turns            BIGINT  NOT NULL,
    PRIMARY KEY (session_id, org_id)
) WITHOUT ROWID;
INSERT INTO new_sessions SELECT session_id, 'default', created_at, last_activity_at, turns
    FROM sessions ORDER BY session_id;
DROP TABLE sessions;
ALTER TABLE new_sessions RENAME TO sessions;
CREATE INDEX sessions_by_activity ON sessions (last_activity_at);
-- As of the trail: each turn moves its session in every index by activity.
CREATE INDEX sessions_of_tenants ON sessions (org_id, last_activity_at) WHERE org_id <> 'default';

-- One row a minute, organisation and writer.
CREATE TABLE new_performance_minutes (
    minute    TEXT NOT NULL,
    org_id    TEXT NOT NULL,
    writer_id TEXT NOT NULL,
    summary   TEXT NOT NULL,
    PRIMARY KEY (minute, org_id, writer_id)
);
INSERT INTO new_performance_minutes SELECT minute, 'default', writer_id, summary FROM performance_minutes;
DROP TABLE performance_minutes;
ALTER TABLE new_performance_minutes RENAME TO performance_minutes;
-- An organisation's day is as long to read with many others as alone. Only new minutes write to it.
CREATE INDEX minutes_by_org ON performance_minutes (org_id, minute);
