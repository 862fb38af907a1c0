-- source: neon #2243, pgextwlist #36: pg_stat_statements and what depends on it
CREATE EXTENSION pg_stat_statements;
COMMENT ON EXTENSION pg_stat_statements IS 'ours';
CREATE SCHEMA tools;
CREATE EXTENSION pg_trgm SCHEMA tools;
CREATE VIEW slow AS SELECT query, calls FROM pg_stat_statements WHERE mean_exec_time > 100;
CREATE TABLE accounts (id int PRIMARY KEY, name text);
INSERT INTO accounts SELECT i, 'name ' || i FROM generate_series(1, 100) i;
CREATE INDEX accounts_name ON accounts USING gin (name tools.gin_trgm_ops);
