-- What one organisation, or one key, has spent is looked for while a request of its waits. A day's sums are changed
-- often, and are new but once a day: so these cost a write next to nothing.
CREATE INDEX usage_days_by_org ON usage_days (org, day);
CREATE INDEX usage_days_by_key ON usage_days (api_key, day);
CREATE INDEX usage_before_by_org ON usage_before (org);
