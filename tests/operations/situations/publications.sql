-- source: PostgreSQL 15's release notes: row filters, column lists, whole schemas; and pgcopydb's reports of lost ones
CREATE SCHEMA app;
CREATE TABLE app.accounts (id int PRIMARY KEY, name text, secret text);
INSERT INTO app.accounts SELECT i, 'n', 's' FROM generate_series(1, 10) i;
CREATE PUBLICATION filtered FOR TABLE app.accounts (id, name) WHERE (id > 5 AND name <> 'a; b''c');
CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA app;
CREATE PUBLICATION everything FOR ALL TABLES WITH (publish = 'insert');
COMMENT ON PUBLICATION filtered IS 'some columns; of some rows';
