-- source: xocolatl/periods #35: event triggers that protect a schema make its dump impossible to restore
-- by hand: differs: pg_restore makes event triggers before it refreshes views, and they forbid that
-- warning: event trigger a_forbid calls public.forbid
CREATE TABLE accounts (id int PRIMARY KEY);
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM accounts;
INSERT INTO accounts SELECT generate_series(1, 10);
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'no % here', tg_tag; END $$;
CREATE EVENT TRIGGER a_forbid ON ddl_command_start EXECUTE FUNCTION forbid();
CREATE EVENT TRIGGER b_forbid ON table_rewrite WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION forbid();
COMMENT ON EVENT TRIGGER a_forbid IS 'nothing may change';
ALTER EVENT TRIGGER b_forbid DISABLE;
