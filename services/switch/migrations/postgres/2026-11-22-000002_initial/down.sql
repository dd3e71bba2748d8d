DROP TABLE usage_before;
DROP TABLE usage_days;
DROP FUNCTION keep_what_a_day_came_to;
DROP TABLE usage_ledger;
