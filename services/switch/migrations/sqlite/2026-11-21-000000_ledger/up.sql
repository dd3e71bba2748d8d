-- One row for each request that was let in. Costs are whole pico-dollars.
CREATE TABLE usage_ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
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
    latency_ms INTEGER NOT NULL
);

CREATE INDEX usage_ledger_by_time ON usage_ledger (timestamp);
