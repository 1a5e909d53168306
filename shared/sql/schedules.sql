-- Schedules, in the order of their lives: put, looked at, due, made.

-- name: now
SELECT now();

-- name: columns
name, cron, every_seconds, at, timezone, misfire, overlap, paused, template, next_at, last_tick, last_job_id::text, skipped_count, skipped_tick,
skipped_reason, created_at, updated_at

-- name: impatient
-- A producer that freezes with a schedule locked must not hold back its ticks.
SET LOCAL idle_in_transaction_session_timeout = '5s';

-- name: put
INSERT INTO schedules (name, cron, every_seconds, at, timezone, misfire, overlap, paused, template, next_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (name) DO UPDATE SET
    cron = excluded.cron, every_seconds = excluded.every_seconds, at = excluded.at, timezone = excluded.timezone, misfire = excluded.misfire,
    overlap = excluded.overlap, paused = excluded.paused, template = excluded.template, next_at = excluded.next_at, updated_at = now();

-- name: set_paused
UPDATE schedules SET paused = $2, next_at = $3, updated_at = now() WHERE name = $1;

-- name: delete
-- What it has made stays, and so does the note which tick made what.
DELETE FROM schedules WHERE name = $1 RETURNING name;

-- name: last_jobs
-- What became of the last job of each; it may be gone already.
SELECT id::text, status::text FROM jobs WHERE id = ANY($1::uuid[]);

-- name: due
-- Two schedulers never look at one schedule at a time; the later one finds that it is not due any more.
SELECT name, cron, every_seconds, at, timezone, misfire, overlap, template, next_at FROM schedules
WHERE next_at <= now() AND NOT paused AND name <> ALL($2::text[]) ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED;

-- name: next_due
-- Seconds until a scheduler has something to do.
SELECT extract(epoch FROM min(next_at) - now())::double precision FROM schedules
WHERE NOT paused AND name <> ALL($1::text[]);

-- name: busy
-- Which of these have a job that is not over? After `due`, in a statement of its own, so that it sees what a rival has just committed.
-- Older jobs than the newest ten can only be open when somebody replayed them.
SELECT DISTINCT newest.schedule
FROM unnest($1::text[]) AS asked (name)
CROSS JOIN LATERAL (SELECT job_id, schedule FROM schedule_runs WHERE schedule = asked.name ORDER BY tick DESC LIMIT 10) AS newest
JOIN jobs ON jobs.id = newest.job_id
WHERE jobs.finished_at IS NULL;

-- name: note_runs
-- The guard. Returns the jobs that may be made: those whose ticks have none.
INSERT INTO schedule_runs (job_id, schedule, tick)
SELECT job_id, schedule, tick FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS run (job_id, schedule, tick)
ON CONFLICT (schedule, tick) DO NOTHING
RETURNING job_id::text;

-- name: note_trigger
-- Under the lock of its schedule. Two triggers of one moment are told apart by a microsecond.
INSERT INTO schedule_runs (job_id, schedule, tick, triggered)
SELECT $1, $2, coalesce(max(tick) + interval '1 microsecond', now()), true FROM schedule_runs WHERE schedule = $2 AND tick >= now()
RETURNING tick;

-- name: note_last
UPDATE schedules SET last_tick = $2, last_job_id = $3 WHERE name = $1;

-- name: advance
-- On to the next tick, with what became of those that were due.
UPDATE schedules SET next_at = moved.next_at, last_tick = coalesce(moved.last_tick, schedules.last_tick),
    last_job_id = coalesce(moved.last_job_id, schedules.last_job_id), skipped_count = skipped_count + moved.skipped,
    skipped_tick = coalesce(moved.skipped_tick, schedules.skipped_tick), skipped_reason = coalesce(moved.reason, schedules.skipped_reason)
FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::uuid[], $5::bigint[], $6::timestamptz[], $7::text[])
     AS moved (name, next_at, last_tick, last_job_id, skipped, skipped_tick, reason)
WHERE schedules.name = moved.name;
