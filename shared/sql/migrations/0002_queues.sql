-- Queues: each is a set of streams of its own, weighted by the consumers, paused here so that it survives the loss of Redis.

CREATE TABLE queues (
    name       text PRIMARY KEY,
    paused     boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO queues (name) SELECT 'default' UNION SELECT DISTINCT queue FROM jobs;

-- Where a job queues up; shared/keys.py has the same names.
CREATE FUNCTION lane(queue text, priority job_priority) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE queue WHEN 'default' THEN '' ELSE queue || ':' END || CASE priority WHEN 'high' THEN 'high' WHEN 'low' THEN 'low' ELSE 'normal' END
$$;

-- Still the only secondary index, now a range for each lane: the backlog of one must cost nothing when another is looked through.
-- None of its columns changes at a claim, so claims stay HOT.
DROP INDEX jobs_open;
CREATE INDEX jobs_open ON jobs (queue, priority, run_at) WHERE finished_at IS NULL;

-- Which queues a worker serves; empty: all.
ALTER TABLE leases ADD COLUMN queues text[] NOT NULL DEFAULT '{}';

-- A queue exists from its first job on, whoever inserted that.
CREATE OR REPLACE FUNCTION count_inserted_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_counts (queue, type, status, n) SELECT queue, type, status, count(*) FROM new_jobs GROUP BY 1, 2, 3;
    IF EXISTS (SELECT FROM new_jobs WHERE queue <> 'default') THEN
        INSERT INTO queues (name) SELECT DISTINCT queue FROM new_jobs WHERE queue NOT IN (SELECT name FROM queues) ORDER BY 1
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
