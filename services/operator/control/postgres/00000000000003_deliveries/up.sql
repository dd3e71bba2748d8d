-- The outbox of webhooks: what callers are to be told, written with the change that it tells of.
CREATE TABLE webhook_deliveries (
    org_id       TEXT    NOT NULL,
    id           TEXT    NOT NULL, -- sent with each attempt, so that receivers know what they have; in order of time
    request_id   TEXT    NOT NULL,
    event        TEXT    NOT NULL,
    url          TEXT    NOT NULL,
    body         TEXT    NOT NULL, -- to the byte what is signed and sent
    state        TEXT    NOT NULL, -- pending, delivered or dead
    attempts     INTEGER NOT NULL, -- those begun; one that is under way is told from a later one by it
    next_at      TEXT    NOT NULL, -- while pending: when it is to be sent
    leased_until TEXT,             -- while it is being sent: when another replica may take it up
    last_error   TEXT,
    created_at   TEXT    NOT NULL,
    delivered_at TEXT,
    PRIMARY KEY (org_id, id)
);
CREATE INDEX webhook_deliveries_by_due_time ON webhook_deliveries (next_at, id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_by_state ON webhook_deliveries (org_id, state, id);
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (created_at) WHERE state <> 'pending';

ALTER TABLE webhook_deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_deliveries FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON webhook_deliveries
    USING (org_id = current_setting('vx11.org', true) OR current_setting('vx11.platform', true) = 'on');
