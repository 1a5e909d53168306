-- Queues.

-- name: queues
SELECT name, paused FROM queues ORDER BY name;

-- name: overview
-- Counts come from the sums that every move leaves, ages from the index: no table is scanned.
SELECT queues.name, paused,
       coalesce((SELECT json_object_agg(status, n) FROM (
           SELECT status, sum(n) AS n FROM job_counts WHERE queue = queues.name GROUP BY status HAVING sum(n) <> 0
       ) AS sums), '{}'),
       greatest(0, coalesce((SELECT max(age) FROM unnest(enum_range(NULL::job_priority)) AS lane (priority), LATERAL (
           SELECT extract(epoch FROM now() - run_at)::double precision AS age FROM jobs
           WHERE queue = queues.name AND jobs.priority = lane.priority AND finished_at IS NULL
             AND status IN ('SCHEDULED', 'PENDING', 'RETRYING') AND run_at <= now()
           ORDER BY run_at LIMIT 1
       ) AS oldest), 0)),
       (SELECT count(*) FROM leases WHERE dead_at IS NULL AND heartbeat_at > now() - make_interval(secs => seconds)
           AND 'worker' = ANY(roles) AND (leases.queues = '{}' OR leases.queues && ARRAY[queues.name, '*']))::integer,
       updated_at
FROM queues ORDER BY name;

-- name: pause
INSERT INTO queues (name, paused) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET paused = excluded.paused, updated_at = now() WHERE queues.paused <> excluded.paused;
