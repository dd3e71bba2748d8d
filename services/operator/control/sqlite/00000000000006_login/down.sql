DROP INDEX refresh_families_by_time;
DROP TABLE pilot_passwords;
ALTER TABLE pilots DROP COLUMN tokens_from;
