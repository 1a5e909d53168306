-- Leases: who is alive. One row per worker process, whatever it runs.

-- name: open_lease
INSERT INTO leases (id, worker, host, pid, roles, types, concurrency, seconds, queues) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: beat
-- No row back: the lease was declared dead, its holder is fenced.
UPDATE leases SET heartbeat_at = now(), draining = $2 WHERE id = $1 AND dead_at IS NULL RETURNING id;

-- name: close_lease
UPDATE leases SET dead_at = now() WHERE id = $1 AND dead_at IS NULL;

-- name: declare_dead
-- Serialises with the heartbeat on the row: either it was in time, or it finds itself dead.
UPDATE leases SET dead_at = now() WHERE dead_at IS NULL AND heartbeat_at < now() - make_interval(secs => seconds)
RETURNING worker;

-- name: any_died
SELECT EXISTS (SELECT FROM leases WHERE dead_at > now() - make_interval(secs => $1));

-- name: live_workers
SELECT worker FROM leases WHERE dead_at IS NULL;

-- name: lives_on
-- A lease whose holder is silent counts as over here, also before a reaper has said so.
SELECT EXISTS (SELECT FROM leases WHERE host = $1 AND dead_at IS NULL AND heartbeat_at > now() - make_interval(secs => seconds));

-- name: forget_dead
DELETE FROM leases WHERE dead_at < now() - interval '1 hour'
  AND NOT EXISTS (SELECT FROM jobs WHERE jobs.finished_at IS NULL AND jobs.lease_id = leases.id);
