-- source: PostgreSQL 18's release notes: NOT ENFORCED, NOT NULL ... NOT VALID, virtual columns, temporal keys
-- major: 18
CREATE EXTENSION btree_gist;
CREATE TABLE parents (id int, during daterange, PRIMARY KEY (id, during WITHOUT OVERLAPS));
CREATE TABLE accounts (id int PRIMARY KEY);
CREATE TABLE statuses (id int PRIMARY KEY, account int, during daterange, text text,
    doubled int GENERATED ALWAYS AS (id * 2) VIRTUAL,
    CONSTRAINT never CHECK (id < 0) NOT ENFORCED,
    CONSTRAINT nobody FOREIGN KEY (account) REFERENCES accounts NOT ENFORCED,
    CONSTRAINT in_time FOREIGN KEY (account, PERIOD during) REFERENCES parents (id, PERIOD during));
INSERT INTO parents VALUES (7, '[2020-01-01,2030-01-01)');
INSERT INTO statuses SELECT i, 7, '[2024-01-01,2025-01-01)', NULL FROM generate_series(1, 10) i;
ALTER TABLE statuses ADD CONSTRAINT has_text NOT NULL text NOT VALID;
COMMENT ON CONSTRAINT nobody ON statuses IS 'nobody checks';
COMMENT ON CONSTRAINT has_text ON statuses IS 'from now on';
