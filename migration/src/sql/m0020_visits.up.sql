-- Hours keep who came in them (part -1), and days their sessions by the hour (64 and more). What was
-- summed up before has neither: the job makes it anew from the facts.
TRUNCATE summarised, summary;
