-- The outbox has a second way out beside webhooks: e-mail.
ALTER TABLE webhook_deliveries RENAME TO deliveries;
ALTER INDEX webhook_deliveries_pkey RENAME TO deliveries_pkey;
ALTER TABLE deliveries ADD COLUMN channel TEXT NOT NULL DEFAULT 'webhook'; -- or email; then `body` is what the mail is made of
DROP INDEX webhook_deliveries_by_due_time;
-- Each way has its own queue, so that one which is slow does not keep the other waiting.
CREATE INDEX deliveries_by_due_time ON deliveries (channel, next_at, id) WHERE state = 'pending';
ALTER INDEX webhook_deliveries_by_state RENAME TO deliveries_by_state;
ALTER INDEX webhook_deliveries_by_age RENAME TO deliveries_by_age;

-- Who gets e-mail. There are few of each organisation, and they are all looked at for each event.
CREATE TABLE email_subscriptions (
    org_id         TEXT     NOT NULL,
    id             TEXT     NOT NULL,
    recipient      TEXT     NOT NULL, -- an address, or `pilots`: those whom a request is meant for
    events         TEXT     NOT NULL, -- apart by spaces
    least_priority SMALLINT NOT NULL, -- as in interventions: 0 is the most urgent
    created_by     TEXT     NOT NULL,
    created_at     TEXT     NOT NULL,
    PRIMARY KEY (org_id, id)
);
ALTER TABLE email_subscriptions ENABLE ROW LEVEL SECURITY;
ALTER TABLE email_subscriptions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON email_subscriptions
    USING (org_id = current_setting('vx11.org', true) OR current_setting('vx11.platform', true) = 'on');

-- Whom a request that is escalated to a role is for, and who may decide.
CREATE INDEX pilots_by_role ON pilots (org_id, role, pilot_id);

-- What is learned from requests: who asks much, how pilots do, and whom a request suits.
ALTER TABLE interventions ADD COLUMN created_by TEXT; -- absent in rows of before
CREATE INDEX intervention_history_by_pilot ON intervention_history (org_id, assigned_to, completed_at)
    WHERE assigned_to IS NOT NULL;
CREATE TABLE pilot_routing (
    org_id      TEXT NOT NULL,
    pilot_id    TEXT NOT NULL,
    skills      TEXT NOT NULL, -- a line each
    hours_from  SMALLINT, -- the hours of the day in UTC in which the pilot works
    hours_until SMALLINT,
    updated_by  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    PRIMARY KEY (org_id, pilot_id)
);
ALTER TABLE pilot_routing ENABLE ROW LEVEL SECURITY;
ALTER TABLE pilot_routing FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON pilot_routing
    USING (org_id = current_setting('vx11.org', true) OR current_setting('vx11.platform', true) = 'on');
