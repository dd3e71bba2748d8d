ALTER TABLE usage_ledger DROP COLUMN cache_written_tokens;
