-- Schedules: what is to be submitted again and again, or once later, and which job came of which tick.

CREATE TABLE schedules (
    name           text PRIMARY KEY,
    cron           text,                                   -- exactly one of these three
    every_seconds  double precision,
    at             timestamptz,
    timezone       text NOT NULL DEFAULT 'UTC',            -- IANA; where cron's clock hangs
    misfire        text NOT NULL DEFAULT 'coalesce',       -- skip, coalesce, catch_up(n)
    overlap        text NOT NULL DEFAULT 'allow',          -- allow, skip
    paused         boolean NOT NULL DEFAULT false,
    template       json NOT NULL,                          -- the job: a validated submission with its defaults filled in
    next_at        timestamptz,                            -- the next tick; null: there is none, a one-time schedule is over
    last_tick      timestamptz,
    last_job_id    uuid,
    skipped_count  bigint NOT NULL DEFAULT 0,              -- ticks that made no job
    skipped_tick   timestamptz,                            -- the newest of them
    skipped_reason text,                                   -- misfire, overlap
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),     -- of the definition, not of a run
    CONSTRAINT one_timetable CHECK (num_nonnulls(cron, every_seconds, at) = 1)
) WITH (fillfactor = 50);

-- What schedulers look for twice a second.
CREATE INDEX schedules_due ON schedules (next_at) WHERE NOT paused;

-- The guard: one job a tick, however many schedulers run. A table of its own, so that `jobs` carries nothing that most jobs do not need.
-- No foreign keys: a run is told of as long as its job is kept, also when the schedule is gone.
CREATE TABLE schedule_runs (
    job_id    uuid PRIMARY KEY,
    schedule  text NOT NULL,
    tick      timestamptz NOT NULL,
    triggered boolean NOT NULL DEFAULT false,              -- by hand; its tick is the moment of that
    CONSTRAINT one_job_a_tick UNIQUE (schedule, tick)
);
