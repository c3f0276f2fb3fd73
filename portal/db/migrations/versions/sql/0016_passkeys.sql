create function app.tell_passkey() returns trigger language plpgsql as $$
begin perform pg_notify('live', 'factors:' || coalesce(new.user_id, old.user_id)); return null; end $$;
create trigger tell after insert or update of name or delete on passkey for each row execute function app.tell_passkey();

-- A letter about how somebody comes in, written by a job.
create function app.access_letter(p_tenant uuid, p_user uuid, p_kind text, p_actor uuid) returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  select app.defer(p_tenant, 'access_letter', jsonb_build_object('kind', p_kind, 'user', p_user, 'actor', p_actor)) $$;

-- Of whoever acts for themselves, and not of staff who look at the portal as them.
create function app.oneself() returns uuid language plpgsql stable parallel restricted as $$
begin
  if app.person() is null or app.viewer() is not null then raise exception 'no person' using errcode = '42501'; end if;
  return app.person();
end $$;

create function app.handle_of(p_tenant uuid, p_user uuid) returns bytea
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare found bytea;
begin
  insert into passkey_owner (user_id, tenant_id, handle)
  select u.id, u.tenant_id, sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) from users u
  where u.tenant_id = p_tenant and u.id = p_user on conflict (user_id) do nothing;
  select handle into found from passkey_owner where tenant_id = p_tenant and user_id = p_user;
  return found;
end $$;

create function app.my_handle() returns bytea
language sql security definer set search_path = pg_catalog, public, pg_temp as $$ select app.handle_of(app.tenant(), app.oneself()) $$;

create function app.my_passkeys()
returns table (id uuid, name text, credential_id bytea, transports text[], backed_up boolean, created_at timestamptz, used_at timestamptz)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select p.id, p.name, p.credential_id, p.transports, p.backed_up, p.created_at, p.used_at from passkey p
  where p.tenant_id = app.tenant() and p.user_id = app.oneself() order by p.created_at, p.id $$;

create function app.insert_passkey(p_tenant uuid, p_user uuid, p_key jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  perform from users where tenant_id = p_tenant and id = p_user and disabled_at is null for update;
  if not found or (select count(*) from passkey where tenant_id = p_tenant and user_id = p_user) >= 20 then return false; end if;
  insert into passkey (id, tenant_id, user_id, name, credential_id, public_key, sign_count, transports, backed_up)
  values ((p_key ->> 'id')::uuid, p_tenant, p_user, left(p_key ->> 'name', 60), decode(p_key ->> 'credential', 'hex'),
          decode(p_key ->> 'public', 'hex'), (p_key ->> 'count')::bigint,
          array(select left(jsonb_array_elements_text(p_key -> 'transports'), 20) limit 8), (p_key ->> 'backed_up')::boolean)
  on conflict (tenant_id, credential_id) do nothing;
  if not found then return false; end if;
  perform app.access_letter(p_tenant, p_user, 'passkey_added', null);
  return true;
end $$;

-- False: this key is known already, or there are as many as one may have.
create function app.add_passkey(p_key jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin return app.insert_passkey(app.tenant(), app.own_change(true), p_key); end $$;

create function app.rename_passkey(p_id uuid, p_name text) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare me uuid := app.own_change(false);
begin
  update passkey set name = left(p_name, 60) where tenant_id = app.tenant() and user_id = me and id = p_id;
  return found;
end $$;

-- Its name; null: it is not there. Raises 23001 where somebody may not be without it: `needed`, or `password`, which is too short alone.
create function app.remove_passkey(p_id uuid) returns text
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare me uuid := app.own_change(true); gone text;
begin
  delete from passkey where tenant_id = app.tenant() and user_id = me and id = p_id returning name into gone;
  if gone is null then return null; end if;
  if not app.has_factor(app.tenant(), me) then
    if app.must_keep_factor(app.tenant(), me) then raise exception 'needed' using errcode = '23001'; end if;
    if exists (select from credential where tenant_id = app.tenant() and user_id = me and not alone) then
      raise exception 'password' using errcode = '23001';
    end if;
    delete from recovery_code where tenant_id = app.tenant() and user_id = me;
  end if;
  perform app.access_letter(app.tenant(), me, 'passkey_removed', null);
  return gone;
end $$;

create function app.decline_passkey() returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare me uuid := app.own_change(false);
begin
  perform app.handle_of(app.tenant(), me);
  update passkey_owner set declined_at = now() where tenant_id = app.tenant() and user_id = me;
end $$;

-- ---------- the door ----------

-- Whose a passkey is, on this side; nothing for one of nobody, of the other side, or of somebody who may not come in.
create function app.passkey_at_door(p_tenant uuid, p_type text, p_credential bytea)
returns table (id uuid, user_id uuid, public_key bytea, handle bytea)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select p.id, p.user_id, p.public_key, o.handle from passkey p
    join users u on u.tenant_id = p.tenant_id and u.id = p.user_id
    join passkey_owner o on o.tenant_id = p.tenant_id and o.user_id = p.user_id
  where p.tenant_id = p_tenant and p.credential_id = p_credential and u.user_type = p_type and u.disabled_at is null $$;

-- Of somebody who has proved already that they know the password.
create function app.passkeys_of(p_tenant uuid, p_user uuid) returns table (credential_id bytea, transports text[])
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select p.credential_id, p.transports from passkey p where p.tenant_id = p_tenant and p.user_id = p_user order by p.created_at $$;

-- True for whoever comes first with it.
create function app.use_challenge(p_tenant uuid, p_digest bytea, p_seconds integer) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  insert into passkey_challenge (digest, tenant_id, expires_at) values (p_digest, p_tenant, now() + make_interval(secs => p_seconds))
  on conflict (digest) do nothing;
  return found;
end $$;

-- The authenticator counts what it signs. False: the count did not grow, so there is a copy of the key; it is logged, and the person
-- is told.
create function app.passkey_used(p_tenant uuid, p_id uuid, p_count bigint, p_backed_up boolean) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare k record;
begin
  update passkey set sign_count = p_count, backed_up = p_backed_up, used_at = now()
  where tenant_id = p_tenant and id = p_id and (p_count > sign_count or p_count = 0 and sign_count = 0);
  if found then return true; end if;
  select id, user_id, name into k from passkey where tenant_id = p_tenant and id = p_id;
  if found then
    perform app.write_audit(p_tenant, null, k.user_id, 'passkey.cloned', k.user_id, jsonb_build_object('name', k.name));
    perform app.access_letter(p_tenant, k.user_id, 'passkey_cloned', null);
  end if;
  return false;
end $$;

create function app.tidy_challenges() returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  delete from passkey_challenge where expires_at < now() - interval '1 day' $$;
