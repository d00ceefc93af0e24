DROP TABLE user_split;
