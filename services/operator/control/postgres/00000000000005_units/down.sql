DROP TABLE guard_rules;
DROP TABLE unit_events;
DROP TABLE units;
