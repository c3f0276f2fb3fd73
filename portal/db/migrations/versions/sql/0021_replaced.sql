-- The limits are those of this moment, also for sessions that are open.
create or replace function app.live_session(p_token bytea)
returns table (tenant_id uuid, user_id uuid, user_type text, staff_role text, staff_role_id uuid)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select s.tenant_id, s.user_id, u.user_type, u.staff_role, u.staff_role_id
  from session s join users u on u.id = s.user_id cross join lateral app.limits_of(s.tenant_id, s.user_id) l
  where s.token_hash = p_token and s.revoked_at is null and u.disabled_at is null and s.expires_at > now()
    and s.created_at > now() - l.whole and s.last_seen_at > now() - l.idle
    and not app.lacks_factor(s.tenant_id, s.user_id, s.proofs) $$;
