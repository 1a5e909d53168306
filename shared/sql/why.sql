-- Why a job is where it is, in one look.

-- name: facts
-- `ahead`: jobs of the same queue and priority that have been due for longer, counted up to $2.
SELECT jobs.id::text, jobs.type, jobs.queue, jobs.status::text, jobs.reason, jobs.error, jobs.attempts, jobs.failures, jobs.max_attempts,
       jobs.run_at, jobs.expires_at, jobs.started_at, jobs.finished_at, jobs.cancel_requested, jobs.worker,
       EXISTS (SELECT FROM queues WHERE name = jobs.queue AND paused) AS paused,
       coalesce(leases.id IS NOT NULL AND leases.dead_at IS NULL, false) AS lease_alive, leases.heartbeat_at,
       leases.seconds AS lease_seconds, live.workers, live.serving, live.able, live.willing, live.types, ahead.n AS ahead, ahead.more AS ahead_more, now() AS now
FROM jobs
LEFT JOIN leases ON leases.id = jobs.lease_id
CROSS JOIN LATERAL (
    SELECT count(*) AS workers, count(*) FILTER (WHERE serves) AS serving, count(*) FILTER (WHERE serves AND jobs.type = ANY(types)) AS able,
           count(*) FILTER (WHERE serves AND jobs.type = ANY(types) AND NOT draining) AS willing,
           coalesce((SELECT array_agg(DISTINCT type ORDER BY type) FROM leases, unnest(types) AS type
                     WHERE dead_at IS NULL AND heartbeat_at > now() - make_interval(secs => seconds)), '{}') AS types
    FROM leases, LATERAL (SELECT leases.queues = '{}' OR leases.queues && ARRAY[jobs.queue, '*'] AS serves) AS its
    WHERE dead_at IS NULL AND heartbeat_at > now() - make_interval(secs => seconds) AND 'worker' = ANY(roles)
) AS live
CROSS JOIN LATERAL (
    SELECT count(*) AS n, count(*) >= $2 AS more FROM (
        SELECT FROM jobs AS older
        WHERE older.queue = jobs.queue AND older.priority = jobs.priority AND older.finished_at IS NULL
          AND older.status IN ('SCHEDULED', 'PENDING', 'RETRYING') AND older.run_at < jobs.run_at AND older.run_at <= now()
        ORDER BY older.run_at LIMIT CASE WHEN jobs.status IN ('SCHEDULED', 'PENDING', 'RETRYING') THEN $2 ELSE 0 END
    ) AS older
) AS ahead
WHERE jobs.id = $1;
