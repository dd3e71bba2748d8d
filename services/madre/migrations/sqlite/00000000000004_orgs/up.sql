-- Every row has its organisation; what is there already is the platform's own. A plan's approval is its plan's.
ALTER TABLE plans ADD COLUMN org_id TEXT NOT NULL DEFAULT 'default';
ALTER TABLE copilot_actions_log ADD COLUMN org_id TEXT NOT NULL DEFAULT 'default';
