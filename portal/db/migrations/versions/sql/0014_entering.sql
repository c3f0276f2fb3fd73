create or replace function app.enter_quietly(p_token bytea, p_company uuid, p_rights text) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare me record; s record; reach text; rights text; may text[];
begin
  select * into me from app.live_session(p_token);
  if not found or session_user <> (case me.user_type when 'internal' then 'portal_staff' else 'portal_client' end) then
    raise exception 'no session' using errcode = '28000';
  end if;
  select x.id, x.proved_at > now() - interval '15 minutes' as fresh into s from session x where x.token_hash = p_token;
  if me.user_type = 'internal' then
    p_company := null;
    reach := 'all';
    select app.permissions_of(me.staff_role, r.permissions), coalesce(me.staff_role, array_to_string(r.permissions, ','))
      into may, rights from (values (1)) as one left join role r on r.tenant_id = me.tenant_id and r.id = me.staff_role_id;
  else
    select app.reach_of(m.role, r.permissions), app.permissions_of(m.role, r.permissions),
      coalesce(m.role, array_to_string(r.permissions, ',')) into reach, may, rights
    from membership m join company c on c.tenant_id = m.tenant_id and c.id = m.company_id
      left join role r on r.tenant_id = m.tenant_id and r.id = m.role_id
    where m.tenant_id = me.tenant_id and m.user_id = me.user_id and m.company_id = p_company and m.ended_at is null
      and c.archived_at is null;
    if not found then raise exception 'no session' using errcode = '28000'; end if;
  end if;
  if p_rights <> rights then raise exception 'other rights' using errcode = '28000'; end if;
  perform app.set_context(me.tenant_id, p_company, me.user_id, reach, may, s.id, null, s.fresh);
end $$;

-- A job of no person: no permission, no session.
create or replace function app.set_context(p_tenant uuid, p_company uuid, p_person uuid, p_reach text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin perform app.set_context(p_tenant, p_company, p_person, p_reach, '{}', null, null, false); end $$;

create or replace function app.enter_import(p_key bytea) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare found record;
begin
  select b.tenant_id, b.started_by_id, app.permissions_of(u.staff_role, r.permissions) as may into found
  from import_batch b join users u on u.tenant_id = b.tenant_id and u.id = b.started_by_id
    left join role r on r.tenant_id = u.tenant_id and r.id = u.staff_role_id
  where b.key_hash = sha256(p_key) and b.state = 'running' and u.user_type = 'internal' and u.disabled_at is null;
  if found.tenant_id is null or session_user <> 'portal_staff' then
    raise exception 'no running import' using errcode = '28000';
  end if;
  perform app.set_context(found.tenant_id, null, found.started_by_id, 'all', found.may, null, null, false);
end $$;

create or replace function app.enter_export(p_job bigint, p_key text) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare e record; reach text; may text[];
begin
  select x.tenant_id, x.company_id, x.user_id, u.user_type, u.staff_role, r.permissions into e
  from jobs.procrastinate_jobs j join export x on x.id = (j.args ->> 'export')::uuid and x.tenant_id = (j.args ->> 'tenant')::uuid
    join users u on u.tenant_id = x.tenant_id and u.id = x.user_id
    left join role r on r.tenant_id = u.tenant_id and r.id = u.staff_role_id
  where j.id = p_job and j.status = 'doing' and j.task_name = 'make_export' and length(p_key) >= 32 and j.args ->> 'key' = p_key
    and x.state = 'running' and u.disabled_at is null;
  if not found or session_user <> (case e.user_type when 'internal' then 'portal_staff' else 'portal_client' end) then
    raise exception 'no export' using errcode = '28000';
  end if;
  if e.user_type = 'internal' then
    reach := 'all';
    may := app.permissions_of(e.staff_role, e.permissions);
  else
    select app.reach_of(m.role, r.permissions), app.permissions_of(m.role, r.permissions) into reach, may
    from membership m join company c on c.tenant_id = m.tenant_id and c.id = m.company_id
      left join role r on r.tenant_id = m.tenant_id and r.id = m.role_id
    where m.tenant_id = e.tenant_id and m.user_id = e.user_id and m.company_id = e.company_id and m.ended_at is null
      and c.archived_at is null;
  end if;
  if not coalesce('tickets.see' = any (may), false) or e.user_type = 'internal' and e.company_id is not null then
    raise exception 'no export' using errcode = '28000';
  end if;
  perform app.set_context(e.tenant_id, e.company_id, e.user_id, reach, may, null, null, false);
end $$;
