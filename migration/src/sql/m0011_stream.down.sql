DROP TABLE stream_entry;
