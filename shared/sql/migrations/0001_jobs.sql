-- The truth: every job that was ever accepted, who works on it, and what became of it.

CREATE TYPE job_status AS ENUM ('SCHEDULED', 'PENDING', 'PROCESSING', 'RETRYING', 'COMPLETED', 'FAILED', 'CANCELLED');
CREATE TYPE job_priority AS ENUM ('high', 'normal', 'low');

CREATE TABLE jobs (
    id               uuid PRIMARY KEY,                     -- UUIDv7, made by the producer: sorts by age
    type             text NOT NULL,
    queue            text NOT NULL DEFAULT 'default',
    priority         job_priority NOT NULL DEFAULT 'normal',
    status           job_status NOT NULL DEFAULT 'PENDING',
    attempts         integer NOT NULL DEFAULT 0,           -- the fence: bumped at every claim, never reset
    failures         integer NOT NULL DEFAULT 0,
    crashes          integer NOT NULL DEFAULT 0,
    max_attempts     integer NOT NULL DEFAULT 4,
    payload          json NOT NULL DEFAULT '{}',           -- json, not jsonb: kept as sent, and no batch dies of one odd number
    backoff          json,                                 -- null: the default, 2 s doubling
    timeout_seconds  double precision,
    tags             text[],
    idempotency_key  text,
    run_at           timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz,
    lease_id         uuid,
    worker           text,
    started_at       timestamptz,
    finished_at      timestamptz,
    cancel_requested boolean NOT NULL DEFAULT false,
    result           json,
    progress         json,
    reason           text,                                 -- why it is FAILED or CANCELLED, one word
    error            text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT finished_means_terminal CHECK ((finished_at IS NOT NULL) = (status IN ('COMPLETED', 'FAILED', 'CANCELLED')))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1);

-- The only secondary index. Neither of its columns changes at a claim, so claims stay HOT.
CREATE INDEX jobs_open ON jobs (run_at) WHERE finished_at IS NULL;

-- A row for every attempt that did not succeed; the winning one lives on the job, so the happy path pays nothing.
CREATE TABLE attempts (
    job_id      uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    attempt     integer NOT NULL,
    worker      text,
    started_at  timestamptz,
    finished_at timestamptz NOT NULL DEFAULT now(),
    outcome     text NOT NULL,                             -- failed, lost, handed_back, snoozed, cancelled
    error       text,
    traceback   text,
    PRIMARY KEY (job_id, attempt)
);

-- One row per FAILED job; what the stream `jobs_stream:dlq` is rebuilt from.
CREATE TABLE dead_letters (
    job_id   uuid PRIMARY KEY REFERENCES jobs ON DELETE CASCADE,
    dead_at  timestamptz NOT NULL DEFAULT now(),
    entry_id text                                          -- its place in the stream; null until it is known to be there
);
CREATE INDEX dead_letters_unpublished ON dead_letters (dead_at) WHERE entry_id IS NULL;

-- One row per worker process: O(workers) writes, never O(jobs).
CREATE TABLE leases (
    id           uuid PRIMARY KEY,
    worker       text NOT NULL,                            -- also its consumer name in the streams' group
    host         text NOT NULL,
    pid          integer NOT NULL,
    roles        text[] NOT NULL,
    types        text[] NOT NULL,
    concurrency  integer NOT NULL,
    seconds      double precision NOT NULL,                -- silent for so long: dead
    draining     boolean NOT NULL DEFAULT false,
    started_at   timestamptz NOT NULL DEFAULT now(),
    heartbeat_at timestamptz NOT NULL DEFAULT now(),
    dead_at      timestamptz
) WITH (fillfactor = 50);

CREATE TABLE idempotency_keys (
    key         text PRIMARY KEY,
    fingerprint bytea NOT NULL,                            -- of the body: the same key with another body is refused
    job_id      uuid NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

-- What consumers can run; producers validate against it, so the API never needs user code.
CREATE TABLE job_types (
    type         text PRIMARY KEY,
    aliases      text[] NOT NULL DEFAULT '{}',
    schema       json NOT NULL,
    defaults     json NOT NULL DEFAULT '{}',
    published_at timestamptz NOT NULL DEFAULT now()
);

-- One row: the value that Redis must still hold at jobs_stream:epoch, per stream base name.
CREATE TABLE epochs (
    stream text PRIMARY KEY,
    epoch  text NOT NULL
);

-- Counts by queue, type and status without a table scan: every statement that moves jobs adds its sums.
CREATE TABLE job_counts (
    at     timestamptz NOT NULL DEFAULT now(),
    queue  text NOT NULL,
    type   text NOT NULL,
    status job_status NOT NULL,
    n      bigint NOT NULL
);

CREATE FUNCTION count_inserted_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_counts (queue, type, status, n) SELECT queue, type, status, count(*) FROM new_jobs GROUP BY 1, 2, 3;
    RETURN NULL;
END $$;

CREATE FUNCTION count_moved_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_counts (queue, type, status, n)
    SELECT queue, type, status, sum(n)
    FROM (SELECT queue, type, status, 1 AS n FROM new_jobs UNION ALL SELECT queue, type, status, -1 FROM old_jobs) moves
    GROUP BY 1, 2, 3 HAVING sum(n) <> 0;
    RETURN NULL;
END $$;

CREATE FUNCTION count_deleted_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_counts (queue, type, status, n) SELECT queue, type, status, -count(*) FROM old_jobs GROUP BY 1, 2, 3;
    RETURN NULL;
END $$;

CREATE TRIGGER count_inserted AFTER INSERT ON jobs REFERENCING NEW TABLE AS new_jobs
    FOR EACH STATEMENT EXECUTE FUNCTION count_inserted_jobs();
CREATE TRIGGER count_moved AFTER UPDATE ON jobs REFERENCING OLD TABLE AS old_jobs NEW TABLE AS new_jobs
    FOR EACH STATEMENT EXECUTE FUNCTION count_moved_jobs();
CREATE TRIGGER count_deleted AFTER DELETE ON jobs REFERENCING OLD TABLE AS old_jobs
    FOR EACH STATEMENT EXECUTE FUNCTION count_deleted_jobs();
