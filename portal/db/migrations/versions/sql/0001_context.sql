-- Who is looking. The context of a transaction is one setting, sealed by the database, so that it cannot be chosen by
-- whoever can run SQL: any role may SET a setting, but only these functions can make the seal, and it holds for this
-- connection and this transaction alone.
CREATE SCHEMA app;
CREATE TABLE app.secret (key bytea NOT NULL);
INSERT INTO app.secret VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

CREATE FUNCTION app.seal(p_words text) RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT encode(sha256(key || sha256(key || convert_to(
    p_words || '|' || pg_backend_pid() || '|' || extract(epoch FROM transaction_timestamp()), 'UTF8'))), 'hex') FROM app.secret
$$;

-- tenant | company | person | reach, or NULL outside a context. (After a commit the setting reads '', not NULL.)
CREATE FUNCTION app.context() RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE c text := current_setting('app.context', true);
BEGIN
  IF c IS NULL OR c = '' THEN RETURN NULL; END IF;
  IF left(c, 64) <> app.seal(substr(c, 66)) THEN RAISE EXCEPTION 'forged context' USING ERRCODE = '42501'; END IF;
  RETURN string_to_array(substr(c, 66), '|', '');
END $$;

CREATE FUNCTION app.tenant()  RETURNS uuid LANGUAGE sql STABLE PARALLEL RESTRICTED AS $$ SELECT (app.context())[1]::uuid $$;
CREATE FUNCTION app.company() RETURNS uuid LANGUAGE sql STABLE PARALLEL RESTRICTED AS $$ SELECT (app.context())[2]::uuid $$;
CREATE FUNCTION app.person()  RETURNS uuid LANGUAGE sql STABLE PARALLEL RESTRICTED AS $$ SELECT (app.context())[3]::uuid $$;
-- How far a person reaches in the tickets of their company: 'company' or 'own'. Staff and jobs: 'all'.
CREATE FUNCTION app.reach()   RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED AS $$ SELECT (app.context())[4] $$;

CREATE FUNCTION app.set_context(p_tenant uuid, p_company uuid, p_person uuid, p_reach text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE words text := concat_ws('|', p_tenant, coalesce(p_company::text, ''), coalesce(p_person::text, ''), p_reach);
BEGIN
  IF coalesce(current_setting('app.context', true), '') <> '' THEN
    RAISE EXCEPTION 'context already set' USING ERRCODE = '42501';
  END IF;
  PERFORM set_config('app.context', app.seal(words) || '|' || words, true);
END $$;
