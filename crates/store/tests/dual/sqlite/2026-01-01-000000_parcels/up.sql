CREATE TABLE parcels (
    org_id TEXT NOT NULL,
    name   TEXT NOT NULL,
    grams  BIGINT NOT NULL,
    fragile BOOLEAN NOT NULL,
    note   TEXT,
    PRIMARY KEY (org_id, name)
);
