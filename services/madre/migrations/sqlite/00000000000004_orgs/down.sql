-- Plans of others cannot be told from the platform's any more: they end, as nothing was begun for them.
DELETE FROM plans WHERE org_id <> 'default';
ALTER TABLE plans DROP COLUMN org_id;
ALTER TABLE copilot_actions_log DROP COLUMN org_id;
