-- Every move of a job, in the order of its life. Ids and fences come as arrays: a batch is one statement.
-- A fenced move names (id, attempt) pairs and the lease; what it returns was still ours. The fence stands in a CASE: in the open PostgreSQL
-- takes it to leave one row, and in a small table reads all of it, comparing each row with the whole batch, instead of looking up ids.

-- name: submit
-- (nothing) -> PENDING or SCHEDULED. Repeatable: a batch whose outcome is unknown is simply sent again. Returns what waits for its time.
WITH fresh AS (
    INSERT INTO jobs (id, type, queue, priority, payload, status, run_at, max_attempts, backoff, timeout_seconds, expires_at, tags,
                      idempotency_key, webhook_url)
    SELECT id, type, coalesce(queue, 'default'), coalesce(priority, 'normal'), payload,
           CASE WHEN coalesce(run_at > now(), delay > 0, false) THEN 'SCHEDULED' ELSE 'PENDING' END::job_status,
           greatest(run_at, now() + make_interval(secs => coalesce(delay, 0))),
           coalesce(max_attempts, 4), backoff, timeout, now() + make_interval(secs => expires_in), tags, idempotency_key, webhook_url
    FROM json_to_recordset($1)
         AS job (id uuid, type text, queue text, priority job_priority, payload json, delay double precision, run_at timestamptz,
                 max_attempts integer, backoff json, timeout double precision, expires_in double precision, tags text[],
                 idempotency_key text, webhook_url text)
    ON CONFLICT (id) DO NOTHING
    RETURNING id, status, run_at
)
SELECT id::text, extract(epoch FROM run_at - now())::double precision AS due_in FROM fresh WHERE status = 'SCHEDULED';

-- name: reserve_keys
-- Which of these idempotency keys are ours: new, expired, or already reserved for the same job by an earlier try.
INSERT INTO idempotency_keys AS known (key, fingerprint, job_id, expires_at)
SELECT key, fingerprint, job_id, now() + make_interval(secs => $4)
FROM unnest($1::text[], $2::bytea[], $3::uuid[]) AS wanted (key, fingerprint, job_id) ORDER BY key
ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, job_id = excluded.job_id, expires_at = excluded.expires_at
    WHERE known.expires_at <= now() OR known.job_id = excluded.job_id
RETURNING key;

-- name: find_keys
-- The jobs behind keys that others hold. A statement of its own: only so it sees what a rival has just committed.
SELECT key, fingerprint, job_id::text FROM idempotency_keys WHERE key = ANY($1::text[]);

-- name: claim
-- claim: PENDING, SCHEDULED, RETRYING (due) -> PROCESSING. Not for a dead lease, not for a type that this worker does not know, not with
-- $5 or more crashes.
UPDATE jobs SET status = 'PROCESSING', attempts = attempts + 1, lease_id = $2, worker = $3, started_at = now(), updated_at = now()
WHERE id = ANY($1::uuid[]) AND status IN ('PENDING', 'SCHEDULED', 'RETRYING') AND run_at <= now()
  AND (expires_at IS NULL OR expires_at > now()) AND type = ANY($4::text[]) AND crashes < $5
  AND EXISTS (SELECT FROM leases WHERE leases.id = $2 AND dead_at IS NULL)
RETURNING id::text, type, priority::text, payload, attempts, failures, max_attempts, backoff, timeout_seconds, cancel_requested,
    CASE WHEN attempts > 1 THEN (SELECT data FROM checkpoints WHERE job_id = jobs.id) END;

-- name: inspect
-- No move: why could these not be claimed?
SELECT jobs.id::text, jobs.type, jobs.status::text, jobs.priority::text, jobs.attempts, jobs.lease_id::text,
       extract(epoch FROM jobs.run_at - now())::double precision AS due_in,
       coalesce(jobs.expires_at <= now(), false) AS expired,
       leases.id IS NOT NULL AND leases.dead_at IS NULL AS lease_alive,
       jobs.crashes,
       EXISTS (SELECT FROM leases AS others WHERE others.dead_at IS NULL AND jobs.type = ANY(others.types)) AS served
FROM jobs LEFT JOIN leases ON leases.id = jobs.lease_id
WHERE jobs.id = ANY($1::uuid[]);

-- name: succeed
-- succeed: PROCESSING -> COMPLETED, fenced.
UPDATE jobs SET status = 'COMPLETED', result = won.result, finished_at = now(), updated_at = now(), lease_id = NULL, error = NULL
FROM unnest($1::uuid[], $2::integer[], $4::json[]) AS won (id, attempt, result)
WHERE jobs.id = won.id AND CASE WHEN status = 'PROCESSING' AND attempts = won.attempt AND lease_id = $3 THEN true END
RETURNING jobs.id::text;

-- name: retry
-- retry: PROCESSING -> RETRYING, fenced. Returns when each is due.
WITH moved AS (
    UPDATE jobs SET status = 'RETRYING', failures = failures + 1, run_at = now() + make_interval(secs => failed.delay),
                    error = failed.error, lease_id = NULL, updated_at = now()
    FROM unnest($1::uuid[], $2::integer[], $4::double precision[], $5::text[], $6::text[]) AS failed (id, attempt, delay, error, traceback)
    WHERE jobs.id = failed.id AND CASE WHEN status = 'PROCESSING' AND attempts = failed.attempt AND lease_id = $3 THEN true END
    RETURNING jobs.id, attempts, worker, started_at, failed.delay, failed.error, failed.traceback
), history AS (
    INSERT INTO attempts (job_id, attempt, worker, started_at, outcome, error, traceback)
    SELECT id, attempts, worker, started_at, 'failed', error, traceback FROM moved
)
SELECT id::text, delay AS due_in FROM moved;

-- name: snooze
-- snooze: PROCESSING -> SCHEDULED, fenced. Counts no failure. Returns when each is due.
WITH moved AS (
    UPDATE jobs SET status = 'SCHEDULED', run_at = now() + make_interval(secs => snoozed.delay), lease_id = NULL, updated_at = now()
    FROM unnest($1::uuid[], $2::integer[], $4::double precision[]) AS snoozed (id, attempt, delay)
    WHERE jobs.id = snoozed.id AND CASE WHEN status = 'PROCESSING' AND attempts = snoozed.attempt AND lease_id = $3 THEN true END
    RETURNING jobs.id, attempts, worker, started_at, snoozed.delay
), history AS (
    INSERT INTO attempts (job_id, attempt, worker, started_at, outcome) SELECT id, attempts, worker, started_at, 'snoozed' FROM moved
)
SELECT id::text, delay AS due_in FROM moved;

-- name: bury
-- bury: PROCESSING -> FAILED, fenced, and its dead letter in the same statement.
WITH moved AS (
    UPDATE jobs SET status = 'FAILED', failures = failures + 1, reason = failed.reason, error = failed.error,
                    finished_at = now(), lease_id = NULL, updated_at = now()
    FROM unnest($1::uuid[], $2::integer[], $4::text[], $5::text[], $6::text[]) AS failed (id, attempt, reason, error, traceback)
    WHERE jobs.id = failed.id AND CASE WHEN status = 'PROCESSING' AND attempts = failed.attempt AND lease_id = $3 THEN true END
    RETURNING jobs.id, type, attempts, worker, started_at, failed.reason, failed.error, failed.traceback
), history AS (
    INSERT INTO attempts (job_id, attempt, worker, started_at, outcome, error, traceback)
    SELECT id, attempts, worker, started_at, 'failed', error, traceback FROM moved
), letters AS (
    INSERT INTO dead_letters (job_id) SELECT id FROM moved
    ON CONFLICT (job_id) DO UPDATE SET dead_at = now(), entry_id = NULL
)
SELECT id::text, type, reason, error, attempts, now() AS dead_at FROM moved;

-- name: hand_back
-- hand_back: PROCESSING -> PENDING, fenced. Counts nothing: the worker stops, or has not begun it; the job is as before.
WITH moved AS (
    UPDATE jobs SET status = 'PENDING', lease_id = NULL, updated_at = now()
    FROM unnest($1::uuid[], $2::integer[]) AS unfinished (id, attempt)
    WHERE jobs.id = unfinished.id AND CASE WHEN status = 'PROCESSING' AND attempts = unfinished.attempt AND lease_id = $3 THEN true END
    RETURNING jobs.id, attempts, worker, started_at
), history AS (
    INSERT INTO attempts (job_id, attempt, worker, started_at, outcome) SELECT id, attempts, worker, started_at, 'handed_back' FROM moved
)
SELECT id::text FROM moved;

-- name: abort
-- abort: PROCESSING -> CANCELLED, fenced. The worker honours a cancel request.
WITH moved AS (
    UPDATE jobs SET status = 'CANCELLED', reason = 'cancelled', finished_at = now(), lease_id = NULL, updated_at = now()
    FROM unnest($1::uuid[], $2::integer[]) AS stopped (id, attempt)
    WHERE jobs.id = stopped.id AND CASE WHEN status = 'PROCESSING' AND attempts = stopped.attempt AND lease_id = $3 THEN true END
    RETURNING jobs.id, attempts, worker, started_at
), history AS (
    INSERT INTO attempts (job_id, attempt, worker, started_at, outcome) SELECT id, attempts, worker, started_at, 'cancelled' FROM moved
)
SELECT id::text FROM moved;

-- name: reclaim
-- reclaim: PROCESSING (lease dead) -> PENDING, or FAILED when it took too many workers with it. The old holder's fence is void from here on.
-- First looked for, then locked as they were seen: of a row that has changed while it was waited for PostgreSQL would join the new version with
-- the lease of the old one, find that they do not match, and call the lease of whoever has claimed the job by now missing.
WITH seen AS MATERIALIZED (
    SELECT jobs.id, jobs.attempts FROM jobs LEFT JOIN leases ON leases.id = jobs.lease_id
    WHERE jobs.id = ANY($1::uuid[]) AND jobs.status = 'PROCESSING' AND (leases.id IS NULL OR leases.dead_at IS NOT NULL)
), dead AS (
    SELECT jobs.id FROM jobs JOIN seen ON seen.id = jobs.id AND seen.attempts = jobs.attempts
    WHERE jobs.status = 'PROCESSING' ORDER BY jobs.id FOR UPDATE OF jobs
), moved AS (
    UPDATE jobs SET crashes = crashes + 1, lease_id = NULL, updated_at = now(),
        status = CASE WHEN crashes + 1 >= $2 THEN 'FAILED' ELSE 'PENDING' END::job_status,
        finished_at = CASE WHEN crashes + 1 >= $2 THEN now() END,
        reason = CASE WHEN crashes + 1 >= $2 THEN 'crashed' END,
        error = 'its worker ' || coalesce(worker, 'unknown') || ' died while running it'
    FROM dead WHERE jobs.id = dead.id AND jobs.status = 'PROCESSING'
    RETURNING jobs.id, type, status, queue, priority, attempts, worker, started_at, reason, error
), history AS (
    INSERT INTO attempts (job_id, attempt, worker, started_at, outcome, error)
    SELECT id, attempts, worker, started_at, 'lost', error FROM moved
), letters AS (
    INSERT INTO dead_letters (job_id) SELECT id FROM moved WHERE status = 'FAILED'
    ON CONFLICT (job_id) DO UPDATE SET dead_at = now(), entry_id = NULL
)
SELECT id::text, type, status::text, lane(queue, priority), reason, error, attempts, now() AS dead_at FROM moved;

-- name: cancel
-- cancel: SCHEDULED, PENDING, RETRYING -> CANCELLED. Its entry stays in the stream; the worker that meets it drops it.
UPDATE jobs SET status = 'CANCELLED', reason = 'cancelled', finished_at = now(), updated_at = now()
WHERE id = ANY($1::uuid[]) AND status IN ('SCHEDULED', 'PENDING', 'RETRYING')
RETURNING id::text;

-- name: request_cancel
-- No move: ask the worker that runs it to stop.
UPDATE jobs SET cancel_requested = true, updated_at = now() WHERE id = $1 AND status = 'PROCESSING' RETURNING id::text;

-- name: cancels_requested
-- No move: which of these running jobs were asked to stop?
SELECT id::text FROM jobs WHERE id = ANY($1::uuid[]) AND status = 'PROCESSING' AND cancel_requested;

-- name: expire
-- expire: SCHEDULED, PENDING, RETRYING -> CANCELLED once the start deadline passed.
UPDATE jobs SET status = 'CANCELLED', reason = 'expired', finished_at = now(), updated_at = now()
WHERE id = ANY($1::uuid[]) AND status IN ('SCHEDULED', 'PENDING', 'RETRYING') AND expires_at <= now()
RETURNING id::text;

-- name: defer
-- No move: it cannot run here now; look again later.
UPDATE jobs SET run_at = now() + make_interval(secs => $2), updated_at = now()
WHERE id = ANY($1::uuid[]) AND status IN ('SCHEDULED', 'PENDING', 'RETRYING') AND run_at <= now()
RETURNING id::text, $2::double precision AS due_in;

-- name: replay
-- replay: FAILED, CANCELLED -> PENDING under the same id. Budgets start anew, the attempt number never does. Returns its place in the DLQ stream.
WITH letters AS (
    DELETE FROM dead_letters WHERE job_id = ANY($1::uuid[]) RETURNING job_id, entry_id
), moved AS (
    UPDATE jobs SET status = 'PENDING', failures = 0, crashes = 0, run_at = now(), expires_at = NULL, finished_at = NULL,
                    cancel_requested = false, reason = NULL, error = NULL, updated_at = now()
    WHERE id = ANY($1::uuid[]) AND status IN ('FAILED', 'CANCELLED')
    RETURNING id, queue, priority
)
SELECT moved.id::text, lane(queue, priority), letters.entry_id, letters.job_id IS NOT NULL AS was_dead
FROM moved LEFT JOIN letters ON letters.job_id = moved.id;
