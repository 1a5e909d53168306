-- Which life of Redis the DLQ stream was last compared in: a server that comes back may have older files, or be another one.
ALTER TABLE epochs ADD COLUMN run_id text;
