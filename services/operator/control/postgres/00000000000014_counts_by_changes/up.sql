-- What changes a count is a row of its own, and added to the count a moment later: whoever decides waits for nobody
-- who is counted alike, and a count that all change is written once a second, not at each change.
CREATE TABLE intervention_count_changes (
    id                BIGINT   PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    org_id            TEXT     NOT NULL,
    intervention_type TEXT     NOT NULL,
    priority          SMALLINT NOT NULL,
    came_from         TEXT, -- the status in which it was counted; NULL for a new request
    went_to           TEXT, -- the status in which it is counted now; NULL for one that is removed
    decided_by        TEXT, -- a pilot, or `system:timeout`, where this ended the wait by deciding
    seconds           DOUBLE PRECISION -- from request to that decision
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE intervention_count_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE intervention_count_changes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON intervention_count_changes
    USING (org_id = current_setting('vx11.org', true) OR current_setting('vx11.platform', true) = 'on');

-- A count was spread over parts, so that those who changed it met less often: these are put together.
SET LOCAL vx11.platform = 'on';
INSERT INTO intervention_counts (org_id, intervention_type, priority, status, part, requests)
    SELECT org_id, intervention_type, priority, status, -1, sum(requests)
    FROM intervention_counts GROUP BY org_id, intervention_type, priority, status HAVING sum(requests) <> 0;
DELETE FROM intervention_counts WHERE part <> -1;
ALTER TABLE intervention_counts DROP COLUMN part, ADD PRIMARY KEY (org_id, intervention_type, priority, status);
INSERT INTO intervention_decisions (org_id, pilot_id, part, requests, seconds)
    SELECT org_id, pilot_id, -1, sum(requests), sum(seconds) FROM intervention_decisions GROUP BY org_id, pilot_id;
DELETE FROM intervention_decisions WHERE part <> -1;
ALTER TABLE intervention_decisions DROP COLUMN part, ADD PRIMARY KEY (org_id, pilot_id);
SET LOCAL vx11.platform = 'off';
