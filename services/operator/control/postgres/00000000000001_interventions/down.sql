DROP TABLE intervention_events;
DROP TABLE idempotency_keys;
DROP TABLE intervention_decisions;
DROP TABLE intervention_counts;
DROP TABLE intervention_history;
DROP TABLE interventions;
