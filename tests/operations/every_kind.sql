-- Every kind of object that pg_dump 15 knows, in one database. Roles every_kind_owner and every_kind_reader are there.
SET check_function_bodies = off;
CREATE SCHEMA things AUTHORIZATION every_kind_owner;
CREATE SCHEMA "odd; ""schema"" -- x";
COMMENT ON SCHEMA things IS 'a comment; with ''quotes'' and
a newline';
ALTER DEFAULT PRIVILEGES FOR ROLE every_kind_owner IN SCHEMA things GRANT SELECT ON TABLES TO every_kind_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE every_kind_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- extensions, foreign data
CREATE EXTENSION btree_gist;
CREATE EXTENSION hstore SCHEMA things;
CREATE EXTENSION file_fdw;
CREATE EXTENSION pg_trgm;
CREATE FOREIGN DATA WRAPPER idle_wrapper OPTIONS (debug 'true');
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE SERVER nowhere FOREIGN DATA WRAPPER idle_wrapper OPTIONS (host 'a;b');
CREATE USER MAPPING FOR every_kind_owner SERVER nowhere OPTIONS (password 'x''y');
CREATE FOREIGN TABLE things.passwd (line text OPTIONS (force_not_null 'true')) SERVER files
    OPTIONS (filename '/dev/null', format 'csv');
GRANT USAGE ON FOREIGN SERVER files TO every_kind_reader;

-- types
CREATE TYPE things.mood AS ENUM ('sad', 'ok', 'it''s; good');
CREATE TYPE things.pair AS (a int, b text COLLATE "C");
CREATE TYPE things.shell;
CREATE TYPE things.floatrange AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE DOMAIN things.positive AS int DEFAULT 1 CHECK (VALUE > 0);
ALTER DOMAIN things.positive ADD CONSTRAINT below CHECK (VALUE < 1000000) NOT VALID;
CREATE DOMAIN things.moods AS things.mood[] NOT NULL;
CREATE TYPE things.colour;
CREATE FUNCTION things.colour_in(cstring) RETURNS things.colour LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION things.colour_out(things.colour) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE things.colour (INPUT = things.colour_in, OUTPUT = things.colour_out, LIKE = int4);
CREATE COLLATION things.numbers (provider = icu, locale = 'en-u-kn-true');
CREATE COLLATION things.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE CONVERSION things.myconv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;

-- functions and what is made of them
CREATE FUNCTION things.twice(int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN $1 * 2;
CREATE FUNCTION things."odd; name"(INOUT a int DEFAULT 3, VARIADIC rest text[] DEFAULT '{}') LANGUAGE plpgsql
    SET work_mem = '5MB' AS $f$ BEGIN a := a + 1; /* '; " $ */ END $f$;
CREATE PROCEDURE things.work(IN a int, OUT b int) LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN b := a; END';
CREATE FUNCTION things.pair_is_less(things.pair, things.pair) RETURNS boolean LANGUAGE sql IMMUTABLE
    AS 'SELECT ($1).a < ($2).a';
CREATE FUNCTION things.pair_is_not_more(things.pair, things.pair) RETURNS boolean LANGUAGE sql IMMUTABLE
    AS 'SELECT ($1).a <= ($2).a';
CREATE FUNCTION things.pair_is_same(things.pair, things.pair) RETURNS boolean LANGUAGE sql IMMUTABLE
    AS 'SELECT ($1).a = ($2).a';
CREATE FUNCTION things.pair_is_not_less(things.pair, things.pair) RETURNS boolean LANGUAGE sql IMMUTABLE
    AS 'SELECT ($1).a >= ($2).a';
CREATE FUNCTION things.pair_is_more(things.pair, things.pair) RETURNS boolean LANGUAGE sql IMMUTABLE
    AS 'SELECT ($1).a > ($2).a';
CREATE FUNCTION things.pair_compare(things.pair, things.pair) RETURNS int LANGUAGE sql IMMUTABLE
    AS 'SELECT ($1).a - ($2).a';
CREATE OPERATOR things.<# (LEFTARG = things.pair, RIGHTARG = things.pair, FUNCTION = things.pair_is_less);
CREATE OPERATOR things.<=# (LEFTARG = things.pair, RIGHTARG = things.pair, FUNCTION = things.pair_is_not_more);
CREATE OPERATOR things.=# (LEFTARG = things.pair, RIGHTARG = things.pair, FUNCTION = things.pair_is_same, COMMUTATOR = OPERATOR(things.=#), RESTRICT = eqsel, MERGES);
CREATE OPERATOR things.>=# (LEFTARG = things.pair, RIGHTARG = things.pair, FUNCTION = things.pair_is_not_less);
CREATE OPERATOR things.># (LEFTARG = things.pair, RIGHTARG = things.pair, FUNCTION = things.pair_is_more);
CREATE OPERATOR FAMILY things.pairs USING btree;
CREATE OPERATOR CLASS things.pair_ops FOR TYPE things.pair USING btree FAMILY things.pairs
    AS OPERATOR 1 things.<#, OPERATOR 2 things.<=#, OPERATOR 3 things.=#, OPERATOR 4 things.>=#, OPERATOR 5 things.>#,
    FUNCTION 1 things.pair_compare(things.pair, things.pair);
CREATE AGGREGATE things.total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE FUNCTION things.pair_to_int(things.pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT ($1).a';
CREATE CAST (things.pair AS int) WITH FUNCTION things.pair_to_int(things.pair) AS ASSIGNMENT;
CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal));
CREATE ACCESS METHOD heap_again TYPE TABLE HANDLER heap_tableam_handler;
CREATE FUNCTION things.call_handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION things.validator(oid) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE LANGUAGE plagain HANDLER things.call_handler VALIDATOR things.validator;
COMMENT ON LANGUAGE plagain IS 'plain again';

-- text search
CREATE TEXT SEARCH PARSER things.parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end,
    LEXTYPES = prsd_lextype);
CREATE TEXT SEARCH TEMPLATE things.template (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY things.dictionary (TEMPLATE = things.template, STOPWORDS = 'english');
CREATE TEXT SEARCH CONFIGURATION things.configuration (PARSER = things.parser);
ALTER TEXT SEARCH CONFIGURATION things.configuration ADD MAPPING FOR word WITH things.dictionary, simple;

-- sequences and tables
CREATE SEQUENCE things.odd_steps AS smallint INCREMENT -5 MINVALUE -1000 MAXVALUE 3 START 3 CACHE 2 CYCLE;
CREATE UNLOGGED TABLE things.not_logged (id int PRIMARY KEY, text text);
CREATE TABLE things.main (
    id bigint GENERATED BY DEFAULT AS IDENTITY (START 100 INCREMENT 3) PRIMARY KEY,
    gone int,
    mood things.mood NOT NULL DEFAULT 'ok',
    pairs things.pair[],
    span int4range,
    floats things.floatrange,
    amount things.positive,
    extra things.hstore,
    doubled bigint GENERATED ALWAYS AS (amount * 2) STORED,
    numbered text COMPRESSION pglz COLLATE things.numbers,
    colour things.colour,
    feelings things.moods DEFAULT '{}',
    doc tsvector,
    EXCLUDE USING gist (span WITH &&) WHERE (amount > 5) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT "check; ""odd""" CHECK (id > 0) NO INHERIT
) WITH (fillfactor = 80, autovacuum_enabled = off);
ALTER TABLE things.main DROP COLUMN gone;
ALTER TABLE things.main ALTER numbered SET STATISTICS 500, ALTER numbered SET (n_distinct = -0.5);
ALTER TABLE things.main ALTER numbered SET STORAGE EXTERNAL;
ALTER TABLE things.main OWNER TO every_kind_owner;
ALTER TABLE things.main REPLICA IDENTITY FULL;
COMMENT ON COLUMN things.main.mood IS 'how it feels';
COMMENT ON CONSTRAINT "check; ""odd""" ON things.main IS 'odd';
GRANT SELECT (id, mood), UPDATE (mood) ON things.main TO every_kind_reader WITH GRANT OPTION;
CREATE TABLE things.again (id int, text text) USING heap_again;
CREATE TABLE "odd; ""schema"" -- x"."Ta""ble; -- with
newline" ("c; ""1""" int UNIQUE NULLS NOT DISTINCT, "select" text DEFAULT 'it''s');
CREATE TABLE things.no_columns ();
CREATE TABLE things.of_type OF things.pair (PRIMARY KEY (a));
CREATE TABLE things.parent (id int PRIMARY KEY, text text CHECK (text <> ''));
CREATE TABLE things.child (own text DEFAULT 'own') INHERITS (things.parent);
CREATE TABLE things.adopted (text text, id int NOT NULL, CONSTRAINT parent_text_check CHECK (text <> ''));
ALTER TABLE things.adopted INHERIT things.parent;
CREATE TABLE things.empty (a int PRIMARY KEY, b text);

-- partitions of each kind
CREATE TABLE things.by_range (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE things.range_2025 PARTITION OF things.by_range FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE things.range_2026 (at date NOT NULL, gone int, id int NOT NULL);
ALTER TABLE things.range_2026 DROP COLUMN gone;
ALTER TABLE things.by_range ATTACH PARTITION things.range_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE things.range_other PARTITION OF things.by_range DEFAULT;
CREATE TABLE things.detached (id int, at date);
CREATE TABLE things.by_list (mood text, n int) PARTITION BY LIST (mood);
CREATE TABLE things.list_sad PARTITION OF things.by_list FOR VALUES IN ('sad', NULL) PARTITION BY HASH (n);
CREATE TABLE things.hash_0 PARTITION OF things.list_sad FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE things.hash_1 PARTITION OF things.list_sad FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE things.list_ok PARTITION OF things.by_list FOR VALUES IN ('ok');
CREATE INDEX by_list_n ON things.by_list (n) WHERE n > 3;
CREATE INDEX by_range_at ON ONLY things.by_range (at);
CREATE INDEX range_2025_at ON things.range_2025 (at);
ALTER INDEX things.by_range_at ATTACH PARTITION things.range_2025_at;

-- keys: cycles, to and from partitions, never checked, deferred
CREATE TABLE things.left_side (id int PRIMARY KEY, right_id int);
CREATE TABLE things.right_side (id int PRIMARY KEY, left_id int REFERENCES things.left_side DEFERRABLE);
ALTER TABLE things.left_side ADD FOREIGN KEY (right_id) REFERENCES things.right_side INITIALLY DEFERRED;
ALTER TABLE things.by_range ADD CONSTRAINT to_empty FOREIGN KEY (id) REFERENCES things.empty;
CREATE TABLE things.to_parts (id int, at date, FOREIGN KEY (id, at) REFERENCES things.by_range MATCH FULL);
ALTER TABLE things.main ADD CONSTRAINT to_self FOREIGN KEY (id) REFERENCES things.main ON DELETE SET NULL (id);
COMMENT ON CONSTRAINT to_self ON things.main IS 'a key; of its own';

-- rows
INSERT INTO things.empty SELECT i, 'row ' || i FROM generate_series(1, 400) i;
INSERT INTO things.main (mood, pairs, span, floats, amount, extra, numbered, colour, doc)
    SELECT (enum_range(NULL::things.mood))[1 + i % 3], ARRAY[(i, E'a,"b\\c' || i)::things.pair], int4range(i, i + 1),
        things.floatrange(i, i + 0.5), i, things.hstore('k' || i, NULL), 'item ' || i, i::text::things.colour,
        to_tsvector('simple', 'word ' || i)
    FROM generate_series(1, 3000) i;
INSERT INTO "odd; ""schema"" -- x"."Ta""ble; -- with
newline" SELECT i, NULL FROM generate_series(1, 20) i;
INSERT INTO things.no_columns DEFAULT VALUES;
INSERT INTO things.of_type VALUES (1, 'typed');
INSERT INTO things.parent SELECT i, 'parent ' || i FROM generate_series(1, 50) i;
INSERT INTO things.child SELECT i, 'child ' || i FROM generate_series(500, 560) i;
INSERT INTO things.adopted VALUES ('adopted', 7);
INSERT INTO things.by_range SELECT i, date '2024-12-20' + i * 3 FROM generate_series(1, 300) i;
INSERT INTO things.to_parts SELECT * FROM things.by_range LIMIT 40;
INSERT INTO things.by_list SELECT (ARRAY['sad', NULL, 'ok'])[1 + i % 3], i FROM generate_series(1, 300) i;
INSERT INTO things.not_logged VALUES (1, 'not logged');
INSERT INTO things.again SELECT i, md5(i::text) FROM generate_series(1, 500) i;
INSERT INTO things.left_side VALUES (1, NULL);
INSERT INTO things.right_side VALUES (1, 1);
UPDATE things.left_side SET right_id = 1;
ALTER TABLE things.child ADD CONSTRAINT "never; checked" FOREIGN KEY (id) REFERENCES things.empty NOT VALID;
SELECT setval('things.odd_steps', -7, true);
SELECT lo_from_bytea(4711, 'a large object');
SELECT lo_from_bytea(4712, '');
COMMENT ON LARGE OBJECT 4711 IS 'large; object';
ALTER LARGE OBJECT 4711 OWNER TO every_kind_owner;
GRANT SELECT ON LARGE OBJECT 4712 TO every_kind_reader;

-- what hangs on tables
CREATE INDEX "odd; index" ON things.main USING gin (doc) WITH (fastupdate = off);
CREATE UNIQUE INDEX main_numbered ON things.main (lower(numbered) text_pattern_ops DESC) INCLUDE (amount)
    WHERE numbered <> '';
CREATE INDEX main_trigram ON things.main USING gist (numbered gist_trgm_ops (siglen = 32));
CREATE INDEX main_pairs ON things.main ((pairs[1]) things.pair_ops);
ALTER INDEX things.main_pairs ALTER COLUMN 1 SET STATISTICS 400;
ALTER TABLE things.empty CLUSTER ON empty_pkey;
ALTER TABLE things.of_type REPLICA IDENTITY USING INDEX of_type_pkey;
CREATE STATISTICS things.dependent (dependencies, mcv) ON mood, amount FROM things.main;
CREATE STATISTICS things.of_expression ON (lower(numbered)), mood FROM things.main;
ALTER STATISTICS things.dependent SET STATISTICS 50;
CREATE VIEW things.seen WITH (security_barrier) AS SELECT id, mood FROM things.main WHERE amount < 10
    WITH LOCAL CHECK OPTION;
CREATE RECURSIVE VIEW things.counting (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counting WHERE n < 5;
CREATE VIEW things.by_key AS SELECT a, b, count(*) FROM things.empty GROUP BY a;
CREATE MATERIALIZED VIEW things.filled AS SELECT mood, count(*) AS n FROM things.main GROUP BY mood;
CREATE MATERIALIZED VIEW things.filled_again AS SELECT sum(n) AS s FROM things.filled;
CREATE MATERIALIZED VIEW things.of_a_late_view AS SELECT a, b FROM things.by_key;
CREATE UNIQUE INDEX ON things.of_a_late_view (a);
CREATE MATERIALIZED VIEW things.not_filled AS SELECT 1 AS one WITH NO DATA;
CREATE UNIQUE INDEX ON things.filled (mood);
CREATE RULE "no; deletes" AS ON DELETE TO things.empty WHERE old.a < 0 DO INSTEAD NOTHING;
CREATE RULE told AS ON INSERT TO things.seen DO ALSO NOTIFY told;
CREATE FUNCTION things.changed() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not while restoring'; END$$;
CREATE TRIGGER "row; trigger" BEFORE INSERT OR UPDATE OF b ON things.empty FOR EACH ROW
    WHEN (new.a > 1000000) EXECUTE FUNCTION things.changed('x; y');
CREATE TRIGGER always AFTER INSERT ON things.left_side REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION things.changed();
CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON things.right_side DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION things.changed();
CREATE TRIGGER parted BEFORE INSERT ON things.by_list FOR EACH ROW WHEN (new.n < 0) EXECUTE FUNCTION things.changed();
ALTER TABLE things.right_side ENABLE ALWAYS TRIGGER late;
ALTER TABLE things.left_side DISABLE TRIGGER always;
ALTER TABLE things.main ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON things.main AS RESTRICTIVE FOR SELECT TO every_kind_reader USING (mood <> 'sad');
CREATE POLICY checked ON things.main FOR INSERT WITH CHECK (amount > 0);
COMMENT ON POLICY mine ON things.main IS 'mine';
CREATE PUBLICATION "some; rows" FOR TABLE things.main (id, mood) WHERE (id > 5) WITH (publish = 'insert');
CREATE PUBLICATION a_schema FOR TABLES IN SCHEMA "odd; ""schema"" -- x" WITH (publish = 'insert');
CREATE PUBLICATION everything FOR ALL TABLES WITH (publish = 'insert, truncate', publish_via_partition_root);
CREATE SUBSCRIPTION idle CONNECTION 'host=nowhere.example dbname=x' PUBLICATION "some; rows"
    WITH (connect = false, slot_name = NONE);
CREATE FUNCTION things.on_ddl() RETURNS event_trigger LANGUAGE plpgsql
    AS $$BEGIN IF current_setting('every_kind.strict', true) = 'on' THEN RAISE 'no'; END IF; END$$;
CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE') EXECUTE FUNCTION things.on_ddl();
COMMENT ON EVENT TRIGGER watch IS 'watches';
ALTER EVENT TRIGGER watch ENABLE ALWAYS;
GRANT ALL ON ALL TABLES IN SCHEMA things TO every_kind_reader;
REVOKE ALL ON FUNCTION things.twice(int) FROM PUBLIC;
REFRESH MATERIALIZED VIEW things.filled;
REFRESH MATERIALIZED VIEW things.filled_again;
