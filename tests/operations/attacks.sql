-- What a role without any rights but a schema of its own can put into a database for whoever restores it. Everything
-- is run as that role, `tenant`. try() raises what it has reached, and attack() is what a definition may call.
CREATE FUNCTION tenant.try(kind text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    step text;
    reached text := '';
BEGIN
    FOREACH step IN ARRAY ARRAY[
        'SELECT', 'RESET ROLE', 'SET ROLE postgres', 'RESET SESSION AUTHORIZATION', 'SET SESSION AUTHORIZATION postgres',
        'ALTER ROLE tenant SUPERUSER', 'GRANT pg_execute_server_program TO tenant', 'SET SESSION AUTHORIZATION neighbour'
    ] LOOP
        BEGIN
            EXECUTE step;
            -- the readers can do nothing but read, and the last one nothing but insert where tenant has given up to
            IF current_user NOT IN ('tenant', 'reader', 'permafrost_reader', 'permafrost_rows') THEN
                reached := reached || ' as ' || current_user;
            END IF;
            IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
                reached := reached || ' superuser by ' || step;
            END IF;
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
        BEGIN
            EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', 'permafrost-attack-' || kind);
            reached := reached || ' program';
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
        BEGIN
            PERFORM pg_catalog.pg_read_file('/etc/passwd');
            reached := reached || ' file';
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
        BEGIN
            EXECUTE 'DELETE FROM neighbour.kept';
            reached := reached || ' neighbour';
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
    BEGIN
        PERFORM public.dblink_exec(
            format('user=postgres dbname=%s', current_database()),
            format('COPY (SELECT 1) TO PROGRAM %L', 'permafrost-attack-dblink-' || kind));
        reached := reached || ' dblink';
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
    IF reached <> '' THEN
        RAISE EXCEPTION 'the attack by % has reached:%', kind, reached;
    END IF;
END $$;

CREATE FUNCTION tenant.attack(kind text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM tenant.try(kind);
    RETURN true;
END $$;
CREATE FUNCTION tenant.attack(kind text, value int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM tenant.try(kind);
    RETURN value;
END $$;

CREATE TABLE tenant.by_check (value int CHECK (tenant.attack('check')));
INSERT INTO tenant.by_check VALUES (1), (2);

CREATE TABLE tenant.by_index (value int);
INSERT INTO tenant.by_index VALUES (1), (2);
CREATE INDEX ON tenant.by_index (tenant.attack('index', value)) WHERE tenant.attack('index predicate');
CREATE STATISTICS tenant.by_statistics ON tenant.attack('statistics', value), value FROM tenant.by_index;

CREATE MATERIALIZED VIEW tenant.by_view AS SELECT tenant.attack('materialized view', 1) AS value;
CREATE INDEX ON tenant.by_view (tenant.attack('index of a view', value));

CREATE TABLE tenant.by_column (
    value int,
    computed int GENERATED ALWAYS AS (tenant.attack('generated column', value)) STORED,
    given int DEFAULT tenant.attack('default', 1)
);
INSERT INTO tenant.by_column (value) VALUES (1), (2);

CREATE DOMAIN tenant.by_domain AS int CHECK (tenant.attack('domain', VALUE) = VALUE);
CREATE TABLE tenant.of_domain (value tenant.by_domain, list tenant.by_domain[]);
INSERT INTO tenant.of_domain VALUES (1, '{1,2}');

-- a check that depends on its own table's type is added after the rows, and then looks at all of them
CREATE TABLE tenant.by_late_check (value int);
CREATE FUNCTION tenant.attack(line tenant.by_late_check) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM tenant.try('late check');
    RETURN true;
END $$;
INSERT INTO tenant.by_late_check VALUES (1), (2);
ALTER TABLE tenant.by_late_check ADD CONSTRAINT late CHECK (tenant.attack(by_late_check));

-- a key whose columns are compared through a cast of the tenant's own
CREATE TYPE tenant.digit AS ENUM ('1', '2');
CREATE FUNCTION tenant.number(value tenant.digit) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM tenant.try('cast of a foreign key');
    RETURN value::text::int;
END $$;
CREATE CAST (tenant.digit AS int) WITH FUNCTION tenant.number(tenant.digit) AS IMPLICIT;
CREATE TABLE tenant.numbers (value int PRIMARY KEY);
INSERT INTO tenant.numbers VALUES (1), (2);
CREATE TABLE tenant.by_key (value tenant.digit REFERENCES tenant.numbers);
INSERT INTO tenant.by_key VALUES ('1'), ('2');

-- rows that are in the frame, as the text of a regclass depends on names
CREATE TABLE tenant.in_frame (value regclass CHECK (tenant.attack('check in the frame')));
INSERT INTO tenant.in_frame VALUES ('tenant.by_check');

-- rows that the tenant itself may not write, here and in the frame
CREATE TABLE tenant.given_up (value int CHECK (tenant.attack('check of a table that was given up')));
INSERT INTO tenant.given_up VALUES (1), (2);
REVOKE INSERT ON tenant.given_up FROM tenant;
CREATE TABLE tenant.given_up_in_frame (value regclass CHECK (tenant.attack('the same in the frame')));
INSERT INTO tenant.given_up_in_frame VALUES ('tenant.by_check');
REVOKE ALL ON tenant.given_up_in_frame FROM tenant;

CREATE TABLE tenant.by_exclusion (value int, EXCLUDE USING btree ((tenant.attack('exclusion', value)) WITH =));
INSERT INTO tenant.by_exclusion VALUES (1), (2);

CREATE TABLE tenant.by_policy (value int);
INSERT INTO tenant.by_policy VALUES (1), (2);
CREATE POLICY attack ON tenant.by_policy USING (tenant.attack('policy')) WITH CHECK (tenant.attack('policy'));
ALTER TABLE tenant.by_policy ENABLE ROW LEVEL SECURITY;

CREATE FUNCTION tenant.on_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tenant.try('trigger');
    RETURN NEW;
END $$;
CREATE TABLE tenant.by_trigger (value int);
CREATE TRIGGER attack BEFORE INSERT OR UPDATE ON tenant.by_trigger FOR EACH ROW EXECUTE FUNCTION tenant.on_row();
ALTER TABLE tenant.by_trigger ENABLE ALWAYS TRIGGER attack;
INSERT INTO tenant.by_trigger VALUES (1), (2);

CREATE FUNCTION tenant.on_event() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM tenant.try('event'); END $$;
CREATE FUNCTION tenant.compare(one int, other int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM tenant.try('operator class');
    RETURN pg_catalog.btint4cmp(one, other);
END $$;
CREATE TABLE tenant.by_operator_class (value int);
INSERT INTO tenant.by_operator_class VALUES (2), (1), (3);
