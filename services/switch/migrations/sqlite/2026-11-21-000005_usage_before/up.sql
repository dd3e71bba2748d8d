-- What days came to that are no longer kept, for each key: a budget without an end counts them still.
CREATE TABLE usage_before (
    api_key TEXT NOT NULL,
    org TEXT NOT NULL,
    team TEXT NOT NULL,
    requests INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cost_high INTEGER NOT NULL,
    cost_low INTEGER NOT NULL,
    PRIMARY KEY (api_key, org, team)
) WITHOUT ROWID;

CREATE TRIGGER usage_days_go AFTER DELETE ON usage_days BEGIN
    INSERT INTO usage_before
    VALUES (old.api_key, old.org, old.team, old.requests, old.prompt_tokens, old.completion_tokens, old.cost_high, old.cost_low)
    ON CONFLICT (api_key, org, team) DO UPDATE SET
        requests = requests + excluded.requests,
        prompt_tokens = prompt_tokens + excluded.prompt_tokens,
        completion_tokens = completion_tokens + excluded.completion_tokens,
        cost_high = cost_high + excluded.cost_high,
        cost_low = cost_low + excluded.cost_low;
END;
