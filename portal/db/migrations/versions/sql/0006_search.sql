-- ---------- words ----------

-- Lower case, without accents and punctuation: what is written and what is searched for are made alike by this.
CREATE FUNCTION app.plain(p_text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT btrim(regexp_replace(lower(public.unaccent('public.unaccent', normalize(p_text, NFC))),
    '[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f\u00a0\u00ab\u00bb\u2010-\u2027\u2039\u203a]+', ' ', 'g')) $$;

CREATE FUNCTION app.vector(p_text text, p_weight "char") RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT setweight(to_tsvector('pg_catalog.simple', app.plain(p_text)), p_weight) $$;

-- At most eight words. Nothing of an operator of tsquery is left in them.
CREATE FUNCTION app.words_in(p_text text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT (array_remove(string_to_array(app.plain(left(p_text, 200)), ' '), ''))[1:8] $$;

-- Beginnings of words are enough, from two signs on. `p_how`: &, | or <-> (a phrase).
CREATE FUNCTION app.query_of(p_words text[], p_how text, p_weight text DEFAULT '') RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT string_agg(quote_literal(w) || CASE WHEN length(w) > 1 THEN ':*' || p_weight WHEN p_weight <> '' THEN ':' || p_weight ELSE '' END,
                    ' ' || p_how || ' ' ORDER BY at)::tsquery
  FROM unnest(p_words) WITH ORDINALITY AS u (w, at) $$;

-- How many of the words a text has, at the beginnings of its own.
CREATE FUNCTION app.words_met(p_text text, p_words text[]) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT count(*)::integer FROM (SELECT ' ' || app.plain(p_text) || ' ' AS text) said, unnest(p_words) w
  WHERE strpos(said.text, ' ' || w || CASE WHEN length(w) > 1 THEN '' ELSE ' ' END) > 0 $$;

-- ---------- what is looked through ----------

-- Two vectors for each ticket: what clients may find, and what staff may, with notes. Only functions read them.
CREATE TABLE ticket_text (
  ticket_id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL, company_id uuid NOT NULL,
  words tsvector NOT NULL, staff_words tsvector NOT NULL,
  FOREIGN KEY (tenant_id, company_id, ticket_id) REFERENCES ticket (tenant_id, company_id, id)
);
-- no list of what is pending: every search would read it from end to end
CREATE INDEX ticket_text_words ON ticket_text USING gin (company_id, words) WITH (fastupdate = off);
CREATE INDEX ticket_text_staff_words ON ticket_text USING gin (tenant_id, staff_words) WITH (fastupdate = off);

-- Words that may be meant when nothing is found: of what a company's tickets say, without notes and private tickets.
-- No unique key: two who open tickets at the same time would wait for each other, or deadlock. A word twice does no harm.
CREATE TABLE ticket_word (
  tenant_id uuid NOT NULL, company_id uuid NOT NULL,
  word text NOT NULL,
  FOREIGN KEY (tenant_id, company_id) REFERENCES company (tenant_id, id)
);
CREATE INDEX ticket_word_of_company ON ticket_word (tenant_id, company_id, word);
CREATE INDEX ticket_word_alike ON ticket_word USING gin (tenant_id, word gin_trgm_ops);

CREATE INDEX company_words ON company USING gin (tenant_id, app.vector(name, 'A'));
CREATE INDEX users_words ON users USING gin (tenant_id, app.vector(name || ' ' || email, 'A'));

-- Words worth suggesting, of a vector.
CREATE FUNCTION app.telling_words(p_words tsvector) RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
  SELECT w FROM unnest(tsvector_to_array(p_words)) w WHERE length(w) BETWEEN 4 AND 24 AND w !~ '[0-9]' $$;

CREATE FUNCTION app.learn_words(p_tenant uuid, p_company uuid, p_words tsvector) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO ticket_word (tenant_id, company_id, word)
  SELECT p_tenant, p_company, w FROM app.telling_words(p_words) w
  WHERE NOT EXISTS (SELECT FROM ticket_word k WHERE k.tenant_id = p_tenant AND k.company_id = p_company AND k.word = w) $$;

-- A vector holds a megabyte at most; what does not fit any more is not found.
CREATE FUNCTION app.joined(p_words tsvector, p_more tsvector) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN p_words || p_more;
EXCEPTION WHEN program_limit_exceeded THEN RETURN p_words;
END $$;

CREATE FUNCTION app.index_ticket() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE subject tsvector := app.vector(NEW.subject, 'A'); text ticket_text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO ticket_text (ticket_id, tenant_id, company_id, words, staff_words)
    VALUES (NEW.id, NEW.tenant_id, NEW.company_id, subject, subject);
    text.words := subject;
  ELSE
    UPDATE ticket_text SET words = app.joined(subject, ts_filter(words, '{b}')), staff_words = app.joined(subject, ts_filter(staff_words, '{b}'))
    WHERE ticket_id = NEW.id RETURNING * INTO text;
  END IF;
  IF NEW.visibility = 'company' THEN PERFORM app.learn_words(NEW.tenant_id, NEW.company_id, text.words); END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER index_new AFTER INSERT ON ticket FOR EACH ROW EXECUTE FUNCTION app.index_ticket();
CREATE TRIGGER index_again AFTER UPDATE OF subject, visibility ON ticket FOR EACH ROW
  WHEN (OLD.subject <> NEW.subject OR OLD.visibility <> NEW.visibility) EXECUTE FUNCTION app.index_ticket();

CREATE FUNCTION app.index_comment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE said tsvector := app.vector(NEW.body, 'B');
BEGIN
  UPDATE ticket_text SET words = CASE WHEN NEW.is_internal THEN words ELSE app.joined(words, said) END,
    staff_words = app.joined(staff_words, said) WHERE ticket_id = NEW.ticket_id;
  IF NOT NEW.is_internal AND EXISTS (SELECT FROM ticket WHERE id = NEW.ticket_id AND visibility = 'company') THEN
    PERFORM app.learn_words(NEW.tenant_id, NEW.company_id, said);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER index_new AFTER INSERT ON ticket_comment FOR EACH ROW EXECUTE FUNCTION app.index_comment();

-- For rows that came without the triggers. By whoever owns the tables.
CREATE FUNCTION app.index_everything() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO ticket_text (ticket_id, tenant_id, company_id, words, staff_words)
  SELECT t.id, t.tenant_id, t.company_id, app.vector(t.subject, 'A') || app.vector(coalesce(c.open, ''), 'B'),
    app.vector(t.subject, 'A') || app.vector(coalesce(c.everything, ''), 'B')
  FROM ticket t LEFT JOIN (
    SELECT ticket_id, left(string_agg(body, ' ' ORDER BY id) FILTER (WHERE NOT is_internal), 300000) AS open,
      left(string_agg(body, ' ' ORDER BY id), 300000) AS everything
    FROM ticket_comment GROUP BY ticket_id) c ON c.ticket_id = t.id
  ON CONFLICT (ticket_id) DO NOTHING;
  INSERT INTO ticket_word (tenant_id, company_id, word)
  SELECT DISTINCT x.tenant_id, x.company_id, w FROM ticket_text x JOIN ticket t ON t.id = x.ticket_id, app.telling_words(x.words) w
  WHERE t.visibility = 'company'
    AND NOT EXISTS (SELECT FROM ticket_word k WHERE k.tenant_id = x.tenant_id AND k.company_id = x.company_id AND k.word = w); $$;

-- ---------- search ----------

-- Of the words those that stand in few of the newest tickets, as a query for an index; NULL if there is none. `p_hits`: in how many
-- of 300. Where one word is enough, all of them must be rare.
CREATE FUNCTION app.rare_of(p_words text[], p_hits bigint[], p_any boolean) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN p_any AND bool_or(hits >= 15) THEN NULL
    ELSE app.query_of(array_agg(w ORDER BY hits) FILTER (WHERE hits < 15), CASE WHEN p_any THEN '|' ELSE '&' END) END
  FROM unnest(p_words, p_hits) u (w, hits) $$;

-- Ids only, the best first: the number, then words of the subject, phrases, what is newer. The predicates of row security
-- written out (`@@` is not leakproof: under row security its index stays unused), in branches, not OR.
--   How often a word stands in the newest tickets decides the way: with a rare one, its index, and the other words are asked of
--   what it finds; with common ones alone, back in time until there are enough. Neither depends on how many tickets there are.
--   `p_any`: one of the words is enough. `p_company`: for staff, of one company.
CREATE FUNCTION app.search_tickets(p_words text, p_most integer, p_company uuid DEFAULT NULL, p_any boolean DEFAULT false)
RETURNS SETOF uuid LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  t uuid := app.tenant(); c uuid := app.company(); me uuid := app.person(); all_of_it boolean := app.reach() = 'company';
  staff boolean := session_user = 'portal_staff' AND c IS NULL;
  n integer := substring(p_words FROM '^\s*(?:[Tt]-?)?(\d{1,9})\s*$')::integer;
  asked text[] := app.words_in(p_words);
  q tsquery := app.query_of(asked, CASE WHEN p_any THEN '|' ELSE '&' END);
  rare tsquery; ids uuid[];
  looked CONSTANT integer := 300;  -- newest tickets that tell how often a word is
  enough CONSTANT integer := 200;  -- matches of common words
  far CONSTANT integer := 4000;    -- tickets that are gone back through for them
  many CONSTANT integer := 4000;   -- matches that are taken from an index
BEGIN
  IF t IS NULL THEN RAISE EXCEPTION 'no context' USING ERRCODE = '42501'; END IF;
  IF q IS NULL OR NOT staff AND (session_user <> 'portal_client' OR c IS NULL) THEN RETURN; END IF;

  IF staff THEN
    WITH single AS MATERIALIZED (SELECT app.query_of(ARRAY[w], '&') AS q, at FROM unnest(asked) WITH ORDINALITY u (w, at)),
    newest AS MATERIALIZED (
      SELECT w.staff_words AS words FROM (
        SELECT x.id FROM ticket x WHERE x.tenant_id = t AND (p_company IS NULL OR x.company_id = p_company)
        ORDER BY x.changed_at DESC, x.id DESC LIMIT looked) x JOIN ticket_text w ON w.ticket_id = x.id)
    SELECT app.rare_of(asked, array_agg(k.hits ORDER BY k.at), p_any) INTO rare FROM (
      SELECT at, count(*) FILTER (WHERE newest.words @@ single.q) AS hits FROM single LEFT JOIN newest ON true GROUP BY at) k;
    ids := ARRAY(SELECT w.ticket_id FROM ticket_text w WHERE w.tenant_id = t AND (p_company IS NULL OR w.company_id = p_company)
      AND w.staff_words @@ rare AND (w.staff_words @@ q) IS TRUE LIMIT many + 1);
    IF rare IS NULL OR cardinality(ids) > many THEN
      ids := ARRAY(SELECT x.id FROM (
          SELECT x.id, x.changed_at FROM ticket x WHERE x.tenant_id = t AND (p_company IS NULL OR x.company_id = p_company)
          ORDER BY x.changed_at DESC, x.id DESC LIMIT far) x JOIN ticket_text w ON w.ticket_id = x.id
        WHERE w.staff_words @@ q ORDER BY x.changed_at DESC, x.id DESC LIMIT enough);
      IF cardinality(ids) < 25 THEN -- common words that seldom stand together
        ids := ARRAY(SELECT w.ticket_id FROM ticket_text w
          WHERE w.tenant_id = t AND (p_company IS NULL OR w.company_id = p_company) AND w.staff_words @@ q LIMIT many);
      END IF;
    END IF;
    ids := ids || app.tickets_by_names(asked, p_company) || ARRAY(SELECT x.id FROM ticket x WHERE x.tenant_id = t AND x.number = n);

  ELSIF NOT all_of_it THEN -- their own tickets and no others are looked at, so that nothing tells what others have
    ids := ARRAY(SELECT x.id FROM (
        SELECT x.id FROM ticket x WHERE x.tenant_id = t AND x.company_id = c AND x.requester_id = me
        UNION SELECT p.ticket_id FROM ticket_participant p WHERE p.tenant_id = t AND p.company_id = c AND p.user_id = me
        ORDER BY 1 DESC LIMIT far) x
      JOIN ticket_text w ON w.ticket_id = x.id JOIN ticket y ON y.id = x.id WHERE w.words @@ q OR y.number = n);

  ELSE
    WITH single AS MATERIALIZED (SELECT app.query_of(ARRAY[w], '&') AS q, at FROM unnest(asked) WITH ORDINALITY u (w, at)),
    newest AS MATERIALIZED (
      SELECT w.words FROM (
        SELECT x.id FROM ticket x WHERE x.tenant_id = t AND x.company_id = c
        ORDER BY x.changed_at DESC, x.id DESC LIMIT looked) x JOIN ticket_text w ON w.ticket_id = x.id)
    SELECT app.rare_of(asked, array_agg(k.hits ORDER BY k.at), p_any) INTO rare FROM (
      SELECT at, count(*) FILTER (WHERE newest.words @@ single.q) AS hits FROM single LEFT JOIN newest ON true GROUP BY at) k;
    ids := ARRAY(SELECT w.ticket_id FROM ticket_text w
      WHERE w.company_id = c AND w.words @@ rare AND (w.words @@ q) IS TRUE LIMIT many + 1);
    IF rare IS NULL OR cardinality(ids) > many THEN
      ids := ARRAY(SELECT x.id FROM (
          SELECT x.id, x.changed_at FROM ticket x WHERE x.tenant_id = t AND x.company_id = c
          ORDER BY x.changed_at DESC, x.id DESC LIMIT far) x JOIN ticket_text w ON w.ticket_id = x.id
        WHERE w.words @@ q ORDER BY x.changed_at DESC, x.id DESC LIMIT enough);
      IF cardinality(ids) < 25 THEN
        ids := ARRAY(SELECT w.ticket_id FROM ticket_text w WHERE w.company_id = c AND w.words @@ q LIMIT many);
      END IF;
    END IF;
    ids := ids || ARRAY(SELECT x.id FROM ticket x WHERE x.tenant_id = t AND x.company_id = c AND x.number = n);
  END IF;

  RETURN QUERY
    SELECT f.id FROM (
      SELECT x.id, x.number, x.changed_at FROM ticket x
      WHERE x.id = ANY (ids) AND x.tenant_id = t AND (staff AND (p_company IS NULL OR x.company_id = p_company) OR x.company_id = c AND (
        x.visibility = 'company' AND all_of_it OR x.requester_id = me
        OR EXISTS (SELECT FROM ticket_participant p WHERE p.ticket_id = x.id AND p.user_id = me)))
      ORDER BY (x.number = n) IS TRUE DESC, x.changed_at DESC, x.id DESC LIMIT p_most) f
    JOIN ticket_text w ON w.ticket_id = f.id
    CROSS JOIN LATERAL (SELECT CASE WHEN staff THEN w.staff_words ELSE w.words END AS words) v
    ORDER BY (f.number = n) IS TRUE DESC,
      (v.words @@ app.query_of(asked, CASE WHEN p_any THEN '|' ELSE '&' END, 'A'))::integer
        + 0.5 * (v.words @@ app.query_of(asked, '<->'))::integer
        + ts_rank('{0.1, 0.2, 0.3, 0.6}', v.words, q)
        + 0.3 * exp(-extract(epoch FROM now() - f.changed_at) / 15552000) DESC,
      f.changed_at DESC, f.id DESC;
END $$;

-- For staff: tickets of the companies and people whose names the words begin; the words that name nobody stand in the ticket.
CREATE FUNCTION app.tickets_by_names(p_words text[], p_company uuid) RETURNS uuid[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE t uuid := app.tenant(); names tsquery; rest tsquery; companies uuid[]; people uuid[]; each integer;
BEGIN
  SELECT app.query_of(array_agg(w) FILTER (WHERE named), '&'), app.query_of(array_agg(w) FILTER (WHERE NOT named), '&')
  INTO names, rest
  FROM unnest(p_words) w CROSS JOIN LATERAL (SELECT length(w) > 1 AND (
    EXISTS (SELECT FROM company x WHERE x.tenant_id = t AND app.vector(x.name, 'A') @@ app.query_of(ARRAY[w], '&'))
    OR EXISTS (SELECT FROM users x WHERE x.tenant_id = t AND x.user_type = 'client'
               AND app.vector(x.name || ' ' || x.email, 'A') @@ app.query_of(ARRAY[w], '&'))) AS named) known;
  IF names IS NULL THEN RETURN '{}'; END IF;
  companies := ARRAY(SELECT x.id FROM company x WHERE x.tenant_id = t AND app.vector(x.name, 'A') @@ names
    AND (p_company IS NULL OR x.id = p_company) LIMIT 20);
  people := ARRAY(SELECT x.id FROM users x WHERE x.tenant_id = t AND x.user_type = 'client'
    AND app.vector(x.name || ' ' || x.email, 'A') @@ names LIMIT 20);
  each := 1000 / greatest(1, cardinality(companies) + cardinality(people));
  RETURN ARRAY(
    SELECT x.id FROM (
      SELECT x.id, x.changed_at FROM unnest(companies) k CROSS JOIN LATERAL (
        SELECT x.id, x.changed_at FROM ticket x WHERE x.tenant_id = t AND x.company_id = k
        ORDER BY x.changed_at DESC, x.id DESC LIMIT each) x
      UNION
      SELECT x.id, x.changed_at FROM membership m CROSS JOIN LATERAL (
        SELECT x.id, x.changed_at FROM ticket x WHERE x.tenant_id = t AND x.company_id = m.company_id AND x.requester_id = m.user_id
        ORDER BY x.changed_at DESC, x.id DESC LIMIT each) x
      WHERE m.tenant_id = t AND m.user_id = ANY (people) AND (p_company IS NULL OR m.company_id = p_company)
    ) x JOIN ticket_text w ON w.ticket_id = x.id
    WHERE rest IS NULL OR w.staff_words @@ rest ORDER BY x.changed_at DESC, x.id DESC LIMIT 300);
END $$;

-- The same words, those that find nothing put right, or NULL where none can be. Each suggestion is itself searched for, as whoever
-- asks: what they may not see is not suggested either.
CREATE FUNCTION app.nearest_words(p_words text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET pg_trgm.similarity_threshold = 0.3 AS $$
DECLARE t uuid := app.tenant(); c uuid := app.company(); w text; near text; found text[] := '{}'; changed boolean := false;
BEGIN
  IF t IS NULL THEN RAISE EXCEPTION 'no context' USING ERRCODE = '42501'; END IF;
  FOREACH w IN ARRAY app.words_in(p_words) LOOP
    near := NULL;
    IF length(w) > 3 AND w !~ '[0-9]' AND NOT EXISTS (SELECT FROM app.search_tickets(w, 1)) THEN
      SELECT k.word INTO near FROM (
        SELECT k.word, similarity(k.word, w) AS alike FROM ticket_word k
        WHERE k.tenant_id = t AND (c IS NULL OR k.company_id = c) AND k.word % w
        GROUP BY k.word ORDER BY 2 DESC, abs(length(k.word) - length(w)), 1 LIMIT 5) k
      WHERE EXISTS (SELECT FROM app.search_tickets(k.word, 1)) ORDER BY k.alike DESC, k.word LIMIT 1;
    END IF;
    changed := changed OR near IS NOT NULL;
    found := found || coalesce(near, w);
  END LOOP;
  RETURN CASE WHEN changed THEN array_to_string(found, ' ') END;
END $$;

-- For staff: companies and people whose names, or addresses, the words begin. Names first, then companies before people.
CREATE FUNCTION app.find_names(p_words text, p_most integer) RETURNS TABLE (company_id uuid, user_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE t uuid := app.tenant(); q tsquery := app.query_of(app.words_in(p_words), '&');
BEGIN
  IF t IS NULL OR session_user <> 'portal_staff' THEN RAISE EXCEPTION 'no context' USING ERRCODE = '42501'; END IF;
  RETURN QUERY (SELECT x.id, NULL::uuid FROM company x WHERE x.tenant_id = t AND x.archived_at IS NULL AND app.vector(x.name, 'A') @@ q
    ORDER BY lower(x.name), x.id LIMIT p_most);
  RETURN QUERY (SELECT m.company_id, x.id FROM users x JOIN membership m ON m.tenant_id = t AND m.user_id = x.id AND m.ended_at IS NULL
      JOIN company k ON k.tenant_id = t AND k.id = m.company_id AND k.archived_at IS NULL
    WHERE x.tenant_id = t AND x.disabled_at IS NULL AND app.vector(x.name || ' ' || x.email, 'A') @@ q
    ORDER BY (app.vector(x.name, 'A') @@ q) DESC, lower(x.name), x.id LIMIT p_most);
END $$;

-- ---------- exports ----------

-- A file that somebody asked for, kept for some days, for them alone. `wanted`: which tickets, as the list had them.
CREATE TABLE export (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT app.tenant(),
  company_id uuid, user_id uuid NOT NULL,
  format text NOT NULL CHECK (format IN ('csv', 'xlsx')),
  wanted jsonb NOT NULL,
  language text NOT NULL, timezone text NOT NULL,
  state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'ready', 'failed', 'refused', 'cancelled')),
  done integer NOT NULL DEFAULT 0, size integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(), expires_at timestamptz NOT NULL DEFAULT now() + interval '7 days',
  ready_at timestamptz, seen_at timestamptz,
  UNIQUE (tenant_id, user_id, id),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id),
  FOREIGN KEY (tenant_id, company_id) REFERENCES company (tenant_id, id)
);
CREATE TABLE export_part (
  export_id uuid NOT NULL, n integer NOT NULL,
  tenant_id uuid NOT NULL DEFAULT app.tenant(),
  company_id uuid, user_id uuid NOT NULL,
  bytes bytea NOT NULL,
  PRIMARY KEY (export_id, n),
  FOREIGN KEY (tenant_id, user_id, export_id) REFERENCES export (tenant_id, user_id, id) ON DELETE CASCADE,
  FOREIGN KEY (tenant_id, company_id) REFERENCES company (tenant_id, id)
);
ALTER TABLE export_part ALTER COLUMN bytes SET STORAGE EXTERNAL;

CREATE FUNCTION app.tell_export() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('live', 'exports:' || NEW.user_id);
  IF NEW.state IN ('ready', 'failed', 'refused') THEN PERFORM pg_notify('live', 'bell:' || NEW.user_id); END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON export FOR EACH ROW EXECUTE FUNCTION app.tell_export();

-- A job that makes an export works as the person who asked for it, by the roles and policies of their side, with the rights they
-- have at this moment. The key stands in the job's own row, which no side can read, and holds while the job runs.
CREATE FUNCTION app.enter_export(p_job bigint, p_key text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE e record; reach text;
BEGIN
  SELECT x.tenant_id, x.company_id, x.user_id, u.user_type, u.staff_role, r.permissions INTO e
  FROM jobs.procrastinate_jobs j JOIN export x ON x.id = (j.args ->> 'export')::uuid AND x.tenant_id = (j.args ->> 'tenant')::uuid
    JOIN users u ON u.tenant_id = x.tenant_id AND u.id = x.user_id
    LEFT JOIN role r ON r.tenant_id = u.tenant_id AND r.id = u.staff_role_id
  WHERE j.id = p_job AND j.status = 'doing' AND j.task_name = 'make_export' AND length(p_key) >= 32 AND j.args ->> 'key' = p_key
    AND x.state = 'running' AND u.disabled_at IS NULL;
  IF NOT FOUND OR session_user <> (CASE e.user_type WHEN 'internal' THEN 'portal_staff' ELSE 'portal_client' END) THEN
    RAISE EXCEPTION 'no export' USING ERRCODE = '28000';
  END IF;
  IF e.user_type = 'internal' THEN
    IF e.company_id IS NOT NULL OR e.staff_role IS NULL AND NOT coalesce('tickets.see' = ANY (e.permissions), false) THEN
      RAISE EXCEPTION 'no export' USING ERRCODE = '28000';
    END IF;
    PERFORM app.set_context(e.tenant_id, NULL, e.user_id, 'all');
  ELSE
    SELECT app.reach_of(m.role, r.permissions) INTO reach
    FROM membership m JOIN company c ON c.tenant_id = m.tenant_id AND c.id = m.company_id
      LEFT JOIN role r ON r.tenant_id = m.tenant_id AND r.id = m.role_id
    WHERE m.tenant_id = e.tenant_id AND m.user_id = e.user_id AND m.company_id = e.company_id AND m.ended_at IS NULL
      AND c.archived_at IS NULL AND (m.role IS NOT NULL OR 'tickets.see' = ANY (r.permissions));
    IF NOT FOUND THEN RAISE EXCEPTION 'no export' USING ERRCODE = '28000'; END IF;
    PERFORM app.set_context(e.tenant_id, e.company_id, e.user_id, reach);
  END IF;
END $$;

CREATE FUNCTION app.tidy_exports() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  DELETE FROM export_part p USING export e WHERE e.id = p.export_id AND e.expires_at < now();
  DELETE FROM export WHERE expires_at < now(); $$;
