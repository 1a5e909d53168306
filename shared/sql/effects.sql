-- Effects, checkpoints and progress. `owner` is the fence: the job, if that attempt under that live lease has it now. It is locked, so
-- that whoever takes the job away comes after us and sees what we wrote.

-- name: reserve
-- Ours, if it is new; what an earlier attempt left, if it is not; no row for who does not own the job. Repeatable.
WITH owner AS (
    SELECT id FROM jobs WHERE id = $1 AND status = 'PROCESSING' AND attempts = $2 AND lease_id = $3
       AND EXISTS (SELECT FROM leases WHERE leases.id = $3 AND dead_at IS NULL) FOR SHARE OF jobs
)
INSERT INTO effects AS known (job_id, key, attempt, lease_id) SELECT id, $4, $2, $3 FROM owner
ON CONFLICT (job_id, key) DO UPDATE SET key = excluded.key
RETURNING known.attempt, known.lease_id::text, known.began_at, known.done_at IS NOT NULL AS is_done, known.result;

-- name: take_over
-- An uncertain effect of attempt $5 becomes ours to run or to record. Repeatable.
WITH owner AS (
    SELECT id FROM jobs WHERE id = $1 AND status = 'PROCESSING' AND attempts = $2 AND lease_id = $3
       AND EXISTS (SELECT FROM leases WHERE leases.id = $3 AND dead_at IS NULL) FOR SHARE OF jobs
)
UPDATE effects SET attempt = $2, lease_id = $3, began_at = now() FROM owner
WHERE job_id = owner.id AND key = $4 AND attempt IN ($5, $2) AND done_at IS NULL
RETURNING key;

-- name: record
-- It happened. Fenced by the reservation, not by the job: also from a worker that has lost the job meanwhile this is the truth, unless
-- a later attempt took the effect over or a person has spoken.
UPDATE effects SET done_at = coalesce(done_at, now()), result = $5 WHERE job_id = $1 AND attempt = $2 AND lease_id = $3 AND key = $4
RETURNING key;

-- name: release
-- It did not happen.
DELETE FROM effects WHERE job_id = $1 AND attempt = $2 AND lease_id = $3 AND key = $4 AND done_at IS NULL RETURNING key;

-- name: effects_of
SELECT key, CASE WHEN done_at IS NOT NULL THEN 'done' WHEN status = 'PROCESSING' AND attempt = attempts THEN 'running' ELSE 'uncertain' END AS state,
       attempt, began_at, done_at, effects.result
FROM effects JOIN jobs ON jobs.id = job_id WHERE job_id = $1 ORDER BY began_at, key;

-- name: confirm
-- A person says that an uncertain effect happened. Not while the job runs: its attempt may be asking the same question.
WITH idle AS (SELECT id FROM jobs WHERE id = $1 AND status <> 'PROCESSING' FOR SHARE)
UPDATE effects SET done_at = now(), lease_id = NULL, result = $3 FROM idle WHERE job_id = idle.id AND key = $2 AND done_at IS NULL
RETURNING key;

-- name: deny
-- A person says that it did not happen: the next attempt runs it.
WITH idle AS (SELECT id FROM jobs WHERE id = $1 AND status <> 'PROCESSING' FOR SHARE)
DELETE FROM effects USING idle WHERE job_id = idle.id AND key = $2 AND done_at IS NULL
RETURNING key;

-- name: save_checkpoint
-- The claim brings it to the next attempt. No row for who does not own the job.
WITH owner AS (
    SELECT id FROM jobs WHERE id = $1 AND status = 'PROCESSING' AND attempts = $2 AND lease_id = $3
       AND EXISTS (SELECT FROM leases WHERE leases.id = $3 AND dead_at IS NULL) FOR SHARE OF jobs
)
INSERT INTO checkpoints (job_id, attempt, data) SELECT id, $2, $4 FROM owner
ON CONFLICT (job_id) DO UPDATE SET attempt = excluded.attempt, data = excluded.data, saved_at = now()
RETURNING job_id;

-- name: show_progress
-- Fenced. Touches no indexed column, so it stays HOT; the status stays, so nothing is counted. updated_at: a poller's ETag must change.
UPDATE jobs SET updated_at = now(), progress = json_build_object(
    'percent', report.percent, 'message', report.message, 'at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::double precision[], $5::text[]) AS report (id, attempt, lease_id, percent, message)
WHERE jobs.id = report.id AND status = 'PROCESSING' AND attempts = report.attempt AND jobs.lease_id = report.lease_id
RETURNING jobs.id::text;

-- name: show_free_progress
-- The same for all jobs at once, but for rows that others lock, whose ids it returns: one job must not hold up the others.
WITH report AS (
    SELECT * FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::double precision[], $5::text[]) AS report (id, attempt, lease, percent, message)
), owned AS (
    SELECT jobs.id FROM jobs JOIN report USING (id) WHERE status = 'PROCESSING' AND attempts = report.attempt AND lease_id = report.lease
), free AS (
    SELECT jobs.id FROM jobs JOIN report USING (id) WHERE status = 'PROCESSING' AND attempts = report.attempt AND lease_id = report.lease
    ORDER BY jobs.id FOR NO KEY UPDATE OF jobs SKIP LOCKED
), shown AS (
    UPDATE jobs SET updated_at = now(), progress = json_build_object(
        'percent', report.percent, 'message', report.message, 'at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    FROM report JOIN free USING (id) WHERE jobs.id = report.id
)
SELECT id::text FROM owned WHERE id NOT IN (SELECT id FROM free);
