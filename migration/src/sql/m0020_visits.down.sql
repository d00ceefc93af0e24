-- What was summed up has parts that nobody knows then.
TRUNCATE summarised, summary;
