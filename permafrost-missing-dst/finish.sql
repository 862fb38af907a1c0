-- What the database dst lacks, which permafrost restored from the snapshot 20261126T030900Z-85cf5f84.
-- Mend what the comment above a statement names, then run the statement, in this order; or, once all is
-- mended, run everything in this folder: psql -X -d dst -f finish.sql
\set ON_ERROR_STOP on
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = off;
SET client_encoding = 'UTF8';

-- an index cannot be built: could not create unique index "index_accounts_on_username_and_domain_lower"
--   DETAIL: Key (lower(username), COALESCE(lower(domain), ''::text))=(user7, d2) is duplicated.
CREATE UNIQUE INDEX index_accounts_on_username_and_domain_lower ON public.accounts USING btree (lower(username), COALESCE(lower(domain), ''::text));

-- When nothing is missing any more, take the mark off the database:
COMMENT ON DATABASE "dst" IS NULL;
