-- source: pgcopydb #498, pistachio #505: NOT VALID constraints that the rows do not fulfil
CREATE TABLE employees (id int PRIMARY KEY, name text, boss int);
INSERT INTO employees SELECT i, 'abc' || i, i + 1 FROM generate_series(1, 10) i;
ALTER TABLE employees ADD CONSTRAINT not_abc CHECK (name !~ 'abc') NOT VALID;
ALTER TABLE employees ADD CONSTRAINT has_boss FOREIGN KEY (boss) REFERENCES employees NOT VALID;
COMMENT ON CONSTRAINT has_boss ON employees IS 'some have none';
COMMENT ON CONSTRAINT not_abc ON employees IS 'old ones do';
