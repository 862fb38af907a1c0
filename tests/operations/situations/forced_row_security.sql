-- source: PostgreSQL's manual, pg_dump --enable-row-security: policies that hide rows from their owner
CREATE TABLE messages (id int PRIMARY KEY, owner text);
INSERT INTO messages SELECT i, 'o' || i % 3 FROM generate_series(1, 60) i;
ALTER TABLE messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE messages FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON messages USING (owner = current_user) WITH CHECK (false);
COMMENT ON POLICY own ON messages IS 'nobody';
