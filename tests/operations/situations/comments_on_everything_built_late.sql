-- source: pgcopydb #174 and others: comments on what is built late get lost or in the way when an archive is split
-- warning: event trigger e calls public.event_nothing
CREATE EXTENSION btree_gist;
CREATE TABLE parents (id int PRIMARY KEY, span int4range, EXCLUDE USING gist (span WITH &&));
CREATE TABLE children (id int, parent int, note text, CONSTRAINT u UNIQUE (note), CONSTRAINT c CHECK (id > 0));
ALTER TABLE children ADD CONSTRAINT k FOREIGN KEY (parent) REFERENCES parents;
CREATE INDEX children_parent ON children (parent);
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER t AFTER INSERT ON children FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE POLICY p ON children USING (true);
CREATE RULE r AS ON UPDATE TO parents WHERE false DO ALSO NOTHING;
CREATE STATISTICS s ON id, parent FROM children;
CREATE FUNCTION event_nothing() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION event_nothing();
COMMENT ON CONSTRAINT parents_span_excl ON parents IS 'exclusion';
COMMENT ON CONSTRAINT parents_pkey ON parents IS 'primary';
COMMENT ON CONSTRAINT u ON children IS 'unique';
COMMENT ON CONSTRAINT c ON children IS 'check';
COMMENT ON CONSTRAINT k ON children IS 'foreign';
COMMENT ON INDEX children_parent IS 'index';
COMMENT ON INDEX parents_pkey IS 'index of a key';
COMMENT ON TRIGGER t ON children IS 'trigger';
COMMENT ON POLICY p ON children IS 'policy';
COMMENT ON RULE r ON parents IS 'rule';
COMMENT ON STATISTICS s IS 'statistics';
COMMENT ON EVENT TRIGGER e IS 'event trigger';
INSERT INTO parents SELECT i, int4range(i * 10, i * 10 + 5) FROM generate_series(1, 20) i;
INSERT INTO children SELECT i, i, 'n' || i FROM generate_series(1, 20) i;
