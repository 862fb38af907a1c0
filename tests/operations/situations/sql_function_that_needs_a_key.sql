-- source: PostgreSQL bug 18149's kind: a function with an SQL body that depends on a key is made after the rows
CREATE TABLE accounts (id int PRIMARY KEY, name text);
INSERT INTO accounts SELECT i, 'n' || i FROM generate_series(1, 20) i;
CREATE FUNCTION grouped() RETURNS TABLE (id int, name text) LANGUAGE sql
    BEGIN ATOMIC SELECT a.id, a.name FROM accounts a GROUP BY a.id; END;
CREATE VIEW through AS SELECT * FROM grouped();
COMMENT ON VIEW through IS 'late';
GRANT SELECT ON through TO PUBLIC;
CREATE INDEX accounts_name ON accounts (name);
