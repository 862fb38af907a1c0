-- source: pgstream #908: unique indexes of materialized views, views that need others, views that need a key
CREATE TABLE accounts (id int PRIMARY KEY, domain text, name text);
INSERT INTO accounts SELECT i, 'd' || i % 7, 'n' || i FROM generate_series(1, 200) i;
CREATE MATERIALIZED VIEW domains AS SELECT domain, count(*) AS n FROM accounts GROUP BY domain;
CREATE UNIQUE INDEX domains_domain ON domains (domain);
CREATE MATERIALIZED VIEW busy AS SELECT domain FROM domains WHERE n > 3;
CREATE INDEX ON busy (domain);
CREATE VIEW by_key AS SELECT id, name, count(*) FROM accounts GROUP BY id;
CREATE MATERIALIZED VIEW of_key AS SELECT id, name FROM by_key;
CREATE UNIQUE INDEX of_key_id ON of_key (id);
COMMENT ON INDEX of_key_id IS 'after the key, after the view';
CREATE MATERIALIZED VIEW empty AS SELECT * FROM accounts WITH NO DATA;
CREATE INDEX empty_id ON empty (id);
CLUSTER domains USING domains_domain;
