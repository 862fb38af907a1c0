-- source: pgcopydb #264: a CHECK constraint whose function looks a value up in another table
CREATE TABLE a_words (word text PRIMARY KEY);
INSERT INTO a_words SELECT 'w' || i FROM generate_series(1, 20) i;
CREATE FUNCTION is_known(text) RETURNS boolean LANGUAGE sql STABLE
    AS $$SELECT EXISTS (SELECT FROM public.a_words WHERE word OPERATOR(pg_catalog.=) $1)$$;
CREATE TABLE b_texts (id int PRIMARY KEY, word text CHECK (is_known(word)), padding text DEFAULT repeat('x', 200));
INSERT INTO b_texts SELECT i, 'w' || (i % 20 + 1) FROM generate_series(1, 5000) i;
