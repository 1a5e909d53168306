-- What calls back: jobs that SQL alone has submitted, and clients that wait for an end.

-- name: take_outbox
-- The oldest of them that no rival is taking, and which of those can still run: how soon, in which lane.
WITH oldest AS (
    SELECT job_id FROM outbox ORDER BY job_id LIMIT $1 FOR UPDATE SKIP LOCKED
), taken AS (
    DELETE FROM outbox USING oldest WHERE outbox.job_id = oldest.job_id RETURNING outbox.job_id
)
SELECT taken.job_id::text AS id, lane(jobs.queue, jobs.priority), extract(epoch FROM jobs.run_at - now())::double precision AS due_in
FROM taken LEFT JOIN jobs ON jobs.id = taken.job_id AND jobs.status IN ('SCHEDULED', 'PENDING', 'RETRYING');

-- name: ended
-- Which of these jobs are over? They are asked for again and again, by primary key.
SELECT id::text, status::text FROM jobs WHERE id = ANY($1::uuid[]) AND finished_at IS NOT NULL;
