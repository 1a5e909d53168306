-- Callbacks: jobs that SQL alone submits, and a webhook when a job ends.

-- Jobs that were inserted by SQL alone, so nobody has told Redis of them yet: the service `outbox` does.
CREATE TABLE outbox (
    job_id uuid PRIMARY KEY,                               -- UUIDv7: the oldest come first
    at     timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1);

ALTER TABLE jobs ADD COLUMN webhook_url text;              -- told when the job ends; null: nobody

-- UUIDv7 as shared/ids.py makes them: milliseconds, twelve bits of what is below them, 62 random bits.
CREATE FUNCTION new_job_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(
        overlay(
            uuid_send(gen_random_uuid())
            PLACING substring(int8send(micros / 1000) FROM 3) || int2send((28672 + micros % 1000 * 4096 / 1000)::smallint) FROM 1 FOR 8
        ), 'hex')::uuid                                    -- 28672 is 0x7000: the version
    FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS clock (micros)
$$;

CREATE FUNCTION rfc3339(moment timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- What a receiver is told, as https://www.standardwebhooks.com wants it: type, timestamp, data. A result of more than 64 KiB is left out,
-- which `result_omitted` says.
CREATE FUNCTION webhook_event(job jobs) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'type', 'job.' || lower(job.status::text),
        'timestamp', rfc3339(job.finished_at),
        'data', json_build_object(
            'id', job.id, 'type', job.type, 'status', job.status, 'queue', job.queue, 'priority', job.priority,
            'attempts', job.attempts, 'failures', job.failures, 'crashes', job.crashes, 'max_attempts', job.max_attempts,
            'result', CASE WHEN octet_length(job.result::text) <= 65536 THEN job.result END,
            'result_omitted', coalesce(octet_length(job.result::text) > 65536, false),
            'reason', job.reason, 'error', job.error, 'tags', to_json(coalesce(job.tags, '{}')),
            'created_at', rfc3339(job.created_at), 'started_at', rfc3339(job.started_at), 'finished_at', rfc3339(job.finished_at)
        )
    )
$$;

-- Whatever ends a job inserts its delivery in the same transaction: being a trigger, no path can forget it. A batch without webhooks
-- pays for one look at rows that are in memory. The delivery has no webhook of its own.
CREATE FUNCTION insert_webhook_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM new_jobs WHERE webhook_url IS NOT NULL AND finished_at IS NOT NULL) THEN
        WITH deliveries AS (
            INSERT INTO jobs (id, type, payload, max_attempts, backoff, timeout_seconds, tags)
            SELECT new_job_id(), 'webhook.deliver', json_build_object('url', job.webhook_url, 'event', webhook_event(job::jobs)),
                   coalesce((kind.defaults ->> 'max_attempts')::integer, 8), kind.defaults -> 'backoff',
                   (kind.defaults ->> 'timeout')::double precision, ARRAY[job.id::text]
            FROM new_jobs AS job
            JOIN old_jobs AS before ON before.id = job.id
            LEFT JOIN job_types AS kind ON kind.type = 'webhook.deliver'
            WHERE job.webhook_url IS NOT NULL AND job.finished_at IS NOT NULL AND before.finished_at IS NULL
            RETURNING id
        )
        INSERT INTO outbox (job_id) SELECT id FROM deliveries;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER webhooks AFTER UPDATE ON jobs REFERENCING OLD TABLE AS old_jobs NEW TABLE AS new_jobs
    FOR EACH STATEMENT EXECUTE FUNCTION insert_webhook_deliveries();

-- Submitting by SQL, in a transaction of the caller's own. Whoever migrates may lack the right to make a schema: it may be there already.
DO $$
BEGIN
    IF to_regnamespace('millstream') IS NULL THEN
        CREATE SCHEMA millstream;
    END IF;
END $$;
COMMENT ON SCHEMA millstream IS 'What applications may call: millstream.enqueue(...)';

-- Raises SQLSTATE 22023 for the field `name` unless `valid`; null counts as valid, as the field is not given then.
CREATE FUNCTION refuse_unless(valid boolean, name text, rule text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT valid THEN
        RAISE EXCEPTION 'invalid job: % %', name, rule USING ERRCODE = '22023';
    END IF;
END $$;

-- Limits as in producer/requests.py.
CREATE FUNCTION check_job(
    payload json, queue text, priority text, delay double precision, run_at timestamptz, max_attempts integer, backoff json,
    timeout double precision, expires_in double precision, tags text[], idempotency_key text, webhook_url text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    ten_years CONSTANT double precision := 315360000;
BEGIN
    PERFORM refuse_unless(payload IS NOT NULL AND json_typeof(payload) = 'object', 'payload', 'must be an object');
    PERFORM refuse_unless(octet_length(payload::text) <= 1048576, 'payload', 'may have 1048576 bytes');
    PERFORM refuse_unless(payload::text !~ '(^|[^\\])(\\\\)*\\u0000', 'payload', 'must not contain NUL (\u0000)');
    PERFORM refuse_unless(queue IS NOT NULL AND queue ~ '^[A-Za-z0-9_.-]{1,64}$', 'queue', 'must be 1 to 64 letters, digits, _, ., -');
    PERFORM refuse_unless(priority IS NOT NULL AND priority IN ('high', 'normal', 'low'), 'priority', 'must be high, normal or low');
    PERFORM refuse_unless(delay >= 0 AND delay <= ten_years, 'delay', 'must be 0 to 315360000 seconds');
    PERFORM refuse_unless(delay IS NULL OR run_at IS NULL, 'run_at', 'and delay cannot both be given');
    PERFORM refuse_unless(run_at <= clock_timestamp() + ten_years * interval '1 second', 'run_at', 'must be within ten years');
    PERFORM refuse_unless(max_attempts >= 1 AND max_attempts <= 1000, 'max_attempts', 'must be 1 to 1000');
    PERFORM check_backoff(backoff);
    PERFORM refuse_unless(timeout > 0 AND timeout <= 86400, 'timeout', 'must be more than 0 and at most 86400 seconds');
    PERFORM refuse_unless(expires_in > 0 AND expires_in <= ten_years, 'expires_in', 'must be more than 0 and at most 315360000 seconds');
    PERFORM refuse_unless(cardinality(tags) <= 20, 'tags', 'may be 20');
    PERFORM refuse_unless(
        NOT EXISTS (SELECT FROM unnest(tags) AS tag WHERE tag IS NULL OR length(tag) NOT BETWEEN 1 AND 100),
        'tags', 'must have 1 to 100 characters each'
    );
    PERFORM refuse_unless(idempotency_key ~ '^[\x21-\x7e]{1,255}$', 'idempotency_key', 'must be 1 to 255 visible ASCII characters');
    PERFORM refuse_unless(
        length(webhook_url) <= 2000 AND webhook_url ~* '^https?://[^[:space:][:cntrl:]/?#@\\]+([/?#][^[:space:][:cntrl:]]*)?$',
        'webhook_url', 'must be an http or https URL without user and password, of at most 2000 characters'
    );
END $$;

CREATE FUNCTION check_backoff(backoff json) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    kind text;
    known text[];
    name text;
BEGIN
    IF backoff IS NULL THEN
        RETURN;
    END IF;
    PERFORM refuse_unless(json_typeof(backoff) = 'object', 'backoff', 'must be an object');
    kind := coalesce(backoff ->> 'kind', '');
    PERFORM refuse_unless(kind IN ('exponential', 'fixed'), 'backoff', 'must be of the kind exponential or fixed');
    known := CASE kind WHEN 'fixed' THEN '{kind,base,jitter}'::text[] ELSE '{kind,base,factor,max,jitter}'::text[] END;
    FOR name IN SELECT json_object_keys(backoff) LOOP
        PERFORM refuse_unless(name = ANY(known), 'backoff', format('of the kind %s has no field %s', kind, quote_literal(name)));
        PERFORM refuse_unless(name = 'kind' OR json_typeof(backoff -> name) = 'number', 'backoff', format('must have a number as %s', name));
    END LOOP;
    PERFORM refuse_unless((backoff ->> 'base')::numeric BETWEEN 0 AND CASE kind WHEN 'fixed' THEN 315360000 ELSE 86400 END, 'backoff', 'has a base that is out of range');
    PERFORM refuse_unless((backoff ->> 'factor')::numeric BETWEEN 1 AND 100, 'backoff', 'must have a factor from 1 to 100');
    PERFORM refuse_unless((backoff ->> 'max')::numeric BETWEEN 0 AND 315360000, 'backoff', 'must have a max from 0 to 315360000');
    PERFORM refuse_unless((backoff ->> 'jitter')::numeric BETWEEN 0 AND 1, 'backoff', 'must have a jitter from 0 to 1');
END $$;

-- The type of that name or alias. Raises 22023 with the nearest names (by groups of three letters that they share).
CREATE FUNCTION find_job_type(wanted text) RETURNS job_types LANGUAGE plpgsql STABLE AS $$
DECLARE
    kind job_types;
    near text;
BEGIN
    SELECT * INTO kind FROM job_types WHERE type = wanted OR wanted = ANY(aliases) ORDER BY type = wanted DESC LIMIT 1;
    IF FOUND THEN
        RETURN kind;
    END IF;
    SELECT string_agg(name, ' or ') INTO near FROM (
        SELECT name FROM (SELECT type AS name FROM job_types UNION SELECT unnest(aliases) FROM job_types) AS names
        CROSS JOIN LATERAL (
            SELECT count(*) FROM generate_series(1, least(length(wanted), 200) - 2) AS at
            WHERE position(lower(substr(wanted, at, 3)) IN lower(name)) > 0
        ) AS shared (count)
        WHERE shared.count * 2 >= greatest(length(wanted), length(name)) - 2 ORDER BY shared.count DESC, name LIMIT 3
    ) AS nearest;
    RAISE EXCEPTION 'no consumer has published the type %', quote_nullable(left(wanted, 100)) USING
        ERRCODE = '22023',
        HINT = coalesce('did you mean ' || near || '?', 'known types: ' || coalesce((SELECT string_agg(type, ', ' ORDER BY type) FROM job_types), 'none'));
END $$;

-- The job that has this idempotency key: `job_id`, if the key is new or its time is over. Waits for a rival transaction that has just
-- taken the key. Raises 22023 when it was used for another job. A key is kept for 24 hours.
CREATE FUNCTION reserve_job_key(wanted text, meaning text, job_id uuid) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    print CONSTANT bytea := sha256(convert_to(meaning, 'UTF8'));
    holder idempotency_keys;
BEGIN
    INSERT INTO idempotency_keys AS known (key, fingerprint, job_id, expires_at)
    VALUES (wanted, print, reserve_job_key.job_id, clock_timestamp() + interval '24 hours')
    ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, job_id = excluded.job_id, expires_at = excluded.expires_at
        WHERE known.expires_at <= now()
    RETURNING known.* INTO holder;
    IF NOT FOUND THEN
        SELECT * INTO holder FROM idempotency_keys WHERE key = wanted;
    END IF;
    PERFORM refuse_unless(holder.fingerprint = print, 'idempotency_key', format('%L was used for another job', wanted));
    RETURN holder.job_id;
END $$;

CREATE FUNCTION millstream.enqueue(
    type text, payload json DEFAULT '{}', queue text DEFAULT 'default', priority text DEFAULT 'normal', delay double precision DEFAULT NULL,
    run_at timestamptz DEFAULT NULL, max_attempts integer DEFAULT NULL, backoff json DEFAULT NULL, timeout double precision DEFAULT NULL,
    expires_in double precision DEFAULT NULL, tags text[] DEFAULT NULL, idempotency_key text DEFAULT NULL, webhook_url text DEFAULT NULL
) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    kind job_types;
    job_id uuid := new_job_id();
    holder uuid;
    moment CONSTANT timestamptz := clock_timestamp();      -- now() is when the caller's transaction began, which may be long ago
    due timestamptz;
BEGIN
    kind := find_job_type(enqueue.type);
    PERFORM refuse_unless(kind.type <> 'webhook.deliver', 'type', 'webhook.deliver: jobs of it are made by the system');
    PERFORM check_job(enqueue.payload, enqueue.queue, enqueue.priority, enqueue.delay, enqueue.run_at, enqueue.max_attempts, enqueue.backoff,
                      enqueue.timeout, enqueue.expires_in, enqueue.tags, enqueue.idempotency_key, enqueue.webhook_url);
    IF enqueue.idempotency_key IS NOT NULL THEN
        holder := reserve_job_key(
            enqueue.idempotency_key,
            jsonb_build_array(kind.type, enqueue.payload::jsonb, enqueue.queue, enqueue.priority, enqueue.delay,
                              extract(epoch FROM enqueue.run_at),
                              enqueue.max_attempts, enqueue.backoff::jsonb, enqueue.timeout, enqueue.expires_in, enqueue.tags,
                              enqueue.webhook_url)::text,
            job_id);
        IF holder <> job_id THEN
            RETURN holder;
        END IF;
    END IF;
    due := greatest(enqueue.run_at, moment + coalesce(enqueue.delay, 0) * interval '1 second');
    INSERT INTO jobs (id, type, queue, priority, payload, status, run_at, max_attempts, backoff, timeout_seconds, expires_at, tags,
                      idempotency_key, webhook_url, created_at, updated_at)
    VALUES (job_id, kind.type, enqueue.queue, enqueue.priority::job_priority, enqueue.payload,
            CASE WHEN due > moment THEN 'SCHEDULED' ELSE 'PENDING' END::job_status, due,
            coalesce(enqueue.max_attempts, (kind.defaults ->> 'max_attempts')::integer, 4),
            coalesce(enqueue.backoff, kind.defaults -> 'backoff'),
            coalesce(enqueue.timeout, (kind.defaults ->> 'timeout')::double precision),
            moment + enqueue.expires_in * interval '1 second', nullif(ARRAY(SELECT unnest(enqueue.tags)), '{}'),
            enqueue.idempotency_key, enqueue.webhook_url, moment, moment);
    INSERT INTO outbox (job_id) VALUES (job_id);
    RETURN job_id;
END $$;

COMMENT ON FUNCTION millstream.enqueue IS 'Submit a job that appears if and only if this transaction commits; returns its id.';

-- It runs with the rights of its owner: only what stands in our schema and in pg_catalog is called, whatever the caller's search_path
-- says, and nothing that the caller has made as a temporary object. Nobody may call it who was not granted that.
REVOKE ALL ON FUNCTION millstream.enqueue FROM PUBLIC;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION millstream.enqueue SET search_path = pg_catalog, %I, pg_temp', current_schema());
END $$;
