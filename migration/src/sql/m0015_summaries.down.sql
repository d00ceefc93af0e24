DROP INDEX user_alias_change;
ALTER TABLE user_alias DROP COLUMN change;
DROP TABLE user_number;
DROP TABLE summary;
DROP TABLE summarised;
