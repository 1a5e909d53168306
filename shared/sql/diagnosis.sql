-- What a person wants to know of PostgreSQL before they depend on it.

-- name: server
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::integer AS number,
       current_setting('synchronous_commit') AS synchronous_commit, current_setting('fsync') AS fsync,
       pg_is_in_recovery() AS standby, to_regclass('schema_migrations') IS NOT NULL AS prepared, now() AS now;

-- name: applied
SELECT name FROM schema_migrations ORDER BY name;

-- name: workers
SELECT count(*)::integer AS alive, (count(*) FILTER (WHERE draining))::integer AS draining FROM leases
WHERE dead_at IS NULL AND heartbeat_at > now() - make_interval(secs => seconds) AND 'worker' = ANY(roles);

-- name: unhandled
-- Types with open jobs that no live worker handles, and how many jobs.
SELECT type, sum(n)::bigint AS jobs FROM job_counts
WHERE status IN ('SCHEDULED', 'PENDING', 'RETRYING') AND NOT EXISTS (
    SELECT FROM leases WHERE dead_at IS NULL AND heartbeat_at > now() - make_interval(secs => seconds) AND job_counts.type = ANY(types)
)
GROUP BY type HAVING sum(n) > 0 ORDER BY 2 DESC LIMIT 5;
