-- Whether the person of this context may help this one: '' or why not. Nobody helps above their own rights.
create function app.may_recover(p_user uuid) returns text
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp as $$
declare t uuid := app.tenant(); mine text[] := string_to_array((app.context())[5], ','); u record; theirs text[];
begin
  if t is null or app.person() is null or app.viewer() is not null then raise exception 'no context' using errcode = '42501'; end if;
  select * into u from users where tenant_id = t and id = p_user and disabled_at is null;
  if not found then return 'gone'; end if;
  if session_user = 'portal_staff' and u.user_type = 'internal' then
    if not app.may('staff.manage') then return 'above'; end if;
    select app.permissions_of(u.staff_role, r.permissions) into theirs
    from (values (1)) as one left join role r on r.tenant_id = t and r.id = u.staff_role_id;
  elsif session_user = 'portal_staff' then
    if not app.may('people.manage') then return 'above'; end if;
    theirs := '{}';
  elsif session_user = 'portal_client' then
    if not app.may('people.manage') or u.user_type <> 'client' then return 'gone'; end if;
    select app.permissions_of(m.role, r.permissions) into theirs
    from membership m left join role r on r.tenant_id = m.tenant_id and r.id = m.role_id
    where m.tenant_id = t and m.user_id = u.id and m.company_id = app.company() and m.ended_at is null;
    if not found then return 'gone'; end if;
  else
    raise exception 'no side' using errcode = '42501';
  end if;
  if p_user = app.person() then return 'self'; end if;
  return case when theirs <@ mine then '' else 'above' end;
end $$;

-- '' when it has begun, else why not. The person is told at once; nothing of theirs ends.
create function app.start_recovery(p_user uuid, p_reason text, p_spoken boolean) returns text
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare t uuid := app.tenant(); why text := app.may_recover(p_user); elsewhere boolean; hours integer; made uuid;
begin
  if why <> '' then return why; end if;
  if not app.fresh() then raise exception 'no fresh proof' using errcode = '42501'; end if;
  perform from users where tenant_id = t and id = p_user for update;
  if not app.has_factor(t, p_user) then return 'none'; end if;
  update recovery set stopped_at = now() where tenant_id = t and user_id = p_user and stopped_at is null and used_at is null and expires_at < now();
  -- what another company, or the staff, have begun is nothing to a client admin
  if exists (select from recovery where tenant_id = t and user_id = p_user and stopped_at is null and used_at is null
             and (session_user = 'portal_staff' or company_id = app.company())) then return 'open'; end if;
  if (select count(*) from recovery where tenant_id = t and user_id = p_user and started_at > now() - interval '1 day'
      and (session_user = 'portal_staff' or company_id = app.company())) >= 3 then
    return 'often';
  end if;
  p_spoken := p_spoken and session_user = 'portal_staff';
  select recovery_hours into hours from tenant where id = t;
  -- a client admin does not learn whether their person belongs to another company as well: then the staff look at it
  elsewhere := session_user = 'portal_client' and exists (
    select from membership m where m.tenant_id = t and m.user_id = p_user and m.company_id <> app.company() and m.ended_at is null);
  insert into recovery (tenant_id, company_id, user_id, started_by_id, reason, ready_at, needs_staff, spoken_by_id, expires_at)
  values (t, app.company(), p_user, app.person(), p_reason, case when p_spoken then now() else now() + make_interval(hours => hours) end,
          elsewhere, case when p_spoken then app.person() end, now() + make_interval(hours => hours) + interval '7 days')
  returning id into made;
  perform app.record('recovery.started', app.company(), p_user, jsonb_build_object('reason', p_reason, 'spoken', p_spoken));
  perform app.access_letter(t, p_user, 'recovery_started', app.person());
  if p_spoken then perform app.send_recovery(made); end if;
  return '';
end $$;

-- The letter with the link, once.
create function app.send_recovery(p_id uuid) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare r record;
begin
  update recovery set told_at = now() where id = p_id and told_at is null and ready_at <= now() and expires_at > now() and not needs_staff
    and stopped_at is null and used_at is null returning tenant_id, user_id, started_by_id into r;
  if found then perform app.access_letter(r.tenant_id, r.user_id, 'recovery_ready', r.started_by_id); end if;
end $$;

create function app.send_recoveries() returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  select app.send_recovery(id) from recovery
  where told_at is null and ready_at <= now() and stopped_at is null and used_at is null and not needs_staff $$;

-- The staff have spoken to the person: the link goes out now.
create function app.hurry_recovery(p_user uuid) returns text
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare why text := app.may_recover(p_user); made uuid;
begin
  if why <> '' then return why; end if;
  if session_user <> 'portal_staff' or not app.fresh() then raise exception 'not allowed' using errcode = '42501'; end if;
  update recovery set ready_at = now(), needs_staff = false, spoken_by_id = app.person()
  where tenant_id = app.tenant() and id = (
    select id from recovery where tenant_id = app.tenant() and user_id = p_user and stopped_at is null and used_at is null
      and expires_at > now() and told_at is null order by started_at, id limit 1)
    and stopped_at is null and used_at is null and told_at is null
  returning id into made;
  if made is null then return 'gone'; end if;
  perform app.record('recovery.hurried', null, p_user, '{}');
  perform app.send_recovery(made);
  return '';
end $$;

create function app.stop_recovery(p_user uuid) returns text
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare why text := app.may_recover(p_user);
begin
  if why not in ('', 'self') then return why; end if;
  update recovery set stopped_at = now() where tenant_id = app.tenant() and user_id = p_user and stopped_at is null and used_at is null
    and (session_user = 'portal_staff' or company_id = app.company());
  if not found then return 'gone'; end if;
  perform app.record('recovery.stopped', app.company(), p_user, '{}');
  return '';
end $$;

-- What is under way for these people, for whoever may help them.
create function app.recoveries() returns table (user_id uuid, started_by_id uuid, reason text, started_at timestamptz, ready_at timestamptz,
                                                needs_staff boolean, told_at timestamptz)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select r.user_id, case when session_user = 'portal_staff' or r.company_id = app.company() then r.started_by_id end,
    case when session_user = 'portal_staff' or r.company_id = app.company() then r.reason else '' end, r.started_at, r.ready_at,
    r.needs_staff and session_user = 'portal_staff', r.told_at
  from recovery r
  where r.tenant_id = app.tenant() and app.may('people.manage') and app.viewer() is null and r.stopped_at is null and r.used_at is null
    and r.expires_at > now()
    and (session_user = 'portal_staff' or session_user = 'portal_client' and r.company_id = app.company())
  order by r.started_at, r.id $$;

-- ---------- the door ----------

create function app.recovery_at_door(p_tenant uuid, p_id uuid)
returns table (user_id uuid, name text, user_type text, started_by text, ready_at timestamptz, state text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select u.id, u.name, u.user_type, b.name, r.ready_at,
    case when r.stopped_at is not null then 'stopped' when r.used_at is not null then 'used' when r.expires_at < now() then 'over'
      when r.told_at is null then 'waiting' else 'ready' end
  from recovery r join users u on u.tenant_id = r.tenant_id and u.id = r.user_id
    join users b on b.tenant_id = r.tenant_id and b.id = r.started_by_id
  where r.tenant_id = p_tenant and r.id = p_id and u.disabled_at is null $$;

-- By the person's own link: that was not me.
create function app.refuse_recovery(p_tenant uuid, p_id uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare who uuid; r record; any_stopped boolean := false;
begin
  select user_id into who from recovery where tenant_id = p_tenant and id = p_id and stopped_at is null and used_at is null;
  if not found then return false; end if;
  for r in  -- all that are under way: nothing was lost
    update recovery set stopped_at = now() where tenant_id = p_tenant and user_id = who and stopped_at is null and used_at is null
    returning started_by_id, company_id
  loop
    any_stopped := true;
    perform app.write_audit(p_tenant, r.company_id, who, 'recovery.refused', who, '{}');
    perform app.access_letter(p_tenant, r.started_by_id, 'recovery_refused', who);
  end loop;
  return any_stopped;
end $$;

-- For the letters: the one under way, before all others the one whose link is out.
create function app.recovery_of(p_tenant uuid, p_user uuid) returns uuid
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select id from recovery where tenant_id = p_tenant and user_id = p_user and stopped_at is null and used_at is null and expires_at > now()
  order by told_at desc nulls last, started_at, id limit 1 $$;

-- The new factor is there: all they had before ends, and so do their sessions. Once. False: it was used, stopped, or is over.
create function app.finish_recovery(p_tenant uuid, p_user uuid, p_id uuid, p_keep uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare r record;
begin
  perform from users where tenant_id = p_tenant and id = p_user for update;
  update recovery set used_at = now()
  where tenant_id = p_tenant and id = p_id and user_id = p_user and stopped_at is null and used_at is null and told_at is not null
    and ready_at <= now() and expires_at > now()
  returning company_id, started_by_id into r;
  if not found then return false; end if;
  update recovery set stopped_at = now() where tenant_id = p_tenant and user_id = p_user and stopped_at is null and used_at is null;
  delete from passkey where tenant_id = p_tenant and user_id = p_user and id <> p_keep;
  delete from totp where tenant_id = p_tenant and user_id = p_user and id <> p_keep;
  delete from recovery_code where tenant_id = p_tenant and user_id = p_user;
  update session set revoked_at = now() where tenant_id = p_tenant and user_id = p_user and revoked_at is null;
  perform app.write_audit(p_tenant, r.company_id, p_user, 'recovery.finished', p_user, '{}');
  perform app.access_letter(p_tenant, p_user, 'recovery_finished', r.started_by_id);
  return true;
end $$;

-- Whether a factor may be set up at the door, where there is no session: by who needs one and has none, or with the link of a
-- recovery, which ends all others. Asked after the new one (`p_new`) was written, in the same transaction.
create function app.may_set_up(p_tenant uuid, p_user uuid, p_proofs text[], p_recovery uuid, p_new uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  if p_recovery is not null then return app.finish_recovery(p_tenant, p_user, p_recovery, p_new); end if;
  return app.must_keep_factor(p_tenant, p_user)
    and not exists (select from totp where tenant_id = p_tenant and user_id = p_user and confirmed_at is not null and id <> p_new)
    and not exists (select from passkey where tenant_id = p_tenant and user_id = p_user and id <> p_new);
end $$;

create function app.set_up_passkey(p_tenant uuid, p_user uuid, p_proofs text[], p_recovery uuid, p_key jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  if not app.insert_passkey(p_tenant, p_user, p_key) then return false; end if;
  if not app.may_set_up(p_tenant, p_user, p_proofs, p_recovery, (p_key ->> 'id')::uuid) then
    raise exception 'not now' using errcode = '23001';
  end if;
  perform app.write_audit(p_tenant, null, p_user, 'passkey.added', p_user, jsonb_build_object('name', p_key ->> 'name'));
  return true;
end $$;

create function app.set_up_totp(p_tenant uuid, p_user uuid, p_proofs text[], p_recovery uuid, p_id uuid, p_name text, p_secret bytea,
                                p_step bigint, p_codes bytea[]) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  perform from users where tenant_id = p_tenant and id = p_user and disabled_at is null for update;
  if not found then return false; end if;
  insert into totp (id, tenant_id, user_id, name, secret, last_step, confirmed_at)
  values (p_id, p_tenant, p_user, p_name, p_secret, p_step, now()) on conflict (id) do nothing;
  if not found then return false; end if;
  if not app.may_set_up(p_tenant, p_user, p_proofs, p_recovery, p_id) then raise exception 'not now' using errcode = '23001'; end if;
  perform app.write_audit(p_tenant, null, p_user, 'factor.added', p_user, jsonb_build_object('kind', 'totp', 'name', p_name));
  delete from recovery_code where tenant_id = p_tenant and user_id = p_user;
  insert into recovery_code (tenant_id, user_id, digest) select p_tenant, p_user, d from unnest(p_codes) d;
  perform app.write_audit(p_tenant, null, p_user, 'recovery_codes.made', p_user, jsonb_build_object('count', cardinality(p_codes)));
  return true;
end $$;

-- Whose address changes is not helped by letters that went to the one before, or go to the new one.
create function app.end_recovery() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  update recovery set stopped_at = now() where tenant_id = new.tenant_id and user_id = new.id and stopped_at is null and used_at is null;
  return null;
end $$;
create trigger end_recovery after update of email on users for each row
  when (old.email is distinct from new.email) execute function app.end_recovery();
