CREATE SCHEMA IF NOT EXISTS keys;

CREATE TABLE IF NOT EXISTS keys.master_key (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    fingerprint text NOT NULL
);

-- The old version of an erased row holds its key until a vacuum: let every single one start it.
CREATE TABLE IF NOT EXISTS keys.subject_key (
    subject text PRIMARY KEY,
    wrapped_key bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    destroyed_at timestamptz,
    CHECK ((wrapped_key IS NULL) = (destroyed_at IS NOT NULL))
) WITH (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0);

CREATE TABLE IF NOT EXISTS keys.blind_index (
    kind text,
    digest bytea,
    subject text NOT NULL REFERENCES keys.subject_key,
    PRIMARY KEY (kind, digest)
);
CREATE INDEX IF NOT EXISTS blind_index_of_subject ON keys.blind_index (subject);

CREATE TABLE IF NOT EXISTS keys.reveal (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    role text NOT NULL,
    subject text NOT NULL,
    fields text[] NOT NULL,
    reason text NOT NULL,
    about text NOT NULL
);
CREATE INDEX IF NOT EXISTS reveal_of_subject ON keys.reveal (subject, id);
CREATE INDEX IF NOT EXISTS reveal_by_actor ON keys.reveal (actor, at);

CREATE OR REPLACE FUNCTION keys.refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'a reveal stays recorded'; END $$;
CREATE OR REPLACE TRIGGER reveals_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON keys.reveal
    FOR EACH STATEMENT EXECUTE FUNCTION keys.refuse();
