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
