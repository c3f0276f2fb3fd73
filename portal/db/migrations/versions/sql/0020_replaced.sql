-- Lines are refused any change; only what is over by the tenant's rule goes, by the one function for it.
create or replace function app.write_audit(p_tenant uuid, p_company uuid, p_actor uuid, p_action text, p_subject uuid, p_detail jsonb)
returns void language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare s record; here uuid := app.session();
begin
  if here is null and p_action = 'session.opened' then  -- the one that is being made
    select x.id into here from session x where x.tenant_id = p_tenant and x.user_id = p_actor and x.created_at = now()
      order by x.expires_at desc limit 1;
  end if;
  select x.network into s from session x where x.tenant_id = p_tenant and x.id = here;
  perform app.add_audit(p_tenant, p_company, p_actor, p_action, p_subject, p_detail, here,
    coalesce(s.network, case when session_user = 'portal_door' then nullif(left(current_setting('app.network', true), 60), '') end),
    null);
end $$;

-- A client's lines stand at their company. What somebody does about themselves stands at none, or at the one whose provider it is about,
-- if they belong there: in which of their companies they were just then is nobody's business.
create or replace function app.record(p_action text, p_company uuid, p_subject uuid, p_detail jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare here uuid := app.company();
begin
  if app.tenant() is null then raise exception 'no context' using errcode = '42501'; end if;
  if here is null then
    here := p_company;
  elsif app.told(p_action) in ('person', 'there') and p_subject is not distinct from app.person() then
    select m.company_id into here from membership m
      where m.tenant_id = app.tenant() and m.user_id = app.person() and m.company_id = p_company;
  end if;
  perform app.write_audit(app.tenant(), here, app.person(), p_action, p_subject, p_detail);
end $$;

create or replace function app.may_see(p_ticket uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select exists (select from ticket t where t.id = p_ticket and t.tenant_id = app.tenant() and t.company_id = app.company()
    and (t.visibility = 'company' or app.viewer() is null)
    and (t.requester_id = app.person() or (t.visibility = 'company' and app.reach() = 'company')
      or exists (select from ticket_participant p where p.ticket_id = t.id and p.user_id = app.person()))) $$;

-- As before; whoever looks in a client's place finds no private ticket, and none leads the way.
CREATE OR REPLACE FUNCTION app.search_tickets(p_words text, p_most integer, p_company uuid DEFAULT NULL, p_any boolean DEFAULT false)
RETURNS SETOF uuid LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  t uuid := app.tenant(); c uuid := app.company(); me uuid := app.person(); all_of_it boolean := app.reach() = 'company';
  looks boolean := app.viewer() IS NOT NULL;
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
      JOIN ticket_text w ON w.ticket_id = x.id JOIN ticket y ON y.id = x.id WHERE (w.words @@ q OR y.number = n) AND NOT (looks AND y.visibility = 'private'));

  ELSE
    WITH single AS MATERIALIZED (SELECT app.query_of(ARRAY[w], '&') AS q, at FROM unnest(asked) WITH ORDINALITY u (w, at)),
    newest AS MATERIALIZED (
      SELECT w.words FROM (
        SELECT x.id FROM ticket x WHERE x.tenant_id = t AND x.company_id = c AND (x.visibility = 'company' OR NOT looks AND x.requester_id = me
          OR NOT looks AND EXISTS (SELECT FROM ticket_participant p WHERE p.ticket_id = x.id AND p.user_id = me))
        ORDER BY x.changed_at DESC, x.id DESC LIMIT looked) x JOIN ticket_text w ON w.ticket_id = x.id)
    SELECT app.rare_of(asked, array_agg(k.hits ORDER BY k.at), p_any) INTO rare FROM (
      SELECT at, count(*) FILTER (WHERE newest.words @@ single.q) AS hits FROM single LEFT JOIN newest ON true GROUP BY at) k;
    ids := ARRAY(SELECT w.ticket_id FROM ticket_text w
      WHERE w.company_id = c AND w.words @@ rare AND (w.words @@ q) IS TRUE
        AND EXISTS (SELECT FROM ticket x WHERE x.id = w.ticket_id AND (x.visibility = 'company' OR NOT looks AND x.requester_id = me
          OR NOT looks AND EXISTS (SELECT FROM ticket_participant p WHERE p.ticket_id = x.id AND p.user_id = me)) OFFSET 0)
      LIMIT many + 1);
    IF rare IS NULL OR cardinality(ids) > many THEN
      ids := ARRAY(SELECT x.id FROM (
          SELECT x.id, x.changed_at FROM ticket x WHERE x.tenant_id = t AND x.company_id = c AND (x.visibility = 'company' OR NOT looks AND x.requester_id = me
            OR NOT looks AND EXISTS (SELECT FROM ticket_participant p WHERE p.ticket_id = x.id AND p.user_id = me))
          ORDER BY x.changed_at DESC, x.id DESC LIMIT far) x JOIN ticket_text w ON w.ticket_id = x.id
        WHERE w.words @@ q ORDER BY x.changed_at DESC, x.id DESC LIMIT enough);
      IF cardinality(ids) < 25 THEN
        ids := ARRAY(SELECT w.ticket_id FROM ticket_text w WHERE w.company_id = c AND w.words @@ q
          AND EXISTS (SELECT FROM ticket x WHERE x.id = w.ticket_id AND (x.visibility = 'company' OR NOT looks AND x.requester_id = me
            OR NOT looks AND EXISTS (SELECT FROM ticket_participant p WHERE p.ticket_id = x.id AND p.user_id = me)) OFFSET 0)
          LIMIT many);
      END IF;
    END IF;
    ids := ids || ARRAY(SELECT x.id FROM ticket x WHERE x.tenant_id = t AND x.company_id = c AND x.number = n);
  END IF;

  RETURN QUERY
    SELECT f.id FROM (
      SELECT x.id, x.number, x.changed_at FROM ticket x
      WHERE x.id = ANY (ids) AND x.tenant_id = t AND (staff AND (p_company IS NULL OR x.company_id = p_company) OR x.company_id = c AND (
        NOT (looks AND x.visibility = 'private') AND (x.visibility = 'company' AND all_of_it OR x.requester_id = me
        OR EXISTS (SELECT FROM ticket_participant p WHERE p.ticket_id = x.id AND p.user_id = me))))
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
