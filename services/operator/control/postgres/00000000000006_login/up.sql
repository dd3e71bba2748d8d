-- Logging in.

-- When an ADMIN, or a stolen token, ended the sessions of a pilot: access tokens of before are good no more.
ALTER TABLE pilots ADD COLUMN tokens_from TEXT;

-- Passwords of those who have one here; apart from the pilots, so that no list of them holds a hash.
CREATE TABLE pilot_passwords (
    org_id   TEXT NOT NULL,
    pilot_id TEXT NOT NULL,
    hash     TEXT NOT NULL, -- Argon2id, with its cost and salt
    set_at   TEXT NOT NULL,
    PRIMARY KEY (org_id, pilot_id)
);

-- For the removal of those that are over.
CREATE INDEX refresh_families_by_time ON refresh_families (started_at);

-- The second wall, as in the first migration.
ALTER TABLE pilot_passwords ENABLE ROW LEVEL SECURITY;
ALTER TABLE pilot_passwords FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON pilot_passwords
    USING (org_id = current_setting('vx11.org', true) OR current_setting('vx11.platform', true) = 'on');
