DROP TABLE madre_actions_log;
DROP TABLE power_policies;
DROP TABLE power_windows;
DROP TABLE plans;
