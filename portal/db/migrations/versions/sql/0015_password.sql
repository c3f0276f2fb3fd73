create or replace function app.set_password(p_tenant uuid, p_user uuid, p_mark text, p_hash text) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  perform from users where tenant_id = p_tenant and id = p_user for update;
  if app.password_mark(p_tenant, p_user) is distinct from p_mark then return false; end if;
  insert into credential (user_id, tenant_id, password_hash) values (p_user, p_tenant, p_hash)
  on conflict (user_id) do update set password_hash = p_hash, alone = true, changed_at = now();
  update session set revoked_at = now() where tenant_id = p_tenant and user_id = p_user and revoked_at is null;
  perform app.write_audit(p_tenant, null, p_user, 'password.set', p_user, '{}');
  if exists (select from session where tenant_id = p_tenant and user_id = p_user) then  -- not of who comes for the first time
    perform app.defer(p_tenant, 'access_letter', jsonb_build_object('kind', 'password_changed', 'user', p_user, 'actor', null));
  end if;
  return true;
end $$;
