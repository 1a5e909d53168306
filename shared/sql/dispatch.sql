-- Dispatch: what Redis should hold, said by PostgreSQL, so that it can always be rebuilt.

-- name: moment
SELECT now() - make_interval(secs => $1);

-- name: undelivered
-- Waiting, due, and untouched since before $3 although all entries of that time were delivered: their entries are lost. Touching a row
-- keeps it from being found again before its new entry had its turn, and keeps rivals from adding it twice.
WITH lost AS (
    SELECT id FROM jobs
    WHERE finished_at IS NULL AND status IN ('SCHEDULED', 'PENDING', 'RETRYING') AND queue = $1 AND priority = $2 AND run_at < $3 AND updated_at < $3
    ORDER BY run_at LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE jobs SET updated_at = now() FROM lost WHERE jobs.id = lost.id RETURNING jobs.id::text;

-- name: due_soon
-- Waiting jobs of a lane that become due in the window ($3, $4], for the ZSET; one page after ($3, $5). What was never to wait is in its
-- stream.
SELECT id::text, lane(queue, priority), run_at, extract(epoch FROM run_at - now())::double precision AS due_in FROM jobs
WHERE finished_at IS NULL AND status IN ('SCHEDULED', 'PENDING', 'RETRYING') AND queue = $1 AND priority = $2
  AND (run_at, id) > ($3, $5) AND run_at <= $4 AND (run_at > now() OR status <> 'PENDING')
ORDER BY run_at, id LIMIT $6;

-- name: orphans
-- Running under a lease that is dead. What runs has been due for longest, so it comes first in the index; the sums say when that is all,
-- and the jobs that wait behind it, however many, are not looked at.
WITH running AS (
    SELECT id, lease_id FROM jobs WHERE finished_at IS NULL AND status = 'PROCESSING'
    LIMIT (SELECT coalesce(sum(n), 0) FROM job_counts WHERE status = 'PROCESSING')
)
SELECT running.id::text FROM running LEFT JOIN leases ON leases.id = running.lease_id WHERE leases.id IS NULL OR leases.dead_at IS NOT NULL
LIMIT $1;

-- name: unplaced_letters
-- Dead letters that are not known to be in the DLQ stream; locked, so that no rival adds them too.
SELECT jobs.id::text, type, coalesce(reason, '') AS reason, coalesce(error, '') AS error, attempts, dead_letters.dead_at
FROM dead_letters JOIN jobs ON jobs.id = dead_letters.job_id
WHERE dead_letters.entry_id IS NULL AND dead_letters.dead_at < now() - make_interval(secs => $1)
ORDER BY dead_letters.dead_at LIMIT $2 FOR UPDATE OF dead_letters SKIP LOCKED;

-- name: oldest_unplaced
SELECT min(dead_at) FROM dead_letters WHERE entry_id IS NULL AND dead_at < now() - make_interval(secs => $1);

-- name: note_places
-- The number of attempts tells a letter from one of an earlier death of the same job.
WITH free AS (
    SELECT job_id, placed.entry_id FROM unnest($1::text[], $2::uuid[], $3::integer[]) AS placed (entry_id, job_id, attempts)
    JOIN dead_letters USING (job_id) JOIN jobs ON jobs.id = job_id AND jobs.attempts = placed.attempts
    WHERE dead_letters.entry_id IS NULL ORDER BY job_id FOR UPDATE OF dead_letters SKIP LOCKED
)
UPDATE dead_letters SET entry_id = free.entry_id FROM free WHERE dead_letters.job_id = free.job_id;

-- name: place_letters
-- Who is late does not win: a reconciler may have put the letter elsewhere, or the job was replayed, and perhaps has died again since, as its
-- attempts tell. Returns the letters that are there now.
UPDATE dead_letters SET entry_id = placed.entry_id
FROM unnest($1::uuid[], $2::text[], $3::integer[]) AS placed (job_id, entry_id, attempts)
    JOIN jobs ON jobs.id = placed.job_id AND jobs.attempts = placed.attempts
WHERE dead_letters.job_id = placed.job_id AND (dead_letters.entry_id IS NULL OR dead_letters.entry_id = placed.entry_id)
RETURNING dead_letters.job_id::text;

-- name: unplace_all
UPDATE dead_letters SET entry_id = NULL WHERE entry_id IS NOT NULL;

-- name: count_placed
-- How many letters the DLQ stream should hold; null while some are on their way there.
SELECT CASE WHEN NOT EXISTS (SELECT FROM dead_letters WHERE entry_id IS NULL)
            THEN (SELECT coalesce(sum(n), 0)::bigint FROM job_counts WHERE status = 'FAILED') END;

-- name: placed
-- One page of them, by id.
SELECT job_id::text, entry_id FROM dead_letters WHERE entry_id IS NOT NULL AND job_id > $1 ORDER BY job_id LIMIT $2;

-- name: unplace
-- These letters are not where they should be.
UPDATE dead_letters SET entry_id = NULL FROM unnest($1::uuid[], $2::text[]) AS missing (job_id, entry_id)
WHERE dead_letters.job_id = missing.job_id AND dead_letters.entry_id = missing.entry_id;

-- name: strays
-- Of these letters in the stream those that should not be there: their job is not dead any more, or has another letter there.
SELECT found.entry_id FROM unnest($1::text[], $2::uuid[]) AS found (entry_id, job_id)
WHERE NOT EXISTS (SELECT FROM dead_letters AS it WHERE it.job_id = found.job_id AND (it.entry_id IS NULL OR it.entry_id = found.entry_id));

-- name: epoch
SELECT epoch FROM epochs WHERE stream = $1;

-- name: run_id
SELECT run_id FROM epochs WHERE stream = $1;

-- name: set_run_id
UPDATE epochs SET run_id = $2 WHERE stream = $1;

-- name: set_epoch
INSERT INTO epochs (stream, epoch) VALUES ($1, $2) ON CONFLICT (stream) DO UPDATE SET epoch = excluded.epoch;

-- name: fold_counts
-- Many small sums become few, for all who ask read all of them: one a second, which throughput is read from, and one of all that is older
-- than it looks back. What came and what went stay apart there: jobs that are forgotten are no negative throughput.
WITH folded AS (
    DELETE FROM job_counts
    WHERE (at < now() - interval '2 seconds' AND at <> date_trunc('second', at))
       OR (at < now() - interval '70 seconds'
           AND EXISTS (SELECT FROM job_counts WHERE at < now() - interval '70 seconds' AND at > '-infinity'))
    RETURNING CASE WHEN at < now() - interval '70 seconds' THEN '-infinity' ELSE date_trunc('second', at) END AS moment, queue, type, status, n
)
INSERT INTO job_counts (at, queue, type, status, n)
SELECT moment, queue, type, status, sum(n) FROM folded GROUP BY 1, 2, 3, 4, (n > 0 AND moment > '-infinity') HAVING sum(n) <> 0;

-- name: forget_finished
-- Ids sort by age, so the primary key finds the old ones. Returns where their letters are in the DLQ stream.
WITH old AS (
    SELECT id FROM jobs WHERE id < $1 AND finished_at < now() - make_interval(secs => $2) ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
), letters AS (
    SELECT job_id, entry_id FROM dead_letters WHERE job_id IN (SELECT id FROM old)
), gone AS (
    DELETE FROM jobs USING old WHERE jobs.id = old.id RETURNING jobs.id
)
SELECT letters.entry_id FROM gone LEFT JOIN letters ON letters.job_id = gone.id;

-- name: forget_runs
-- A note goes with its job, which the retention has deleted. Ids sort by age, so the primary key finds the old ones.
DELETE FROM schedule_runs WHERE job_id IN (
    SELECT job_id FROM schedule_runs AS old
    WHERE job_id < $1 AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = old.job_id) ORDER BY job_id LIMIT $2
)
RETURNING job_id;

-- name: existing
SELECT id::text FROM jobs WHERE id = ANY($1::uuid[]);

-- name: forget_keys
DELETE FROM idempotency_keys WHERE key IN (SELECT key FROM idempotency_keys WHERE expires_at < now() LIMIT $1);
