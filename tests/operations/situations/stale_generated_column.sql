-- source: handed over as case 05; rows keep what a function made of them before it was replaced
-- warning: generated columns of public.notes have other values
CREATE FUNCTION norm(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT pg_catalog.lower($1)$$;
CREATE TABLE notes (id int PRIMARY KEY, t text, n text GENERATED ALWAYS AS (norm(t)) STORED);
INSERT INTO notes (id, t) SELECT i, 'Word ' || i FROM generate_series(1, 200) i;
CREATE OR REPLACE FUNCTION norm(text) RETURNS text LANGUAGE sql IMMUTABLE
    AS $$SELECT pg_catalog.replace(pg_catalog.lower($1), ' ', '-')$$;
INSERT INTO notes (id, t) SELECT i, 'Word ' || i FROM generate_series(201, 220) i;
