-- source: gpdb #3569: a foreign table as a partition, and user mappings
CREATE EXTENSION postgres_fdw;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'nowhere.invalid');
CREATE USER MAPPING FOR PUBLIC SERVER elsewhere OPTIONS (user 'x', password 'y');
CREATE TABLE events (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE events_here PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2025-01-01');
CREATE FOREIGN TABLE events_there PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2030-01-01') SERVER elsewhere;
INSERT INTO events_here SELECT i, date '2021-01-01' + i FROM generate_series(1, 30) i;
