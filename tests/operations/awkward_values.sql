-- Values of every kind, tables of every shape, names of every sort.
CREATE TABLE texts (id int, t text);
INSERT INTO texts VALUES (1, E'a\nb'), (2, E'a\tb'), (3, E'back\\slash'), (4, E'\\.'), (5, NULL), (6, ''), (7, '\N'),
    (8, E'\\N'), (9, E'\r\n'), (10, E'\x01\x7f'), (11, 'é😀한'), (12, ' '), (13, E'\\.\n'), (14, '"'), (15, E'\v\f\b');
CREATE TABLE nothing ();
INSERT INTO nothing SELECT FROM generate_series(1, 5);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (a text, b int);
CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"', 'happy, really');
CREATE TABLE kinds (id int GENERATED ALWAYS AS IDENTITY, p positive, c pair, cs pair[], m mood, ms mood[][],
    r int4range, mr nummultirange, g int GENERATED ALWAYS AS (id * 2) STORED, j jsonb, x xml, b bytea, i inet, iv interval,
    ts timestamptz, n numeric, f float8, mo money, tv tsvector, po point, bi bit varying, u uuid);
INSERT INTO kinds (p, c, cs, m, ms, r, mr, j, x, b, i, iv, ts, n, f, mo, tv, po, bi, u) VALUES
    (1, ROW(E'x,"(\n', 2), ARRAY[ROW('a', 1)::pair, NULL], 'it''s "ok"', '{{sad,NULL},{"happy, really",sad}}', '[1,5)',
     '{[1,2),(3,4]}', '{"a": "\u00e9\n"}', '<a>&lt;</a>', '\x00ff', '::1/64', '1 mon -2 days 03:00:00.5', '2026-03-29 02:30+02',
     1.10, 0.1, '12.34', 'a:1 b:2', '(1.5,2)', B'1010', '00000000-0000-0000-0000-000000000001'),
    (NULL, NULL, '{}', NULL, '{}', 'empty', '{}', 'null', NULL, '', NULL, '1 second', 'infinity', 'NaN', '-Infinity', NULL,
     '', NULL, NULL, NULL);
CREATE TABLE parent (id int, "from parent" text);
CREATE TABLE child (own text) INHERITS (parent);
INSERT INTO parent VALUES (1, 'p');
INSERT INTO child VALUES (2, 'c', 'own'), (3, 'd', NULL);
CREATE TABLE ranged (id int, t text) PARTITION BY RANGE (id);
CREATE TABLE ranged_low PARTITION OF ranged FOR VALUES FROM (0) TO (10);
CREATE TABLE ranged_rest PARTITION OF ranged DEFAULT PARTITION BY LIST (t);
CREATE TABLE ranged_a PARTITION OF ranged_rest FOR VALUES IN ('a');
CREATE TABLE ranged_other PARTITION OF ranged_rest DEFAULT;
INSERT INTO ranged SELECT i, chr(97 + i % 3) FROM generate_series(1, 30) i;
CREATE SCHEMA "odd ""schema""";
CREATE TABLE "odd ""schema"""."t a'b""c
d é$1" ("c ""1""" int, "select" text, "
" text, "%s" text);
INSERT INTO "odd ""schema"""."t a'b""c
d é$1" VALUES (1, 'x', 'y', 'z');
CREATE SEQUENCE "odd ""schema"""."s ""q""" START 7;
SELECT nextval('"odd ""schema"""."s ""q"""');
CREATE UNLOGGED TABLE unlogged_one AS SELECT 1 AS i;
CREATE TABLE dropped (a int, b int, c text);
INSERT INTO dropped VALUES (1, 2, 'x');
ALTER TABLE dropped DROP COLUMN b, ADD COLUMN d int DEFAULT 9;
INSERT INTO dropped VALUES (3, 'y', 4);
