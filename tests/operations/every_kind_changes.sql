-- What an hour may bring: rows, and everything else that can be altered.
UPDATE things.main SET amount = amount + 1, mood = 'sad' WHERE id % 7 = 0;
DELETE FROM things.main WHERE id % 11 = 0;
INSERT INTO things.main (span, amount) SELECT int4range(i, i + 1), i FROM generate_series(10000, 10400) i;
ALTER TYPE things.mood ADD VALUE 'new' BEFORE 'ok';
ALTER TYPE things.mood RENAME VALUE 'sad' TO 'sadder';
ALTER TABLE things.again ADD COLUMN filled int NOT NULL DEFAULT 7;
ALTER TABLE things.again ALTER COLUMN id TYPE bigint;
ALTER TABLE things.parent ADD COLUMN added timestamptz DEFAULT '2026-01-01 00:00+00';
ALTER TABLE things.child DROP COLUMN own;
TRUNCATE things.to_parts;
INSERT INTO things.to_parts SELECT * FROM things.by_range WHERE id > 280;
ALTER TABLE things.by_range DETACH PARTITION things.range_2025;
CREATE TABLE things.range_2030 PARTITION OF things.by_range FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
UPDATE things.by_list SET mood = 'ok' WHERE n % 10 = 0;
ALTER TABLE things.list_ok RENAME TO list_fine;
DROP TABLE things.no_columns;
DELETE FROM "odd; ""schema"" -- x"."Ta""ble; -- with
newline" WHERE "c; ""1""" < 5;
SELECT lo_put(4711, 2, 'changed');
SELECT nextval('things.odd_steps');
CLUSTER things.empty;
REFRESH MATERIALIZED VIEW things.filled;
REFRESH MATERIALIZED VIEW things.filled_again;
REFRESH MATERIALIZED VIEW things.of_a_late_view;
