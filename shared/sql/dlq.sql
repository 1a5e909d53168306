-- The dead-letter queue as a whole: what is done to many letters at a time.

-- name: matching
-- Ids in [$1, $2) of dead jobs that are wanted, oldest first.
SELECT job_id::text FROM dead_letters {wanted} WHERE job_id >= $1 AND job_id < $2 AND {chosen} ORDER BY dead_letters.job_id LIMIT $3;

-- name: wanted
-- OFFSET 0: one look at a job by its id, for no more letters than it takes.
CROSS JOIN LATERAL (SELECT FROM jobs WHERE id = dead_letters.job_id AND {where} OFFSET 0) AS jobs

-- name: milestone
-- The id behind the next $3 letters; none, when there are fewer.
SELECT job_id::text FROM dead_letters WHERE job_id >= $1 AND job_id < $2 ORDER BY dead_letters.job_id OFFSET $3 LIMIT 1;

-- name: lock_letters
-- Of these jobs, those that still have a letter. Until the end of the transaction nobody else can replay or purge them.
SELECT job_id::text FROM dead_letters WHERE job_id = ANY($1::uuid[]) ORDER BY job_id FOR UPDATE;

-- name: purge
-- The end of dead jobs: row, letter, history. Wants the letters locked. Returns where they were in the DLQ stream.
WITH letters AS (
    SELECT job_id, entry_id FROM dead_letters WHERE job_id = ANY($1::uuid[])
), gone AS (
    DELETE FROM jobs USING letters WHERE jobs.id = letters.job_id AND jobs.status = 'FAILED' RETURNING jobs.id
)
SELECT gone.id::text, letters.entry_id FROM gone JOIN letters ON letters.job_id = gone.id;
