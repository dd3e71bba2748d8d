-- Whose word it is that somebody is who it says it is: a provider is a name of the configuration, and subjects are an
-- issuer's. NULL until the pilot's next login.
ALTER TABLE pilots ADD COLUMN oauth_issuer TEXT;

-- For the filters of the audit log: what there is little or nothing of is found without a walk through all rows.
CREATE INDEX audit_log_by_action ON audit_log (org_id, action, id);
CREATE INDEX audit_log_by_outcome ON audit_log (org_id, outcome, id);
-- Where a span of time is short the planner takes this one, and sorts; where it is long, the key.
CREATE INDEX audit_log_by_time ON audit_log (org_id, at);
