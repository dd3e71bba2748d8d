CREATE TABLE parcels (
    org_id TEXT NOT NULL,
    name   TEXT NOT NULL,
    grams  BIGINT NOT NULL,
    fragile BOOLEAN NOT NULL,
    note   TEXT,
    PRIMARY KEY (org_id, name)
);
ALTER TABLE parcels ENABLE ROW LEVEL SECURITY;
ALTER TABLE parcels FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON parcels
    USING (org_id = current_setting('vx11.org', true) OR current_setting('vx11.platform', true) = 'on');
