-- What people and programs did, and what they were refused: a chain of hashes for each organisation. A row is added with the
-- change that it tells of, and linked into the chain a moment later. Nothing else is ever done to it;
-- `vx11 audit verify` proves it.
CREATE TABLE audit_log (
    id             INTEGER NOT NULL PRIMARY KEY,
    org_id         TEXT   NOT NULL,
    seq            BIGINT, -- from 1, without a gap; NULL until the row is linked
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
    written_at     TEXT   NOT NULL, -- tells for how long a row has waited to be linked
    -- Of the row before, the number, and all of the above but `id` and `written_at`; NULL until the row is linked.
    hash           TEXT
);
CREATE INDEX audit_log_by_org ON audit_log (org_id, id);
CREATE UNIQUE INDEX audit_log_chain ON audit_log (org_id, seq);
CREATE INDEX audit_log_unlinked ON audit_log (org_id, id) WHERE seq IS NULL;
CREATE INDEX audit_log_by_actor ON audit_log (org_id, actor, id);
CREATE INDEX audit_log_by_target ON audit_log (org_id, target_id, id) WHERE target_id IS NOT NULL;

-- The newest linked row of each chain: who links locks it until its transaction ends.
CREATE TABLE audit_heads (
    org_id TEXT   NOT NULL PRIMARY KEY,
    seq    BIGINT NOT NULL,
    hash   TEXT   NOT NULL
) WITHOUT ROWID;

-- Against mistakes: the one change that is allowed is a link where there was none. Who may change the schema can take these
-- away: that is what the hashes are for.
CREATE TRIGGER audit_log_is_only_linked BEFORE UPDATE ON audit_log WHEN NOT (
    OLD.seq IS NULL AND OLD.hash IS NULL AND NEW.seq IS NOT NULL AND NEW.hash IS NOT NULL
    AND (NEW.id, NEW.org_id, NEW.at, NEW.actor, NEW.actor_kind, NEW.action, NEW.target_kind, NEW.target_id,
         NEW.outcome, NEW.correlation_id, NEW.client, NEW.details, NEW.written_at)
    IS (OLD.id, OLD.org_id, OLD.at, OLD.actor, OLD.actor_kind, OLD.action, OLD.target_kind, OLD.target_id,
         OLD.outcome, OLD.correlation_id, OLD.client, OLD.details, OLD.written_at)
)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_log_is_not_deleted BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_heads_go_on BEFORE UPDATE ON audit_heads
WHEN NEW.org_id <> OLD.org_id OR NEW.seq <= OLD.seq
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_heads_are_not_deleted BEFORE DELETE ON audit_heads
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
