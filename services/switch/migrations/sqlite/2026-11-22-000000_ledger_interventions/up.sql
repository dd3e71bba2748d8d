-- The intervention that a request was held by, where a rule held it for a person.
ALTER TABLE usage_ledger ADD COLUMN intervention TEXT;
