-- One hour of changes to awkward_values.sql.
UPDATE texts SET t = t || E'\n\\.\n' WHERE id % 2 = 0;
INSERT INTO nothing DEFAULT VALUES;
DELETE FROM nothing WHERE ctid = '(0,2)';
INSERT INTO kinds (p) VALUES (7);
UPDATE kinds SET m = 'sad' WHERE id = 1;
UPDATE parent SET "from parent" = E'both\t';
UPDATE ranged SET id = id + 100 WHERE id < 5;
DELETE FROM ranged WHERE id = 11;
UPDATE "odd ""schema"""."t a'b""c
d é$1" SET "%s" = '100%', "select" = NULL;
