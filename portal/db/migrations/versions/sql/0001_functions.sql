-- ---------- coming in ----------

-- Reach of a client's role in its company's tickets; the same as the table in portal/domain/access.py (a test compares).
CREATE FUNCTION app.reach_of(p_role text, p_permissions text[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_role = 'ClientAdmin' OR 'tickets.see_company' = ANY (p_permissions) THEN 'company' ELSE 'own' END $$;

CREATE FUNCTION app.live_session(p_token bytea)
RETURNS TABLE (tenant_id uuid, user_id uuid, user_type text, staff_role text, staff_role_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT s.tenant_id, s.user_id, u.user_type, u.staff_role, u.staff_role_id
  FROM session s JOIN users u ON u.id = s.user_id JOIN tenant t ON t.id = s.tenant_id
  WHERE s.token_hash = p_token AND s.revoked_at IS NULL AND u.disabled_at IS NULL AND s.expires_at > now()
    AND s.last_seen_at > now() - make_interval(mins => t.idle_minutes) $$;

-- A session in use stays alive; noted at most once a minute, and without waiting for another transaction that does.
CREATE FUNCTION app.note_use(p_token bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE session SET last_seen_at = now() WHERE token_hash = (
    SELECT token_hash FROM session WHERE token_hash = p_token AND last_seen_at < now() - interval '1 minute'
    FOR UPDATE SKIP LOCKED) $$;

-- Enter the context, once per transaction. The connection's role must be the one of the person's side, and a client must
-- be a member of the company in the address.
CREATE FUNCTION app.enter_quietly(p_token bytea, p_company uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE me record; reach text;
BEGIN
  SELECT * INTO me FROM app.live_session(p_token);
  IF NOT FOUND OR session_user <> (CASE me.user_type WHEN 'internal' THEN 'portal_staff' ELSE 'portal_client' END) THEN
    RAISE EXCEPTION 'no session' USING ERRCODE = '28000';
  END IF;
  IF me.user_type = 'internal' THEN
    PERFORM app.set_context(me.tenant_id, NULL, me.user_id, 'all');
  ELSE
    SELECT app.reach_of(m.role, r.permissions) INTO reach
    FROM membership m JOIN company c ON c.tenant_id = m.tenant_id AND c.id = m.company_id
      LEFT JOIN role r ON r.tenant_id = m.tenant_id AND r.id = m.role_id
    WHERE m.tenant_id = me.tenant_id AND m.user_id = me.user_id AND m.company_id = p_company AND m.ended_at IS NULL
      AND c.archived_at IS NULL;
    IF NOT FOUND THEN RAISE EXCEPTION 'no session' USING ERRCODE = '28000'; END IF;
    PERFORM app.set_context(me.tenant_id, p_company, me.user_id, reach);
  END IF;
END $$;

-- The same, for what a person does: the session is in use. What an open page reads by itself does not keep it alive.
CREATE FUNCTION app.enter(p_token bytea, p_company uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM app.enter_quietly(p_token, p_company);
  PERFORM app.note_use(p_token);
END $$;

-- A job enters the tenant written in its own row, and only while it is running.
CREATE FUNCTION app.enter_job(p_job bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE t uuid;
BEGIN
  SELECT (args ->> 'tenant')::uuid INTO t FROM jobs.procrastinate_jobs WHERE id = p_job AND status = 'doing';
  IF t IS NULL THEN RAISE EXCEPTION 'no such running job' USING ERRCODE = '28000'; END IF;
  PERFORM app.set_context(t, NULL, NULL, 'all');
END $$;

-- ---------- promises, numbers, the log ----------

CREATE FUNCTION app.defer(p_tenant uuid, p_task text, p_args jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = jobs, pg_catalog, pg_temp AS $$
BEGIN
  PERFORM procrastinate_defer_jobs_v1(ARRAY[ROW('default', p_task, 0, NULL, NULL,
    p_args || jsonb_build_object('tenant', p_tenant), NULL)::procrastinate_job_to_defer_v1]);
END $$;

-- Promise a job in this transaction; its tenant is the one of whoever asks, whatever the arguments say.
CREATE FUNCTION app.later(p_task text, p_args jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF app.tenant() IS NULL THEN RAISE EXCEPTION 'no context' USING ERRCODE = '42501'; END IF;
  IF p_task NOT IN ('send_letter') THEN RAISE EXCEPTION 'no such promise' USING ERRCODE = '42501'; END IF;
  PERFORM app.defer(app.tenant(), p_task, p_args);
END $$;

-- Numbers that people read. The row is locked until the transaction ends: a rollback gives its number back.
CREATE FUNCTION app.next_number(p_kind text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE n integer;
BEGIN
  IF app.tenant() IS NULL THEN RAISE EXCEPTION 'no context' USING ERRCODE = '42501'; END IF;
  INSERT INTO counter (tenant_id, kind, value) VALUES (app.tenant(), p_kind, 1001)
  ON CONFLICT (tenant_id, kind) DO UPDATE SET value = counter.value + 1 RETURNING value INTO n;
  RETURN n;
END $$;

CREATE FUNCTION app.write_audit(p_tenant uuid, p_company uuid, p_actor uuid, p_action text, p_subject uuid, p_detail jsonb)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO audit (tenant_id, company_id, actor_id, action, subject_id, detail)
  VALUES (p_tenant, p_company, p_actor, p_action, p_subject, p_detail) $$;

CREATE FUNCTION app.record(p_action text, p_company uuid, p_subject uuid, p_detail jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF app.tenant() IS NULL THEN RAISE EXCEPTION 'no context' USING ERRCODE = '42501'; END IF;
  PERFORM app.write_audit(app.tenant(), coalesce(app.company(), p_company), app.person(), p_action, p_subject, p_detail);
END $$;

CREATE FUNCTION app.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit log is not changed' USING ERRCODE = '42501'; END $$;
CREATE TRIGGER keep BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();

-- Whether a client may see a ticket; for the policy of who is in copy, which the ticket's own policy asks.
CREATE FUNCTION app.may_see(p_ticket uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM ticket t WHERE t.id = p_ticket AND t.tenant_id = app.tenant() AND t.company_id = app.company()
    AND (t.requester_id = app.person() OR (t.visibility = 'company' AND app.reach() = 'company')
      OR EXISTS (SELECT FROM ticket_participant p WHERE p.ticket_id = t.id AND p.user_id = app.person()))) $$;

-- ---------- search ----------

-- Ids only, newest first; the predicates of row security written out (`@@` is not leakproof: under row security its index
-- stays unused). Branches, not OR: staff by the index of words, a client by the index of its company.
CREATE FUNCTION app.search_tickets(p_words text, p_most integer) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE t uuid := app.tenant(); c uuid := app.company(); me uuid := app.person(); all_of_it boolean := app.reach() = 'company';
  q tsquery; n integer := substring(p_words FROM '^\s*(?:[Tt]-?)?(\d{1,9})\s*$')::integer;
BEGIN
  IF t IS NULL THEN RAISE EXCEPTION 'no context' USING ERRCODE = '42501'; END IF;
  SELECT string_agg(quote_literal(w) || ':*', ' & ')::tsquery INTO q
  FROM (SELECT w FROM regexp_split_to_table(lower(left(p_words, 200)), '[^[:alnum:]]+') w WHERE w <> '' LIMIT 8) words;
  IF q IS NULL THEN RETURN; END IF;
  IF session_user = 'portal_staff' AND c IS NULL THEN
    RETURN QUERY SELECT f.id FROM (
      SELECT x.id FROM ticket x WHERE x.tenant_id = t AND x.words @@ q
      UNION SELECT x.id FROM ticket x WHERE x.tenant_id = t AND x.number = n) f ORDER BY f.id DESC LIMIT p_most;
  ELSIF session_user = 'portal_client' AND c IS NOT NULL THEN
    RETURN QUERY SELECT x.id FROM ticket x
      WHERE x.tenant_id = t AND x.company_id = c AND (x.words @@ q OR x.number = n)
        AND ((x.visibility = 'company' AND all_of_it) OR x.requester_id = me
             OR EXISTS (SELECT FROM ticket_participant p WHERE p.ticket_id = x.id AND p.user_id = me))
      ORDER BY x.id DESC LIMIT p_most;
  END IF;
END $$;

-- ---------- the door: questions asked without a context ----------

CREATE FUNCTION app.card(t tenant) RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT jsonb_build_object('id', t.id, 'name', t.name, 'short_name', t.short_name, 'host', t.host, 'accent', t.accent,
    'phone', t.phone, 'phone_hours', t.phone_hours, 'language', t.language, 'timezone', t.timezone) $$;

-- The tenant of a host name, else the default one (by name or host), else the only one. Tenants are never listed.
CREATE FUNCTION app.tenant_for(p_host text, p_default text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT app.card(t) FROM tenant t
  WHERE t.host = lower(p_host) OR t.name = p_default OR t.host = p_default OR (SELECT count(*) FROM tenant) = 1
  ORDER BY (t.host IS NOT DISTINCT FROM lower(p_host)) DESC, (t.name = p_default OR t.host IS NOT DISTINCT FROM p_default) DESC
  LIMIT 1 $$;

CREATE FUNCTION app.any_tenant() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$ SELECT EXISTS (SELECT FROM tenant) $$;

-- Who is looking: everything the principal is made of, or NULL for a session that is over.
CREATE FUNCTION app.whoami(p_token bytea) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE me record; answer jsonb;
BEGIN
  SELECT * INTO me FROM app.live_session(p_token);
  IF NOT FOUND THEN RETURN NULL; END IF;
  PERFORM app.note_use(p_token);
  SELECT jsonb_build_object('tenant', app.card(t), 'user_id', u.id, 'name', u.name, 'email', u.email, 'user_type', u.user_type,
    'language', u.language, 'timezone', u.timezone, 'theme', u.theme, 'role', u.staff_role, 'own_role', r.name,
    'permissions', r.permissions, 'companies', (
      SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'slug', c.slug, 'name', c.name, 'role', m.role,
        'own_role', mr.name, 'permissions', mr.permissions) ORDER BY lower(c.name)), '[]')
      FROM membership m JOIN company c ON c.tenant_id = m.tenant_id AND c.id = m.company_id
        LEFT JOIN role mr ON mr.tenant_id = m.tenant_id AND mr.id = m.role_id
      WHERE m.tenant_id = u.tenant_id AND m.user_id = u.id AND m.ended_at IS NULL AND c.archived_at IS NULL))
  INTO answer
  FROM users u JOIN tenant t ON t.id = u.tenant_id LEFT JOIN role r ON r.tenant_id = u.tenant_id AND r.id = u.staff_role_id
  WHERE u.id = me.user_id;
  RETURN answer;
END $$;

-- Sign-in: the caller compares the hash and then opens the session.
CREATE FUNCTION app.door(p_tenant uuid, p_type text, p_email text) RETURNS TABLE (user_id uuid, password_hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.id, c.password_hash FROM users u JOIN credential c ON c.user_id = u.id
  WHERE u.tenant_id = p_tenant AND u.email = lower(p_email) AND u.user_type = p_type AND u.disabled_at IS NULL $$;

CREATE FUNCTION app.open_session(p_token bytea, p_tenant uuid, p_user uuid, p_device text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO session (token_hash, tenant_id, user_id, device, expires_at)
  SELECT p_token, u.tenant_id, u.id, left(p_device, 200), now() + make_interval(hours => t.session_hours)
  FROM users u JOIN tenant t ON t.id = u.tenant_id
  WHERE u.tenant_id = p_tenant AND u.id = p_user AND u.disabled_at IS NULL;
  IF FOUND THEN PERFORM app.write_audit(p_tenant, NULL, p_user, 'session.opened', p_user, '{}'); END IF;
  RETURN FOUND;
END $$;

CREATE FUNCTION app.end_session(p_token bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE s record;
BEGIN
  UPDATE session SET revoked_at = now() WHERE token_hash = p_token AND revoked_at IS NULL RETURNING tenant_id, user_id INTO s;
  IF FOUND THEN PERFORM app.write_audit(s.tenant_id, NULL, s.user_id, 'session.ended', s.user_id, '{}'); END IF;
END $$;

-- Attempts are counted before the password is looked at. Answers how many seconds to wait; 0: go on, and the attempt
-- stands as failed until it is taken back. `p_free` failures cost nothing, then the wait doubles up to `p_most` seconds.
CREATE FUNCTION app.attempt(p_bucket bytea, p_free integer, p_most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE a attempt;
BEGIN
  INSERT INTO attempt AS x (bucket, failures, blocked_until) VALUES (p_bucket, 0, now())
  ON CONFLICT (bucket) DO UPDATE SET failures = CASE WHEN x.touched_at < now() - interval '1 day' THEN 0 ELSE x.failures END
  RETURNING * INTO a;
  IF a.blocked_until > clock_timestamp() THEN
    RETURN ceil(extract(epoch FROM a.blocked_until - clock_timestamp()));
  END IF;
  UPDATE attempt SET failures = a.failures + 1, touched_at = now(), blocked_until = clock_timestamp() + CASE
    WHEN a.failures + 1 <= p_free THEN interval '0' ELSE make_interval(secs => least(p_most, 2 ^ least(a.failures - p_free, 20))) END
  WHERE bucket = p_bucket;
  RETURN 0;
END $$;

CREATE FUNCTION app.failures(p_bucket bytea) RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT coalesce(max(failures), 0) FROM attempt WHERE bucket = p_bucket $$;

-- Forgets all failures, or takes this one attempt back and leaves a wait as it is: where many share a bucket, nobody ends
-- with one good sign-in what others have earned.
CREATE FUNCTION app.attempt_was_good(p_bucket bytea, p_forget boolean) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE attempt SET failures = CASE WHEN p_forget THEN 0 ELSE greatest(failures - 1, 0) END,
    blocked_until = CASE WHEN p_forget THEN now() ELSE blocked_until END
  WHERE bucket = p_bucket $$;

CREATE FUNCTION app.failed_sign_in(p_tenant uuid, p_user uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT app.write_audit(p_tenant, NULL, p_user, 'session.refused', p_user, '{}') $$;

-- Somebody asks for a letter to set a password. Whether there is such a person is looked up by the job, not here: the
-- same work for every address. `p_kind`: password_reset, or many_failures.
CREATE FUNCTION app.ask_reset(p_tenant uuid, p_type text, p_email text, p_kind text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT app.defer(p_tenant, 'reset_asked', jsonb_build_object('user_type', p_type, 'email', lower(p_email), 'kind', p_kind)) $$;

-- Changes when the password does, so that a link made with it dies when it was used.
CREATE FUNCTION app.password_mark(p_tenant uuid, p_user uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT encode(sha256(convert_to(u.id || coalesce(c.password_hash, ''), 'UTF8')), 'hex')
  FROM users u LEFT JOIN credential c ON c.user_id = u.id
  WHERE u.tenant_id = p_tenant AND u.id = p_user AND u.disabled_at IS NULL $$;

CREATE FUNCTION app.person_for_reset(p_tenant uuid, p_user uuid) RETURNS TABLE (name text, email text, user_type text, mark text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.name, u.email, u.user_type, app.password_mark(u.tenant_id, u.id) FROM users u
  WHERE u.tenant_id = p_tenant AND u.id = p_user AND u.disabled_at IS NULL $$;

-- Sets a password if nothing changed since the link was made; ends every session of the person. False: the link is dead.
CREATE FUNCTION app.set_password(p_tenant uuid, p_user uuid, p_mark text, p_hash text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM FROM users WHERE tenant_id = p_tenant AND id = p_user FOR UPDATE;
  IF app.password_mark(p_tenant, p_user) IS DISTINCT FROM p_mark THEN RETURN false; END IF;
  INSERT INTO credential (user_id, tenant_id, password_hash) VALUES (p_user, p_tenant, p_hash)
  ON CONFLICT (user_id) DO UPDATE SET password_hash = p_hash, changed_at = now();
  UPDATE session SET revoked_at = now() WHERE tenant_id = p_tenant AND user_id = p_user AND revoked_at IS NULL;
  PERFORM app.write_audit(p_tenant, NULL, p_user, 'password.set', p_user, '{}');
  RETURN true;
END $$;

-- The same password, hashed with newer parameters.
CREATE FUNCTION app.rehash(p_user uuid, p_before text, p_hash text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE credential SET password_hash = p_hash WHERE user_id = p_user AND password_hash = p_before $$;

-- First start: the MSP and its admin, once. False when there is a tenant already.
CREATE FUNCTION app.found(p_tenant uuid, p_name text, p_short text, p_language text, p_timezone text, p_user uuid, p_person text,
                          p_email text, p_hash text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('portal.found'));
  IF app.any_tenant() THEN RETURN false; END IF;
  INSERT INTO tenant (id, name, short_name, language, timezone) VALUES (p_tenant, p_name, p_short, p_language, p_timezone);
  INSERT INTO users (id, tenant_id, email, name, user_type, staff_role)
  VALUES (p_user, p_tenant, lower(p_email), p_person, 'internal', 'MspAdmin');
  INSERT INTO credential (user_id, tenant_id, password_hash) VALUES (p_user, p_tenant, p_hash);
  PERFORM app.write_audit(p_tenant, NULL, p_user, 'tenant.founded', p_tenant, '{}');
  RETURN true;
END $$;

-- What is over and no longer needed.
CREATE FUNCTION app.tidy() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  DELETE FROM session WHERE expires_at < now() - interval '30 days' OR revoked_at < now() - interval '30 days';
  DELETE FROM attempt WHERE touched_at < now() - interval '2 days'; $$;

-- ---------- live: a committed change tells ids, nothing else ----------

CREATE FUNCTION app.tell_ticket() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('live', 'ticket:' || NEW.id), pg_notify('live', 'tickets:' || NEW.company_id),
          pg_notify('live', 'queue:' || NEW.tenant_id);
  RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON ticket FOR EACH ROW EXECUTE FUNCTION app.tell_ticket();

-- An internal note has a topic of its own: the pages of clients are not woken by it.
CREATE FUNCTION app.tell_part() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('live', CASE WHEN NEW.is_internal THEN 'note:' ELSE 'ticket:' END || NEW.ticket_id);
  RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON ticket_comment FOR EACH ROW EXECUTE FUNCTION app.tell_part();
CREATE TRIGGER tell AFTER INSERT ON ticket_event FOR EACH ROW EXECUTE FUNCTION app.tell_part();
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON file FOR EACH ROW EXECUTE FUNCTION app.tell_part();

CREATE FUNCTION app.tell_participant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('live', 'ticket:' || coalesce(NEW.ticket_id, OLD.ticket_id)),
          pg_notify('live', 'tickets:' || coalesce(NEW.company_id, OLD.company_id));
  RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT OR DELETE ON ticket_participant FOR EACH ROW EXECUTE FUNCTION app.tell_participant();

CREATE FUNCTION app.tell_notification() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('live', 'bell:' || NEW.user_id); RETURN NULL; END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON notification FOR EACH ROW EXECUTE FUNCTION app.tell_notification();

CREATE FUNCTION app.tell_company() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('live', 'companies:' || NEW.tenant_id); RETURN NULL; END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON company FOR EACH ROW EXECUTE FUNCTION app.tell_company();

CREATE FUNCTION app.tell_mail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('live', 'mail:' || NEW.tenant_id); RETURN NULL; END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE OF state ON mail_outbox FOR EACH ROW EXECUTE FUNCTION app.tell_mail();

-- A session is over, or what somebody may do has changed: their open pages leave, or load anew.
CREATE FUNCTION app.tell_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('live', 'session:' || encode(NEW.token_hash, 'hex')); RETURN NULL; END $$;
CREATE TRIGGER tell AFTER UPDATE OF revoked_at ON session FOR EACH ROW EXECUTE FUNCTION app.tell_session();
CREATE FUNCTION app.tell_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('live', 'person:' || NEW.id); RETURN NULL; END $$;
CREATE TRIGGER tell AFTER UPDATE OF staff_role, staff_role_id, disabled_at ON users FOR EACH ROW EXECUTE FUNCTION app.tell_person();
-- Whoever is shut out stays out: their sessions end, and do not come back to life should they be let in again.
CREATE FUNCTION app.end_sessions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE session SET revoked_at = now() WHERE tenant_id = NEW.tenant_id AND user_id = NEW.id AND revoked_at IS NULL;
  RETURN NULL;
END $$;
CREATE TRIGGER shut_out AFTER UPDATE OF disabled_at ON users FOR EACH ROW
  WHEN (NEW.disabled_at IS NOT NULL) EXECUTE FUNCTION app.end_sessions();
CREATE FUNCTION app.tell_membership() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('live', 'person:' || NEW.user_id), pg_notify('live', 'companies:' || NEW.tenant_id);
  RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON membership FOR EACH ROW EXECUTE FUNCTION app.tell_membership();
