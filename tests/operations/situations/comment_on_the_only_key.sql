-- source: found here: pg_restore takes a comment for one of the section of the entry before it in the list
CREATE TABLE accounts (id int CONSTRAINT accounts_key PRIMARY KEY, name text);
COMMENT ON CONSTRAINT accounts_key ON accounts IS 'the only entry after the rows';
INSERT INTO accounts SELECT i, 'n' || i FROM generate_series(1, 50) i;
