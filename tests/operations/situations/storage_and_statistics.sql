-- source: pg_dump's own tests: replica identity, clustering, targets and storage, written beside other entries
CREATE TABLE accounts (id int NOT NULL, name text NOT NULL, big text, CONSTRAINT pk PRIMARY KEY (id) INCLUDE (name));
CREATE UNIQUE INDEX accounts_name ON accounts (name) WITH (fillfactor = 70);
ALTER TABLE accounts REPLICA IDENTITY USING INDEX accounts_name;
CREATE INDEX accounts_lower ON accounts (lower(name), (id + 1));
ALTER INDEX accounts_lower ALTER COLUMN 1 SET STATISTICS 500;
ALTER TABLE accounts CLUSTER ON accounts_lower;
ALTER TABLE accounts ALTER big SET STORAGE EXTERNAL, ALTER name SET STATISTICS 1000, ALTER id SET (n_distinct = -1);
ALTER TABLE accounts SET (autovacuum_enabled = off, toast.autovacuum_enabled = off);
CREATE STATISTICS both_of (dependencies, mcv) ON id, name FROM accounts;
ALTER STATISTICS both_of SET STATISTICS 300;
CREATE UNLOGGED TABLE forgetful AS SELECT 1 AS x;
INSERT INTO accounts SELECT i, 'n' || i, repeat('y', 3000) FROM generate_series(1, 100) i;
