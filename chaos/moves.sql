-- A log of every change of a row of `jobs`, in databases of chaos runs only. It commits, or is lost, with the change itself.

CREATE TABLE chaos_moves (
    seq       bigserial PRIMARY KEY,                       -- of one job: in the order of the changes, which its row lock makes
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    job       uuid NOT NULL,
    came_from job_status,                                  -- null: it is new
    went_to   job_status,                                  -- null: it was deleted
    before    integer,                                     -- attempts
    after     integer,
    lease     uuid,                                        -- that held it before
    next_lease uuid,
    digest    text,                                        -- of the result after it
    due       timestamptz                                  -- run_at after it
);

CREATE FUNCTION chaos_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_moves (job, went_to, after, next_lease, digest, due)
    SELECT id, status, attempts, lease_id, md5(result::text), run_at FROM new_jobs;
    RETURN NULL;
END $$;

CREATE FUNCTION chaos_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_moves (job, came_from, went_to, before, after, lease, next_lease, digest, due)
    SELECT new_jobs.id, old_jobs.status, new_jobs.status, old_jobs.attempts, new_jobs.attempts, old_jobs.lease_id, new_jobs.lease_id,
           md5(new_jobs.result::text), new_jobs.run_at
    FROM old_jobs JOIN new_jobs USING (id);
    RETURN NULL;
END $$;

CREATE FUNCTION chaos_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_moves (job, came_from, before, lease) SELECT id, status, attempts, lease_id FROM old_jobs;
    RETURN NULL;
END $$;

CREATE TRIGGER chaos_inserted AFTER INSERT ON jobs REFERENCING NEW TABLE AS new_jobs
    FOR EACH STATEMENT EXECUTE FUNCTION chaos_inserted();
CREATE TRIGGER chaos_updated AFTER UPDATE ON jobs REFERENCING OLD TABLE AS old_jobs NEW TABLE AS new_jobs
    FOR EACH STATEMENT EXECUTE FUNCTION chaos_updated();
CREATE TRIGGER chaos_deleted AFTER DELETE ON jobs REFERENCING OLD TABLE AS old_jobs
    FOR EACH STATEMENT EXECUTE FUNCTION chaos_deleted();
