-- ---------- what is known of a person ----------

-- Whether something is asked of this person after the password.
create function app.has_factor(p_tenant uuid, p_user uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select exists (select from totp where tenant_id = p_tenant and user_id = p_user and confirmed_at is not null) $$;

-- Whether this person may not be without a second factor.
create function app.must_keep_factor(p_tenant uuid, p_user uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$ select false $$;

-- A letter that is promised where there is no context.
create function app.write_letter(p_tenant uuid, p_user uuid, p_letter uuid, p_kind text) returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  insert into mail_outbox (id, tenant_id, kind, to_user_id, state, created_at) values (p_letter, p_tenant, p_kind, p_user, 'waiting', now());
  select app.defer(p_tenant, 'send_letter', jsonb_build_object('letter', p_letter)) $$;

-- ---------- one's own ----------

-- A letter to oneself about what one has just changed.
create function app.letter_to_me(p_letter uuid, p_kind text) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  if app.person() is null or app.viewer() is not null
     or p_kind not in ('factor_added', 'factor_removed', 'recovery_codes_made', 'password_changed') then
    raise exception 'no such letter' using errcode = '42501';
  end if;
  perform app.write_letter(app.tenant(), app.person(), p_letter, p_kind);
end $$;

-- Begins a change of how somebody signs in; one at a time. Staff who look at the portal as somebody else change nothing, and a
-- session that ended while this waited for another change changes nothing either.
create function app.own_change(p_fresh boolean) returns uuid
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  if app.person() is null or app.session() is null or app.viewer() is not null then
    raise exception 'no person' using errcode = '42501';
  end if;
  if p_fresh and not app.fresh() then raise exception 'no fresh proof' using errcode = '42501'; end if;
  perform from users where tenant_id = app.tenant() and id = app.person() for update;
  if not exists (select from session where tenant_id = app.tenant() and id = app.session() and revoked_at is null) then
    raise exception 'no session' using errcode = '28000';
  end if;
  return app.person();
end $$;

-- What one signs in with, for one's own eyes.
create function app.my_signing_in() returns jsonb
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select jsonb_build_object(
    'password', (select jsonb_build_object('changed_at', c.changed_at, 'alone', c.alone) from credential c
                 where c.tenant_id = u.tenant_id and c.user_id = u.id),
    'totp', (select coalesce(jsonb_agg(jsonb_build_object('id', f.id, 'name', f.name, 'created_at', f.confirmed_at,
               'used_at', f.used_at) order by f.confirmed_at, f.id), '[]')
             from totp f where f.tenant_id = u.tenant_id and f.user_id = u.id and f.confirmed_at is not null),
    'codes', (select jsonb_build_object('left', count(*), 'created_at', max(r.created_at)) from recovery_code r
              where r.tenant_id = u.tenant_id and r.user_id = u.id),
    'has_factor', app.has_factor(u.tenant_id, u.id), 'must_keep', app.must_keep_factor(u.tenant_id, u.id), 'fresh', app.fresh())
  from users u where u.tenant_id = app.tenant() and u.id = app.person() and app.viewer() is null $$;

-- An app that is being set up; what was begun before and never finished goes. False: there are as many as one may have.
create function app.begin_totp(p_id uuid, p_name text, p_secret bytea) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare me uuid := app.own_change(true);
begin
  delete from totp where tenant_id = app.tenant() and user_id = me and confirmed_at is null;
  if (select count(*) from totp where tenant_id = app.tenant() and user_id = me) >= 10 then return false; end if;
  insert into totp (id, tenant_id, user_id, name, secret) values (p_id, app.tenant(), me, p_name, p_secret);
  return true;
end $$;

-- The secret that waits to be confirmed.
create function app.waiting_totp(p_id uuid) returns bytea
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select secret from totp where tenant_id = app.tenant() and user_id = app.person() and app.viewer() is null and id = p_id
    and confirmed_at is null and created_at > now() - interval '1 hour' $$;

-- The code that confirms it is used up by that. False: it is confirmed already, or was begun anew elsewhere.
create function app.confirm_totp(p_id uuid, p_name text, p_step bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare me uuid := app.own_change(true);
begin
  update totp set confirmed_at = now(), name = p_name, last_step = p_step
  where tenant_id = app.tenant() and user_id = me and id = p_id and confirmed_at is null;
  if not found then return false; end if;
  update session set proofs = array_append(proofs, 'totp')
  where tenant_id = app.tenant() and id = app.session() and not 'totp' = any (proofs);
  return true;
end $$;

-- Its name; null: it is not there. Raises 23001 where somebody may not be without it: `needed`, or `password`, which is too short alone.
create function app.remove_totp(p_id uuid) returns text
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare me uuid := app.own_change(true); gone text;
begin
  delete from totp where tenant_id = app.tenant() and user_id = me and id = p_id and confirmed_at is not null returning name into gone;
  if gone is null or app.has_factor(app.tenant(), me) then return gone; end if;
  if app.must_keep_factor(app.tenant(), me) then raise exception 'needed' using errcode = '23001'; end if;
  if exists (select from credential where tenant_id = app.tenant() and user_id = me and not alone) then
    raise exception 'password' using errcode = '23001';
  end if;
  delete from recovery_code where tenant_id = app.tenant() and user_id = me;
  return gone;
end $$;

-- In place of those there were. False: without a factor there is nothing to recover.
create function app.set_recovery_codes(p_digests bytea[]) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare me uuid := app.own_change(true);
begin
  if not app.has_factor(app.tenant(), me) then return false; end if;
  delete from recovery_code where tenant_id = app.tenant() and user_id = me;
  insert into recovery_code (tenant_id, user_id, digest) select app.tenant(), me, d from unnest(p_digests) d;
  return true;
end $$;

-- One's own; every other session ends. `p_alone`: it is long enough to be all that is asked. False: it is not, and it would be.
create function app.change_password(p_hash text, p_alone boolean) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare me uuid := app.own_change(true);
begin
  if not p_alone and not app.has_factor(app.tenant(), me) then return false; end if;
  insert into credential (user_id, tenant_id, password_hash, alone) values (me, app.tenant(), p_hash, p_alone)
  on conflict (user_id) do update set password_hash = p_hash, alone = p_alone, changed_at = now();
  update session set revoked_at = now()
  where tenant_id = app.tenant() and user_id = me and id <> app.session() and revoked_at is null;
  return true;
end $$;

-- ---------- the door ----------

-- The apps of somebody who has proved already that they know the password.
create function app.totp_of(p_tenant uuid, p_user uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', f.id, 'name', f.name, 'secret', encode(f.secret, 'hex'))
    order by f.confirmed_at, f.id), '[]')
  from totp f where f.tenant_id = p_tenant and f.user_id = p_user and f.confirmed_at is not null $$;

-- A code works once: true for whoever comes first with it, and for none that is older.
create function app.use_totp(p_tenant uuid, p_user uuid, p_id uuid, p_step bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  update totp set last_step = p_step, used_at = now()
  where tenant_id = p_tenant and user_id = p_user and id = p_id and confirmed_at is not null and last_step < p_step;
  return found;
end $$;

create function app.recovery_codes_left(p_tenant uuid, p_user uuid) returns integer
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select count(*)::integer from recovery_code where tenant_id = p_tenant and user_id = p_user $$;

-- How many are left; null: it is none of theirs, or was used. Whoever uses one is told by the letter `p_letter`.
create function app.use_recovery_code(p_tenant uuid, p_user uuid, p_digest bytea, p_letter uuid) returns integer
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare gone uuid; others integer;
begin
  delete from recovery_code where tenant_id = p_tenant and user_id = p_user and digest = p_digest returning id into gone;
  if gone is null then return null; end if;
  others := app.recovery_codes_left(p_tenant, p_user);
  perform app.write_audit(p_tenant, null, p_user, 'recovery_code.used', p_user, jsonb_build_object('left', others));
  perform app.write_letter(p_tenant, p_user, p_letter, 'recovery_code_used');
  return others;
end $$;

-- Somebody who is known by something already could not prove it by this. `p_letter`: the person is told.
create function app.proof_refused(p_tenant uuid, p_user uuid, p_method text, p_letter uuid) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  perform app.write_audit(p_tenant, null, p_user, 'proof.refused', p_user, jsonb_build_object('method', p_method));
  if p_letter is not null then perform app.write_letter(p_tenant, p_user, p_letter, 'proof_refused'); end if;
end $$;

-- The person of this session has proved anew who they are.
create function app.prove(p_token bytea, p_proof text) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare me record;
begin
  select * into me from app.live_session(p_token);
  if not found then return false; end if;
  update session set proved_at = now() where token_hash = p_token;
  perform app.write_audit(me.tenant_id, null, me.user_id, 'session.proved', me.user_id, jsonb_build_object('by', p_proof));
  return true;
end $$;
