-- source: satellite-clone #215's kind: tables that refer to each other and to themselves
CREATE TABLE users (id int PRIMARY KEY, account int);
CREATE TABLE accounts (id int PRIMARY KEY, owner int REFERENCES users DEFERRABLE INITIALLY DEFERRED,
    parent int REFERENCES accounts);
INSERT INTO users SELECT i, i FROM generate_series(1, 100) i;
INSERT INTO accounts SELECT i, 101 - i, nullif(i / 2, 0) FROM generate_series(1, 100) i;
ALTER TABLE users ADD FOREIGN KEY (account) REFERENCES accounts ON DELETE CASCADE;
