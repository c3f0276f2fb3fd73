-- Whether something is asked of this person after the password.
create or replace function app.has_factor(p_tenant uuid, p_user uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select exists (select from totp where tenant_id = p_tenant and user_id = p_user and confirmed_at is not null)
    or exists (select from passkey where tenant_id = p_tenant and user_id = p_user) $$;

grant execute on function app.has_factor(uuid, uuid) to portal_worker;

-- Whether this person may not be without a second factor.
create or replace function app.must_keep_factor(p_tenant uuid, p_user uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select exists (select from app.factor_rules_for(p_tenant, p_user) r where r.due_at <= now()) $$;

-- Whose factor is needed by now and not there has no session that does anything.
create or replace function app.live_session(p_token bytea)
returns table (tenant_id uuid, user_id uuid, user_type text, staff_role text, staff_role_id uuid)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select s.tenant_id, s.user_id, u.user_type, u.staff_role, u.staff_role_id
  from session s join users u on u.id = s.user_id join tenant t on t.id = s.tenant_id
  where s.token_hash = p_token and s.revoked_at is null and u.disabled_at is null and s.expires_at > now()
    and s.last_seen_at > now() - make_interval(mins => t.idle_minutes)
    and not app.lacks_factor(s.tenant_id, s.user_id, s.proofs) $$;
