DROP TABLE traffic_minute;
DROP TABLE sales_minute;
