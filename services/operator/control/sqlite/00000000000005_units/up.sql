-- Units of work: what agents report, and what people stop. Times as in the tables of interventions.

CREATE TABLE units (
    org_id       TEXT   NOT NULL,
    uow_id       TEXT   NOT NULL,
    instance_id  TEXT   NOT NULL,
    status       TEXT   NOT NULL,
    created_at   TEXT   NOT NULL,
    heartbeat_at TEXT   NOT NULL, -- what counts: the record is not written for a heartbeat
    clock_at     TEXT,            -- from when silence counts, while it does
    ended_at     TEXT,            -- when its work was over
    version      BIGINT NOT NULL,
    record       TEXT   NOT NULL, -- all of it, as JSON; the columns are what is searched
    PRIMARY KEY (org_id, uow_id)
) WITHOUT ROWID;
CREATE INDEX units_by_time ON units (org_id, created_at, uow_id);
CREATE INDEX units_by_status ON units (org_id, status, created_at, uow_id);
CREATE INDEX units_by_instance ON units (org_id, instance_id, created_at, uow_id);
CREATE INDEX units_by_instance_and_status ON units (org_id, instance_id, status, created_at, uow_id);
CREATE INDEX units_by_clock ON units (clock_at) WHERE clock_at IS NOT NULL;
CREATE INDEX units_by_end ON units (ended_at) WHERE ended_at IS NOT NULL;

-- What happened to each, in the order in which it was committed.
CREATE TABLE unit_events (
    id     INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    org_id TEXT NOT NULL,
    uow_id TEXT NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX unit_events_by_unit ON unit_events (org_id, uow_id, id);

-- Rules that hold for every unit of an organisation.
CREATE TABLE guard_rules (
    org_id     TEXT NOT NULL,
    rule_id    TEXT NOT NULL,
    record     TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (org_id, rule_id)
) WITHOUT ROWID;
