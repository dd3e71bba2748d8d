ALTER TABLE usage_ledger DROP COLUMN from_cache;
