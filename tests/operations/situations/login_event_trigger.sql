-- source: handed over as case 16; a log of logins, as the manual's example of a login trigger keeps one
-- major: 17
-- warning: event trigger log_login calls public.log_login
CREATE TABLE user_login_log ("user" text, session_start timestamptz);
CREATE TABLE accounts (id int PRIMARY KEY);
INSERT INTO accounts SELECT generate_series(1, 100);
CREATE FUNCTION log_login() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF current_setting('application_name') = 'permafrost' AND current_database() !~ '^test_' THEN
        INSERT INTO public.user_login_log VALUES (session_user, current_timestamp);
    END IF;
END $$;
CREATE EVENT TRIGGER log_login ON login EXECUTE FUNCTION log_login();
ALTER EVENT TRIGGER log_login ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER log_login IS 'logins';
