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
);
CREATE INDEX audit_log_by_actor ON audit_log (org_id, actor, seq);
CREATE INDEX audit_log_by_target ON audit_log (org_id, target_id, seq) WHERE target_id IS NOT NULL;

-- The newest row of each chain: who appends locks it until its transaction ends. Pages with room keep each new version of
-- the row beside the last one, without a write to the index.
CREATE TABLE audit_heads (
    org_id TEXT   NOT NULL PRIMARY KEY,
    seq    BIGINT NOT NULL,
    hash   TEXT   NOT NULL
) WITH (fillfactor = 10);

-- Against mistakes. Who may change the schema can take these away: that is what the hashes are for.
CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
CREATE TRIGGER audit_log_is_not_changed BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_log_is_append_only();
CREATE TRIGGER audit_log_is_not_emptied BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
CREATE TRIGGER audit_heads_go_on BEFORE UPDATE ON audit_heads
    FOR EACH ROW WHEN (NEW.org_id <> OLD.org_id OR NEW.seq <> OLD.seq + 1)
    EXECUTE FUNCTION audit_log_is_append_only();
CREATE TRIGGER audit_heads_are_not_deleted BEFORE DELETE ON audit_heads
    FOR EACH ROW EXECUTE FUNCTION audit_log_is_append_only();
CREATE TRIGGER audit_heads_are_not_emptied BEFORE TRUNCATE ON audit_heads
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();

ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_log FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_log
    USING (org_id = current_setting('vx11.org', true) OR current_setting('vx11.platform', true) = 'on');
ALTER TABLE audit_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_heads FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_heads
    USING (org_id = current_setting('vx11.org', true) OR current_setting('vx11.platform', true) = 'on');
