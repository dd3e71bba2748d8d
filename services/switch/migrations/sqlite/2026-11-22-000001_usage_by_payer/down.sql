DROP INDEX usage_before_by_org;
DROP INDEX usage_days_by_key;
DROP INDEX usage_days_by_org;
