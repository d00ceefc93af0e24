ALTER TABLE user_agent DROP COLUMN device;
