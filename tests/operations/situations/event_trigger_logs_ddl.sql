-- source: timescaledb #210, e-maj #25: event triggers that write down what DDL does must not see a restore
-- by hand: differs: pg_restore makes event triggers before it refreshes views, and they write that down
-- warning: event trigger log_ddl calls public.log_ddl
CREATE TABLE ddl_log (tag text, object text);
CREATE TABLE accounts (id int PRIMARY KEY);
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM accounts;
INSERT INTO accounts SELECT generate_series(1, 10);
CREATE FUNCTION log_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.ddl_log SELECT command_tag, object_identity FROM pg_event_trigger_ddl_commands();
END $$;
CREATE EVENT TRIGGER log_ddl ON ddl_command_end EXECUTE FUNCTION log_ddl();
CREATE INDEX accounts_odd ON accounts (id) WHERE id % 2 = 1;
CREATE PUBLICATION part FOR TABLE accounts;
