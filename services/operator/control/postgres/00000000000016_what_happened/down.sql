DROP TABLE performance_minutes;
DROP TABLE performance_logs;
DROP TABLE copilot_actions_log;
DROP TABLE turns;
DROP TABLE sessions;
