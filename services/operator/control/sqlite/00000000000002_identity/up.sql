-- Who may call. Times and organisations as in the first migration; secrets are here as hashes only, but for the keys
-- that sign.

-- Organisations. The first one keeps the installation; it is there from the beginning.
CREATE TABLE orgs (
    org_id     TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL, -- for people
    created_at TEXT NOT NULL,
    closed_at  TEXT -- from then on nothing of it is let in
) WITHOUT ROWID;
INSERT INTO orgs (org_id, name, created_at) VALUES ('default', 'default', '1970-01-01T00:00:00.000Z');

-- People.
CREATE TABLE pilots (
    org_id         TEXT NOT NULL,
    pilot_id       TEXT NOT NULL, -- such as `github:octocat`
    name           TEXT NOT NULL,
    email          TEXT,
    role           TEXT NOT NULL,
    created_at     TEXT NOT NULL,
    last_login     TEXT,
    oauth_provider TEXT,
    oauth_id       TEXT,
    disabled_at    TEXT,
    PRIMARY KEY (org_id, pilot_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX pilots_by_oauth_id ON pilots (org_id, oauth_provider, oauth_id) WHERE oauth_id IS NOT NULL;

-- Programs.
CREATE TABLE api_keys (
    id           TEXT NOT NULL PRIMARY KEY, -- a part of the key that is no secret
    org_id       TEXT NOT NULL,
    name         TEXT NOT NULL, -- for people
    subject      TEXT NOT NULL, -- who acts, in histories
    role         TEXT NOT NULL,
    scopes       TEXT NOT NULL, -- apart by spaces
    hash         TEXT NOT NULL, -- SHA-256 of the whole key
    created_at   TEXT NOT NULL,
    created_by   TEXT NOT NULL,
    expires_at   TEXT,
    last_used_at TEXT, -- to the minute
    revoked_at   TEXT
) WITHOUT ROWID;
CREATE INDEX api_keys_by_time ON api_keys (org_id, created_at, id);

-- What access tokens and cookies are made with: the platform's own. Who can read this can sign.
CREATE TABLE signing_keys (
    id         TEXT NOT NULL PRIMARY KEY,
    kind       TEXT NOT NULL,
    signs_from TEXT NOT NULL,
    secret     TEXT NOT NULL
) WITHOUT ROWID;

-- A login, and the tokens that followed each other in it.
CREATE TABLE refresh_families (
    org_id     TEXT NOT NULL,
    family_id  TEXT NOT NULL,
    pilot_id   TEXT NOT NULL,
    started_at TEXT NOT NULL,
    revoked_at TEXT,
    PRIMARY KEY (org_id, family_id)
) WITHOUT ROWID;
CREATE INDEX refresh_families_by_pilot ON refresh_families (org_id, pilot_id);
CREATE TABLE refresh_tokens (
    hash        TEXT NOT NULL PRIMARY KEY,
    org_id      TEXT NOT NULL,
    family_id   TEXT NOT NULL,
    expires_at  TEXT NOT NULL,
    replaced_at TEXT
) WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_family ON refresh_tokens (org_id, family_id);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);

-- Access tokens that are good no more; kept until they would have expired.
CREATE TABLE revoked_tokens (
    org_id     TEXT NOT NULL,
    jti        TEXT NOT NULL,
    good_until TEXT NOT NULL,
    PRIMARY KEY (org_id, jti)
) WITHOUT ROWID;
CREATE INDEX revoked_tokens_by_time ON revoked_tokens (good_until);
