-- How long a session of this person lasts without use, and in any case. Of several companies the strictest rule holds. Called by
-- functions that run with other rights.
create function app.limits_of(p_tenant uuid, p_user uuid, out idle interval, out whole interval) language sql stable as $$
  select make_interval(mins => case u.user_type when 'internal' then t.staff_idle_minutes else least(t.idle_minutes, c.idle) end),
    make_interval(hours => case u.user_type when 'internal' then t.staff_session_hours else least(t.session_hours, c.hours) end)
  from public.users u join public.tenant t on t.id = u.tenant_id
    left join lateral (
      select min(l.idle_minutes) as idle, min(l.session_hours) as hours
      from public.membership m join public.session_limit l on l.tenant_id = m.tenant_id and l.company_id = m.company_id
      where m.tenant_id = u.tenant_id and m.user_id = u.id and m.ended_at is null) c on u.user_type = 'client'
  where u.tenant_id = p_tenant and u.id = p_user $$;

-- From when on what a browser knows of this person counts: a new password, a factor taken away and "that was not me" make every browser
-- a stranger again.
create function app.distrust_devices() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  update users set devices_since = now() where tenant_id = old.tenant_id and id = old.user_id;
  return null;
end $$;
create trigger distrust_devices after delete on passkey for each row execute function app.distrust_devices();
create trigger distrust_devices after delete on totp for each row when (old.confirmed_at is not null)
  execute function app.distrust_devices();
create trigger distrust_devices after delete on credential for each row execute function app.distrust_devices();
create trigger distrust_anew after update of changed_at on credential for each row
  when (new.changed_at is distinct from old.changed_at) execute function app.distrust_devices();

-- What the cookie of a device that knows this person is bound to; of nobody, too.
create function app.device_mark(p_tenant uuid, p_user uuid) returns text
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select coalesce((select extract(epoch from u.devices_since)::text from users u where u.tenant_id = p_tenant and u.id = p_user), '') $$;

-- A sign-in. `p_proofs`: by what its person proved who they are; `p_known`: by a device that had proved to be theirs before;
-- `p_proved_at`: when that was, null where nobody knows (then it is no fresh proof).
-- Whether they get a letter about a new device is decided by a job, which every sign-in promises.
create function app.open_session(p_token bytea, p_tenant uuid, p_user uuid, p_device text, p_proofs text[], p_device_key bytea,
                                 p_known boolean default false, p_proved_at timestamptz default now()) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare opened uuid;
begin
  insert into session (token_hash, tenant_id, user_id, device, proofs, device_key, device_known, expires_at, proved_at)
  select p_token, u.tenant_id, u.id, left(p_device, 200), p_proofs, p_device_key, p_known, now() + l.whole,
    least(coalesce(p_proved_at, now() - interval '1 day'), now())
  from users u cross join lateral app.limits_of(u.tenant_id, u.id) l
  where u.tenant_id = p_tenant and u.id = p_user and u.disabled_at is null
  returning id into opened;
  if opened is null then return false; end if;
  perform app.write_audit(p_tenant, null, p_user, 'session.opened', p_user, jsonb_build_object('proofs', p_proofs));
  perform app.defer(p_tenant, 'signed_in', jsonb_build_object('session', opened));
  return true;
end $$;

-- Whom to tell of this session, once: it came from a device unlike any of theirs. Nobody for the first session of all, and for a
-- browser that keeps no cookies not again within 30 days.
create function app.announce_session(p_session uuid) returns uuid
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare whom uuid;
begin
  if app.tenant() is null then raise exception 'no context' using errcode = '42501'; end if;
  update session s set announced_at = now()
  where s.tenant_id = app.tenant() and s.id = p_session and s.announced_at is null and not s.device_known
    and exists (select from session b where b.tenant_id = s.tenant_id and b.user_id = s.user_id
      and (b.created_at, b.id) < (s.created_at, s.id))
    and not exists (select from session b join users u on u.tenant_id = b.tenant_id and u.id = b.user_id
      where b.tenant_id = s.tenant_id and b.user_id = s.user_id
      and b.created_at >= coalesce(u.devices_since, b.created_at)
      and (b.created_at, b.id) < (s.created_at, s.id) and (b.device_key = s.device_key
        or b.device = s.device and b.network is not distinct from s.network
          and greatest(b.last_seen_at, b.created_at) > s.created_at - interval '30 days'))
  returning s.user_id into whom;
  return whom;
end $$;

-- What a letter says of a session, to its person.
create function app.session_facts(p_session uuid, p_user uuid) returns table (device text, network text, created_at timestamptz)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select s.device, s.network, s.created_at from session s
  where s.tenant_id = app.tenant() and s.id = p_session and s.user_id = p_user $$;

-- Where the person of this context is signed in. No token leaves the database; who looks in somebody's place learns nothing.
create function app.my_sessions()
returns table (id uuid, device text, network text, proofs text[], created_at timestamptz, last_seen_at timestamptz,
               announced boolean, here boolean)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select s.id, s.device, s.network, s.proofs, s.created_at, s.last_seen_at, s.announced_at is not null, s.id = app.session()
  from session s cross join lateral app.limits_of(s.tenant_id, s.user_id) l
  where s.tenant_id = app.tenant() and s.user_id = app.person() and app.viewer() is null and s.revoked_at is null
    and s.expires_at > now() and s.created_at > now() - l.whole and s.last_seen_at > now() - l.idle
  order by s.id = app.session() desc, s.last_seen_at desc, s.id $$;

create function app.my_limits(out idle interval, out whole interval)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select l.idle, l.whole from app.limits_of(app.tenant(), app.person()) l where app.viewer() is null $$;

create function app.end_my_session(p_session uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  update session set revoked_at = now() where tenant_id = app.tenant() and user_id = app.person() and id = p_session
    and revoked_at is null and app.viewer() is null;
  if not found then return false; end if;
  perform app.write_audit(app.tenant(), null, app.person(), 'session.ended', app.person(), '{"by": "list"}');
  return true;
end $$;

-- All but the present one; how many.
create function app.end_my_other_sessions() returns integer
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare n integer;
begin
  update session set revoked_at = now() where tenant_id = app.tenant() and user_id = app.person()
    and id is distinct from app.session() and revoked_at is null and app.viewer() is null;
  get diagnostics n = row_count;
  if n > 0 then
    perform app.write_audit(app.tenant(), null, app.person(), 'session.others_ended', app.person(), jsonb_build_object('number', n));
  end if;
  return n;
end $$;

-- "That was not me": every session ends, also the present one, and the password counts no more; a letter leads to a new one. What is
-- under way to come in otherwise ends, and so does every way in that was added since the oldest session began that may be the other's:
-- those of the last 30 days but the present one, or that one if it is alone. What was there before stays, and so does an account that a
-- provider's address or the staff linked: nobody makes those from within a session.
create function app.disown_my_sessions() returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare t uuid := app.tenant(); me uuid; n integer; since timestamptz; gone jsonb := '[]'; removed jsonb;
begin
  me := app.own_change(true);
  select coalesce(min(created_at) filter (where id <> app.session()), min(created_at)) into since from session
  where tenant_id = t and user_id = me and greatest(created_at, last_seen_at) > now() - interval '30 days';
  update session set revoked_at = now() where tenant_id = t and user_id = me and revoked_at is null;
  get diagnostics n = row_count;
  delete from credential where tenant_id = t and user_id = me;
  with d as (delete from passkey where tenant_id = t and user_id = me and created_at >= since returning name)
  select coalesce(jsonb_agg(jsonb_build_object('kind', 'passkey', 'name', name) order by name), '[]') into removed from d;
  gone := gone || removed;
  with d as (delete from totp where tenant_id = t and user_id = me and coalesce(confirmed_at, now()) >= since returning name, confirmed_at)
  select coalesce(jsonb_agg(jsonb_build_object('kind', 'totp', 'name', name) order by name) filter (where confirmed_at is not null), '[]')
  into removed from d;
  gone := gone || removed;
  with d as (delete from recovery_code where tenant_id = t and user_id = me
             and (created_at >= since or not app.has_factor(t, me)) returning id)
  select case when count(*) = 0 then '[]' else jsonb_build_array(jsonb_build_object('kind', 'codes')) end into removed from d;
  gone := gone || removed;
  with d as (delete from identity where tenant_id = t and user_id = me and linked_by = 'self' and linked_at >= since
             returning provider_id, email)
  select coalesce(jsonb_agg(jsonb_build_object('kind', 'account', 'name', concat_ws(', ', p.name, d.email)) order by p.name), '[]')
  into removed from d join identity_provider p on p.id = d.provider_id;
  gone := gone || removed;
  with d as (update recovery set stopped_at = now() where tenant_id = t and user_id = me and stopped_at is null and used_at is null
             and expires_at > now() returning id)
  select case when count(*) = 0 then '[]' else jsonb_build_array(jsonb_build_object('kind', 'recovery')) end into removed from d;
  gone := gone || removed;
  with d as (update email_change set ended_at = now() where tenant_id = t and user_id = me and ended_at is null and expires_at > now()
             returning new_email)
  select coalesce(jsonb_agg(jsonb_build_object('kind', 'address', 'name', new_email)), '[]') into removed from d;
  gone := gone || removed;
  update users set devices_since = now() where tenant_id = t and id = me;
  perform app.write_audit(t, null, me, 'session.disowned', me,
    jsonb_build_object('number', n) || case when gone = '[]' then '{}' else jsonb_build_object('removed', gone) end);
  perform app.defer(t, 'disowned', jsonb_build_object('person', me));
  return true;
end $$;

-- For the letter about it: what ended beside the sessions and the password.
create function app.disowned_removed(p_user uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select coalesce((select a.detail -> 'removed' from audit a where a.tenant_id = app.tenant() and a.subject_id = p_user
    and a.action = 'session.disowned' order by a.at desc, a.id desc limit 1), '[]') $$;

-- Ends every session of somebody else. Staff with the right to it: of clients, and with the one to decide about access also of
-- colleagues. A client: of people of the company in the address, with the right to manage them. It says nothing of where else the
-- person belongs: a session is of a person, not of a company, so it ends for all of them.
create function app.sign_out_person(p_user uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare other users;
begin
  select * into other from users where tenant_id = app.tenant() and id = p_user;
  if other.id is null or app.viewer() is not null then return false; end if;
  if session_user = 'portal_staff' then
    if not (app.may('access.manage') or other.user_type = 'client' and app.may('people.manage')) then return false; end if;
  elsif session_user <> 'portal_client' or other.user_type <> 'client' or not app.may('people.manage') or not exists (
      select from membership m where m.tenant_id = other.tenant_id and m.company_id = app.company() and m.user_id = other.id
        and m.ended_at is null) then
    return false;
  end if;
  update session set revoked_at = now() where tenant_id = other.tenant_id and user_id = other.id and revoked_at is null;
  perform app.write_audit(other.tenant_id, app.company(), app.person(), 'session.all_ended', other.id, '{}');
  if other.id <> app.person() then perform app.access_letter(other.tenant_id, other.id, 'signed_out', app.person()); end if;
  return true;
end $$;

-- Seconds until this session is over if nobody does anything; null when it is.
create function app.session_left(p_token bytea) returns integer
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select ceil(extract(epoch from least(s.last_seen_at + l.idle, s.created_at + l.whole, s.expires_at) - clock_timestamp()))::integer
  from app.live_session(p_token) me join session s on s.token_hash = p_token
    cross join lateral app.limits_of(s.tenant_id, s.user_id) l $$;

-- Somebody says that they are still there.
create function app.stay(p_token bytea) returns integer
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  update session set last_seen_at = now() where token_hash = p_token and exists (select from app.live_session(p_token));
  return app.session_left(p_token);
end $$;

-- One's own list of sessions follows, wherever it is open. Ids of people only.
create function app.tell_sessions() returns trigger language plpgsql as $$
begin perform pg_notify('live', 'sessions:' || new.user_id); return null; end $$;
create trigger tell_list after insert or update of revoked_at on session for each row execute function app.tell_sessions();
