-- Nobody keeps an id of the ledger, so one may be given out again: AUTOINCREMENT costs each commit a page.
CREATE TABLE new_ledger (
    id INTEGER PRIMARY KEY NOT NULL,
    timestamp TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    org TEXT NOT NULL,
    team TEXT NOT NULL,
    api_key TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    provider_model TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    estimated BOOLEAN NOT NULL,
    cost_picos INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    from_cache BOOLEAN NOT NULL DEFAULT FALSE,
    cache_written_tokens INTEGER NOT NULL DEFAULT 0
);
INSERT INTO new_ledger SELECT * FROM usage_ledger ORDER BY id;
DROP TABLE usage_ledger;
ALTER TABLE new_ledger RENAME TO usage_ledger;
CREATE INDEX usage_ledger_by_time ON usage_ledger (timestamp);
