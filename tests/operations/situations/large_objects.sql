-- source: PostgreSQL bug 17693's kind: comments, owners and grants of large objects
SELECT lo_from_bytea(4711, '\x00ff'), lo_from_bytea(4712, decode(repeat('ab', 5000), 'hex'));
COMMENT ON LARGE OBJECT 4711 IS 'small';
GRANT SELECT ON LARGE OBJECT 4712 TO PUBLIC;
CREATE TABLE files (id int PRIMARY KEY, content oid);
INSERT INTO files VALUES (1, 4711), (2, 4712);
