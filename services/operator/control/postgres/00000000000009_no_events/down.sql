CREATE TABLE intervention_events (
    id         BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
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

ALTER TABLE intervention_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE intervention_events FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON intervention_events
    USING (org_id = current_setting('vx11.org', true) OR current_setting('vx11.platform', true) = 'on');
