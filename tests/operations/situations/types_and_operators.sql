-- source: pg_dump's own tests: types, operators, casts and aggregates that tables and indexes need before rows come
CREATE TYPE mood AS ENUM ('sad', 'ok');
ALTER TYPE mood ADD VALUE 'fine' BEFORE 'ok';
CREATE TYPE span AS RANGE (subtype = float8, multirange_type_name = spans);
CREATE DOMAIN email AS text CHECK (VALUE ~ '@') NOT NULL;
CREATE FUNCTION later(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > $2';
CREATE OPERATOR >>> (LEFTARG = int, RIGHTARG = int, FUNCTION = later);
CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE FUNCTION mood_number(mood) RETURNS int LANGUAGE sql IMMUTABLE AS $$SELECT CASE $1 WHEN 'sad' THEN 0 ELSE 1 END$$;
CREATE CAST (mood AS int) WITH FUNCTION mood_number(mood) AS ASSIGNMENT;
CREATE TABLE people (id int PRIMARY KEY, m mood, s span, ss spans, e email, CHECK (id >>> 0));
CREATE INDEX people_mood ON people (mood_number(m)) WHERE m > 'sad';
INSERT INTO people SELECT i, 'fine', span(i, i + 1), spans(span(i, i + 2)), 'a@b' FROM generate_series(1, 40) i;
