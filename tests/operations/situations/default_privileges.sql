-- source: pg_dump's own tests: default privileges, grants on columns, refusals of what everybody has
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;
CREATE TABLE accounts (id int PRIMARY KEY, name text, secret text);
CREATE FUNCTION hidden() RETURNS int LANGUAGE sql AS 'SELECT 1';
REVOKE SELECT ON accounts FROM PUBLIC;
GRANT SELECT (id, name), UPDATE (name) ON accounts TO PUBLIC;
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
INSERT INTO accounts SELECT i FROM generate_series(1, 10) i;
