-- source: pgcopydb #484, steampipe #1935: a materialized view whose query finds its table by the search path alone
-- until: 16, since when such a view cannot be made either
-- warning: documents_word
-- by hand: differs: pg_restore --exit-on-error ends there; without it the view stays empty, as here
CREATE TABLE documents (id int PRIMARY KEY, words tsvector);
INSERT INTO documents SELECT i, to_tsvector('simple', 'word' || i % 5) FROM generate_series(1, 40) i;
CREATE MATERIALIZED VIEW documents_word AS SELECT word FROM ts_stat('SELECT words FROM documents');
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM documents;
