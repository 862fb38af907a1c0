-- source: pgcopydb #264 again, through a domain, and the other table is one that pg_dump keeps
CREATE TABLE a_kinds (kind regclass PRIMARY KEY, name text);
INSERT INTO a_kinds VALUES ('pg_class', 'class'), ('pg_proc', 'proc');
CREATE FUNCTION is_kind(text) RETURNS boolean LANGUAGE plpgsql STABLE
    AS $$BEGIN RETURN EXISTS (SELECT FROM public.a_kinds WHERE name OPERATOR(pg_catalog.=) $1); END$$;
CREATE DOMAIN kind AS text CHECK (is_kind(VALUE));
CREATE TABLE b_things (id int PRIMARY KEY, of kind);
INSERT INTO b_things SELECT i, CASE WHEN i % 2 = 0 THEN 'class' ELSE 'proc' END FROM generate_series(1, 3000) i;
