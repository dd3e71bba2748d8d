-- What changes a count is a row of its own, and added to the count a moment later: a count that all change is written
-- once a second, not at each change.
CREATE TABLE intervention_count_changes (
    id                INTEGER  PRIMARY KEY NOT NULL,
    org_id            TEXT     NOT NULL,
    intervention_type TEXT     NOT NULL,
    priority          SMALLINT NOT NULL,
    came_from         TEXT, -- the status in which it was counted; NULL for a new request
    went_to           TEXT, -- the status in which it is counted now; NULL for one that is removed
    decided_by        TEXT, -- a pilot, or `system:timeout`, where this ended the wait by deciding
    seconds           DOUBLE -- from request to that decision
);

-- A count was spread over parts, so that those who changed it met less often.
ALTER TABLE intervention_counts RENAME TO counts_of_before;
CREATE TABLE intervention_counts (
    org_id            TEXT     NOT NULL,
    intervention_type TEXT     NOT NULL,
    priority          SMALLINT NOT NULL,
    status            TEXT     NOT NULL,
    requests          BIGINT   NOT NULL,
    PRIMARY KEY (org_id, intervention_type, priority, status)
) WITHOUT ROWID;
INSERT INTO intervention_counts (org_id, intervention_type, priority, status, requests)
    SELECT org_id, intervention_type, priority, status, sum(requests)
    FROM counts_of_before GROUP BY org_id, intervention_type, priority, status HAVING sum(requests) <> 0;
DROP TABLE counts_of_before;
ALTER TABLE intervention_decisions RENAME TO decisions_of_before;
CREATE TABLE intervention_decisions (
    org_id   TEXT   NOT NULL,
    pilot_id TEXT   NOT NULL, -- or `system:timeout`
    requests BIGINT NOT NULL,
    seconds  DOUBLE NOT NULL, -- from request to decision, added up
    PRIMARY KEY (org_id, pilot_id)
) WITHOUT ROWID;
INSERT INTO intervention_decisions (org_id, pilot_id, requests, seconds)
    SELECT org_id, pilot_id, sum(requests), sum(seconds) FROM decisions_of_before GROUP BY org_id, pilot_id;
DROP TABLE decisions_of_before;
