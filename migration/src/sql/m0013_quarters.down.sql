CREATE INDEX user_link_user ON user_link (tenant_id, user_id);
DROP TABLE traffic_quarter;
DROP TABLE sales_quarter;
