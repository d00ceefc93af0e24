DROP TABLE user_alias;
DROP TABLE user_link;
