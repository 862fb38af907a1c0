-- source: PostgreSQL 17's release notes: transaction_timeout, set for a database, ends a backup's one long transaction
-- major: 17
CREATE TABLE accounts (id int PRIMARY KEY, padding text);
INSERT INTO accounts SELECT i, repeat('x', 500) FROM generate_series(1, 20000) i;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET transaction_timeout = 50', current_database()); END $$;
