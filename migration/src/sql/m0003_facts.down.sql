DROP TABLE purchase;
DROP TABLE pageview;
DROP TABLE event;
DROP TABLE "user";
