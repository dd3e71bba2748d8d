-- What people and programs did, and what they were refused: a chain of hashes for each organisation. Rows are added, and
-- neither changed nor removed; `vx11 audit verify` proves it.
CREATE TABLE audit_log (
    org_id         TEXT   NOT NULL,
    seq            BIGINT NOT NULL, -- from 1, without a gap
    at             TEXT   NOT NULL,
    actor          TEXT   NOT NULL,
    actor_kind     TEXT   NOT NULL,
    action         TEXT   NOT NULL,
    target_kind    TEXT,
    target_id      TEXT,
    outcome        TEXT   NOT NULL, -- allowed, refused or failed
    correlation_id TEXT,
    client         TEXT,
    details        TEXT   NOT NULL, -- JSON; hashed as it stands here
    hash           TEXT   NOT NULL, -- of the row before, the number, and all of the above
    PRIMARY KEY (org_id, seq)
) WITHOUT ROWID;
CREATE INDEX audit_log_by_actor ON audit_log (org_id, actor, seq);
CREATE INDEX audit_log_by_target ON audit_log (org_id, target_id, seq) WHERE target_id IS NOT NULL;

-- The newest row of each chain: who appends takes it from here, and in that moment nobody else does.
CREATE TABLE audit_heads (
    org_id TEXT   NOT NULL PRIMARY KEY,
    seq    BIGINT NOT NULL,
    hash   TEXT   NOT NULL
) WITHOUT ROWID;

-- Against mistakes. Who may change the schema can take these away: that is what the hashes are for.
CREATE TRIGGER audit_log_is_not_updated BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_log_is_not_deleted BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_heads_go_on BEFORE UPDATE ON audit_heads
WHEN NEW.org_id <> OLD.org_id OR NEW.seq <> OLD.seq + 1
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_heads_are_not_deleted BEFORE DELETE ON audit_heads
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
