-- What the ledger's rows of each day come to, so that nobody adds up millions of them. A cost is in two parts, cut at a
-- million pico-dollars, because SQLite's sums end at nine million dollars.
CREATE TABLE usage_days (
    day TEXT NOT NULL,
    api_key TEXT NOT NULL,
    org TEXT NOT NULL,
    team TEXT NOT NULL,
    model TEXT NOT NULL,
    requests INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cache_written_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    from_cache INTEGER NOT NULL,
    cost_high INTEGER NOT NULL,
    cost_low INTEGER NOT NULL,
    PRIMARY KEY (day, api_key, org, team, model)
) WITHOUT ROWID;

INSERT INTO usage_days
SELECT substr(timestamp, 1, 10), api_key, org, team, model, COUNT(*),
       SUM(prompt_tokens), SUM(cached_tokens), SUM(cache_written_tokens), SUM(completion_tokens), SUM(reasoning_tokens),
       SUM(estimated), SUM(from_cache), SUM(cost_picos / 1000000), SUM(cost_picos % 1000000)
FROM usage_ledger GROUP BY 1, 2, 3, 4, 5;
