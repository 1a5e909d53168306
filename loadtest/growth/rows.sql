-- Jobs $1 to $2 of $4, $3 seconds old and younger. What a job is follows from its number; rare things are old, where a search that begins
-- with the newest finds them last.
INSERT INTO jobs (id, type, queue, priority, status, attempts, failures, payload, tags, run_at, started_at, finished_at, created_at, updated_at,
                  result, reason, error, worker)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8' || substr(md5(n::text), 1, 15))::uuid,
       CASE WHEN n <= 50 THEN 'grow.rare' WHEN n % 10 < 6 THEN 'grow.mail' WHEN n % 10 < 9 THEN 'grow.table' ELSE 'grow.chart' END,
       CASE WHEN n <= 50 THEN 'rare' WHEN waits THEN 'held' WHEN n % 5 = 0 THEN 'bulk' ELSE 'default' END,
       CASE WHEN n % 20 = 0 THEN 'high' WHEN n % 10 = 3 THEN 'low' ELSE 'normal' END::job_priority,
       status, 1, (status = 'FAILED')::integer,
       json_build_object('to', 'user' || n || '@example.com', 'number', n, 'text', repeat('x', 40)),
       CASE WHEN n <= 50 THEN ARRAY['rare'] WHEN n % 20 = 7 THEN ARRAY['customer-' || n % 1000, 'grown'] END,
       CASE WHEN status = 'SCHEDULED' THEN now() + interval '2 days' ELSE at END,
       CASE WHEN NOT waits THEN at + interval '5 ms' END, CASE WHEN NOT waits THEN at + interval '25 ms' END, at, at + interval '25 ms',
       CASE WHEN status = 'COMPLETED' THEN json_build_object('sent', true, 'number', n) END,
       CASE WHEN status = 'FAILED' THEN CASE WHEN n % 1000 = 37 THEN 'timeout' ELSE 'attempts_spent' END END,
       CASE WHEN status = 'FAILED' THEN 'no answer from host ' || n % 77 END, CASE WHEN NOT waits THEN 'worker-' || n % 4 END
FROM (
    SELECT n, now() - make_interval(secs => $3 * (1 - n / $4::double precision)) AS at, status, status IN ('SCHEDULED', 'PENDING') AS waits
    FROM generate_series($1::bigint, $2) AS number (n), LATERAL (
        SELECT CASE WHEN n > 50 AND n % 100 = 37 THEN 'FAILED' WHEN n % 1000 = 501 THEN 'CANCELLED' WHEN n % 200 = 99 THEN 'SCHEDULED'
                    WHEN n % 200 = 198 THEN 'PENDING' ELSE 'COMPLETED' END::job_status AS status
    ) AS its
) AS made;

-- What hangs on the jobs.
INSERT INTO attempts (job_id, attempt, worker, started_at, finished_at, outcome, error)
SELECT id, 1, worker, started_at, finished_at, 'failed', error FROM jobs WHERE status = 'FAILED';

INSERT INTO dead_letters (job_id, dead_at) SELECT id, finished_at FROM jobs WHERE status = 'FAILED';

INSERT INTO schedule_runs (job_id, schedule, tick) SELECT id, 'busy', created_at FROM jobs WHERE type = 'grow.chart' AND worker = 'worker-3';

INSERT INTO job_counts (at, queue, type, status, n)
SELECT '-infinity', queue, type, status, count(*) FROM jobs WHERE type LIKE 'grow.%' GROUP BY 2, 3, 4;

INSERT INTO queues (name, paused) VALUES ('held', true), ('bulk', false), ('rare', false)
ON CONFLICT (name) DO UPDATE SET paused = excluded.paused;

INSERT INTO job_types (type, schema) SELECT type, '{}' FROM job_counts WHERE type LIKE 'grow.%' GROUP BY type;
