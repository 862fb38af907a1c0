-- source: debate-map #189: generated columns made by text search, unaccent and an ICU collation that ignores case
CREATE EXTENSION unaccent;
CREATE COLLATION ignores_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION plain ALTER MAPPING FOR hword, hword_part, word WITH unaccent, simple;
CREATE TABLE texts (id int PRIMARY KEY, name text COLLATE ignores_case UNIQUE, body text,
    found tsvector GENERATED ALWAYS AS (to_tsvector('public.plain'::regconfig, body)) STORED);
INSERT INTO texts (id, name, body) SELECT i, 'Näme' || i, 'Été ' || i FROM generate_series(1, 50) i;
CREATE INDEX texts_found ON texts USING gin (found);
