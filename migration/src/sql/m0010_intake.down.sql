DROP TABLE receipt;
DROP TABLE quarantine;
DROP TABLE user_agent;
DROP TABLE event_schema;
DROP TABLE event_type;
