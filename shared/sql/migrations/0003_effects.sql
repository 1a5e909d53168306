-- What handlers leave with their jobs while they run: effects that must not happen twice, and how far they have come.

-- A row is committed before the effect begins. One without done_at whose attempt is over is uncertain: nobody knows whether it happened.
CREATE TABLE effects (
    job_id   uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    key      text NOT NULL,
    attempt  integer NOT NULL,                             -- that began it last
    lease_id uuid,                                         -- of the worker that did; null: a person has said how it ended
    began_at timestamptz NOT NULL DEFAULT now(),
    done_at  timestamptz,
    result   json,
    PRIMARY KEY (job_id, key)
);

-- The latest of each job. Not a column of jobs: a megabyte that changes often would bloat the table that everything goes through.
CREATE TABLE checkpoints (
    job_id   uuid PRIMARY KEY REFERENCES jobs ON DELETE CASCADE,
    attempt  integer NOT NULL,
    data     json NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT now()
);
