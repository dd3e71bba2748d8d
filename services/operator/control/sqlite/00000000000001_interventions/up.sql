-- What people decide. Times are RFC 3339 UTC text of fixed width, so that text order is time order. Each row has its
-- organisation, and each index begins with it, but for what the sweeper of all organisations looks for.

CREATE TABLE interventions (
    org_id            TEXT     NOT NULL,
    request_id        TEXT     NOT NULL,
    uow_id            TEXT,
    intervention_type TEXT     NOT NULL,
    status            TEXT     NOT NULL,
    priority          SMALLINT NOT NULL, -- 0 is the most urgent
    assigned_to       TEXT,
    created_at        TEXT     NOT NULL,
    expires_at        TEXT,
    due_at            TEXT, -- when time itself changes it: it expires, is escalated, or a claim lapses
    ended_at          TEXT, -- when the wait was over
    version           BIGINT   NOT NULL,
    record            TEXT     NOT NULL, -- all of it, as JSON; the columns are what is searched
    PRIMARY KEY (org_id, request_id)
) WITHOUT ROWID;
CREATE INDEX interventions_by_urgency ON interventions (org_id, status, priority, created_at, request_id);
CREATE INDEX interventions_by_time ON interventions (org_id, status, created_at, request_id);
CREATE INDEX interventions_by_uow ON interventions (org_id, uow_id, created_at) WHERE uow_id IS NOT NULL;
CREATE INDEX interventions_by_pilot ON interventions (org_id, assigned_to, created_at) WHERE assigned_to IS NOT NULL;
CREATE INDEX interventions_by_due_time ON interventions (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX interventions_by_end ON interventions (ended_at) WHERE ended_at IS NOT NULL;

-- One row for each request that was decided, expired or closed.
CREATE TABLE intervention_history (
    org_id                  TEXT     NOT NULL,
    request_id              TEXT     NOT NULL,
    uow_id                  TEXT,
    status                  TEXT     NOT NULL,
    priority                SMALLINT NOT NULL,
    created_at              TEXT     NOT NULL,
    completed_at            TEXT     NOT NULL,
    resolution_time_seconds DOUBLE   NOT NULL,
    assigned_to             TEXT,
    action_reason           TEXT,
    archived_at             TEXT     NOT NULL,
    PRIMARY KEY (org_id, request_id)
) WITHOUT ROWID;
CREATE INDEX intervention_history_by_time ON intervention_history (org_id, completed_at, request_id);

-- Counts that are kept as rows change, so that to know them costs the same however many there are. One count is spread
-- over several rows, so that those who change it do not wait for each other; their sum is the count.
CREATE TABLE intervention_counts (
    org_id            TEXT     NOT NULL,
    intervention_type TEXT     NOT NULL,
    priority          SMALLINT NOT NULL,
    status            TEXT     NOT NULL,
    part              SMALLINT NOT NULL,
    requests          BIGINT   NOT NULL,
    PRIMARY KEY (org_id, intervention_type, priority, status, part)
) WITHOUT ROWID;
CREATE TABLE intervention_decisions (
    org_id   TEXT     NOT NULL,
    pilot_id TEXT     NOT NULL, -- or `system:timeout`
    part     SMALLINT NOT NULL,
    requests BIGINT   NOT NULL,
    seconds  DOUBLE   NOT NULL, -- from request to decision, added up
    PRIMARY KEY (org_id, pilot_id, part)
) WITHOUT ROWID;

-- What a client made with an `Idempotency-Key`: the same key brings the same answer.
CREATE TABLE idempotency_keys (
    org_id     TEXT NOT NULL,
    key        TEXT NOT NULL,
    digest     TEXT NOT NULL, -- SHA-256 of the body
    request_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (org_id, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);

-- What dashboards are told, in the order in which it was committed.
CREATE TABLE intervention_events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    org_id     TEXT NOT NULL,
    request_id TEXT NOT NULL,
    at         TEXT NOT NULL,
    old_status TEXT, -- absent for a new request
    new_status TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    version    BIGINT NOT NULL
);
CREATE INDEX intervention_events_by_org ON intervention_events (org_id, id);
CREATE INDEX intervention_events_by_request ON intervention_events (org_id, request_id, id);
