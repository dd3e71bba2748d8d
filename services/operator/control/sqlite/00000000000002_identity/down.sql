DROP TABLE revoked_tokens;
DROP TABLE refresh_tokens;
DROP TABLE refresh_families;
DROP TABLE signing_keys;
DROP TABLE api_keys;
DROP TABLE pilots;
DROP TABLE orgs;
