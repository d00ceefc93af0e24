DROP TABLE api_key;
DROP TABLE tenant;
DROP TABLE installation;
