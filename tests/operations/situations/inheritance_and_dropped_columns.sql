-- source: pg_dump's own tests: children with columns in another order, dropped columns, defaults of their own
CREATE TABLE base (a int, gone text, b text DEFAULT 'base', CONSTRAINT positive CHECK (a > 0));
ALTER TABLE base DROP COLUMN gone;
CREATE TABLE child (c int, b text DEFAULT 'child', a int) INHERITS (base);
CREATE TABLE late (b text, a int, CONSTRAINT positive CHECK (a > 0));
ALTER TABLE late INHERIT base;
ALTER TABLE child ALTER a SET NOT NULL;
CREATE TYPE pair AS (x int, y text);
CREATE TABLE typed OF pair (x PRIMARY KEY, y DEFAULT 'none');
INSERT INTO base SELECT i FROM generate_series(1, 5) i;
INSERT INTO child (c, a) SELECT i, i FROM generate_series(1, 6) i;
INSERT INTO late SELECT 'l', i FROM generate_series(1, 7) i;
INSERT INTO typed VALUES (1);
