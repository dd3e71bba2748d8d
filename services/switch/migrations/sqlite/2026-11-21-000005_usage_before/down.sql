DROP TRIGGER usage_days_go;
DROP TABLE usage_before;
