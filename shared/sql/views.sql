-- What people ask.

-- name: columns
id::text, type, status::text, queue, priority::text, payload, attempts, failures, crashes, max_attempts, result, reason, error, progress, tags,
worker, cancel_requested, run_at, created_at, started_at, finished_at, updated_at,
(SELECT schedule FROM schedule_runs WHERE job_id = jobs.id) AS schedule, (SELECT tick FROM schedule_runs WHERE job_id = jobs.id) AS tick

-- name: page
-- Jobs newest first; `found` is how many were found, with those that are left out because the ones before them fill the page already.
SELECT {columns}, found FROM (
    SELECT *, count(*) OVER () AS found, sum(size) OVER (ORDER BY id DESC ROWS UNBOUNDED PRECEDING) - size AS before FROM (
        SELECT *, octet_length(payload::text) + coalesce(octet_length(result::text), 0) + coalesce(octet_length(progress::text), 0) AS size
        FROM ({walk}) AS jobs WHERE {where} ORDER BY {order} DESC LIMIT $3
    ) AS candidates
) AS jobs
WHERE before < $4 ORDER BY id DESC;

-- name: walk
-- Four ways through the jobs with ids in [$1, $2). OFFSET 0: what is asked beyond must not tempt the planner to leave the way.
SELECT * FROM jobs WHERE id >= $1 AND id < $2 ORDER BY id DESC OFFSET 0

-- name: walk_dead
-- In the order of job_id: that it is the id of the job, too, is nothing that the planner would see.
SELECT jobs.*, job_id FROM dead_letters CROSS JOIN LATERAL (SELECT * FROM jobs WHERE id = dead_letters.job_id OFFSET 0) AS jobs
WHERE job_id >= $1 AND job_id < $2 ORDER BY job_id DESC OFFSET 0

-- name: walk_open
SELECT * FROM jobs WHERE finished_at IS NULL AND id >= $1 AND id < $2 OFFSET 0

-- name: walk_any
-- The planner's own way.
SELECT * FROM jobs WHERE id >= $1 AND id < $2

-- name: milestone
-- The id at the end of the next $3 jobs of `walk`; none, when there are fewer. `ORDER BY id` would mean the text, which no index orders.
SELECT id::text FROM jobs WHERE id >= $1 AND id < $2 ORDER BY jobs.id DESC OFFSET $3 - 1 LIMIT 1

-- name: milestone_dead
SELECT job_id::text FROM dead_letters WHERE job_id >= $1 AND job_id < $2 ORDER BY dead_letters.job_id DESC OFFSET $3 - 1 LIMIT 1

-- name: open
SELECT coalesce(sum(n), 0)::bigint FROM job_counts WHERE status IN ('SCHEDULED', 'PENDING', 'PROCESSING', 'RETRYING');

-- name: attempts
-- The lost ones from the history, then the one that is running or won.
SELECT attempt, worker, started_at, finished_at, outcome, error, traceback FROM attempts WHERE job_id = $1
UNION ALL
SELECT attempts, worker, started_at, finished_at, CASE status WHEN 'COMPLETED' THEN 'succeeded' ELSE 'running' END, NULL, NULL
FROM jobs WHERE id = $1 AND status IN ('COMPLETED', 'PROCESSING')
ORDER BY attempt;

-- name: counts
SELECT queue, type, status::text, sum(n)::bigint AS n FROM job_counts GROUP BY queue, type, status HAVING sum(n) <> 0;

-- name: throughput
-- Jobs completed in the last minute.
SELECT coalesce(sum(n), 0)::bigint FROM job_counts WHERE status = 'COMPLETED' AND n > 0 AND at > now() - interval '60 seconds';

-- name: oldest
-- Age in seconds of the job that has been due for longest.
SELECT extract(epoch FROM now() - min(run_at))::double precision
FROM queues, unnest(enum_range(NULL::job_priority)) AS lane (priority), LATERAL (
    SELECT run_at FROM jobs WHERE queue = queues.name AND jobs.priority = lane.priority AND finished_at IS NULL
      AND status IN ('SCHEDULED', 'PENDING', 'RETRYING') AND run_at <= now()
    ORDER BY run_at LIMIT 1
) AS oldest;

-- name: latencies
-- Of the newest thousand completed jobs: seconds from due to start, and from start to end. Looks at 20,000 jobs at most, those before
-- the one that has been due for longest: what is younger waits in the backlog.
SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - run_at)) AS wait,
       percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at)) AS run
FROM (
    SELECT run_at, started_at, finished_at
    FROM (
        SELECT id, run_at, started_at, finished_at, status FROM jobs
        WHERE id < coalesce(
            (SELECT oldest.id FROM queues, unnest(enum_range(NULL::job_priority)) AS lane (priority), LATERAL (
                 SELECT id, run_at FROM jobs WHERE queue = queues.name AND jobs.priority = lane.priority AND finished_at IS NULL
                   AND status IN ('SCHEDULED', 'PENDING', 'RETRYING') AND run_at <= now()
                 ORDER BY run_at LIMIT 1
             ) AS oldest ORDER BY oldest.run_at LIMIT 1),
            'ffffffff-ffff-ffff-ffff-ffffffffffff'
        )
        ORDER BY id DESC LIMIT 20000
    ) AS started
    WHERE status = 'COMPLETED' ORDER BY id DESC LIMIT 1000
) AS newest;

-- name: types
SELECT type, aliases, schema, defaults FROM job_types;

-- name: living_types
-- `workers`: how many live workers run the type.
SELECT type, aliases, schema, defaults, published_at, (
    SELECT count(*) FROM leases
    WHERE dead_at IS NULL AND heartbeat_at > now() - make_interval(secs => seconds) AND 'worker' = ANY(roles) AND job_types.type = ANY(types)
) AS workers
FROM job_types ORDER BY type;

-- name: publish_types
INSERT INTO job_types (type, aliases, schema, defaults)
SELECT type, ARRAY(SELECT json_array_elements_text(aliases)), schema, defaults
FROM unnest($1::text[], $2::json[], $3::json[], $4::json[]) AS known (type, aliases, schema, defaults) ORDER BY type
ON CONFLICT (type) DO UPDATE SET aliases = excluded.aliases, schema = excluded.schema, defaults = excluded.defaults, published_at = now();

-- name: workers
SELECT worker, host, pid, roles, types, concurrency, draining, started_at, heartbeat_at FROM leases
WHERE dead_at IS NULL AND heartbeat_at > now() - make_interval(secs => seconds) ORDER BY started_at;
