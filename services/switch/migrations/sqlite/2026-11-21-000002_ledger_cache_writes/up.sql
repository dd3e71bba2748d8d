-- Tokens of the prompt that the provider put into its cache.
ALTER TABLE usage_ledger ADD COLUMN cache_written_tokens INTEGER NOT NULL DEFAULT 0;
