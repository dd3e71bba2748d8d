-- Whether the answer came out of the gateway's response cache.
ALTER TABLE usage_ledger ADD COLUMN from_cache BOOLEAN NOT NULL DEFAULT FALSE;
