DROP TABLE copilot_actions_log;
DROP TABLE power_policies;
DROP TABLE power_windows;
DROP TABLE plans;
