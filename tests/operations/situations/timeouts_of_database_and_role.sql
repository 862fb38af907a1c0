-- source: pgbackrest #2789, pg_rman #134: time-outs meant for an application end the sessions of a backup
CREATE TABLE accounts (id int PRIMARY KEY, padding text);
INSERT INTO accounts SELECT i, repeat('x', 500) FROM generate_series(1, 20000) i;
CREATE INDEX accounts_padding ON accounts (md5(padding), id);
DO $$
DECLARE setting text;
BEGIN
    FOREACH setting IN ARRAY ARRAY['statement_timeout = 20', 'lock_timeout = 20', 'idle_session_timeout = 200',
            'idle_in_transaction_session_timeout = 50', 'default_transaction_read_only = on', 'row_security = off',
            'default_transaction_isolation = ''serializable''', 'default_transaction_deferrable = on',
            'search_path = pg_temp', 'DateStyle = ''German''', 'IntervalStyle = ''sql_standard''',
            'bytea_output = ''escape''', 'extra_float_digits = -5', 'enable_tidscan = off'] LOOP
        EXECUTE format('ALTER DATABASE %I SET %s', current_database(), setting);
    END LOOP;
END $$;
