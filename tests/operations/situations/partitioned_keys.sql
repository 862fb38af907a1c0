-- source: pgstream #1093: indexes of partitions that are not attached leave the key of the whole table invalid
CREATE TABLE events (id int, at date, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2024-01-01');
CREATE TABLE events_new (note text, at date NOT NULL, id int NOT NULL);
ALTER TABLE events ATTACH PARTITION events_new FOR VALUES FROM ('2024-01-01') TO ('2030-01-01');
CREATE INDEX events_note ON events (note);
COMMENT ON INDEX events_note IS 'of all';
COMMENT ON CONSTRAINT events_new_pkey ON events_new IS 'of one';
CREATE TABLE remarks (event int, at date, FOREIGN KEY (event, at) REFERENCES events);
INSERT INTO events SELECT i, date '2022-01-01' + i, 'n' || i FROM generate_series(1, 1500) i;
INSERT INTO remarks SELECT id, at FROM events WHERE id % 3 = 0;
