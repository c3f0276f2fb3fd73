-- Every rule that somebody stands under, and from when it binds them: from its day, or so many days after they came.
create function app.factor_rules_for(p_tenant uuid, p_user uuid) returns table (due_at timestamptz, sso_counts boolean)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select greatest(r.from_on, (x.since at time zone t.timezone)::date + r.grace_days)::timestamp at time zone t.timezone, r.sso_counts
  from users u join tenant t on t.id = u.tenant_id join factor_rule r on r.tenant_id = u.tenant_id and r.user_type = u.user_type
    cross join lateral (
      select u.created_at as since
      where u.user_type = 'internal' and (r.role is null and r.role_id is null or r.role = u.staff_role or r.role_id = u.staff_role_id)
      union all
      select m.created_at from membership m join company c on c.tenant_id = m.tenant_id and c.id = m.company_id
      where u.user_type = 'client' and m.tenant_id = u.tenant_id and m.user_id = u.id and m.ended_at is null and c.archived_at is null
        and (r.company_id is null or r.company_id = m.company_id)
        and (r.role is null and r.role_id is null or r.role = m.role or r.role_id = m.role_id)) x
  where u.tenant_id = p_tenant and u.id = p_user $$;

-- From when somebody needs a second factor; null: they do not. The strictest rule counts.
create function app.factor_due(p_tenant uuid, p_user uuid) returns timestamptz
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select case when exists (select from factor_rule where tenant_id = p_tenant)
    then (select min(due_at) from app.factor_rules_for(p_tenant, p_user)) end $$;

-- Whether a session that was opened by these proofs may do nothing, since a factor is needed by now and there is none.
create function app.lacks_factor(p_tenant uuid, p_user uuid, p_proofs text[]) returns boolean
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select exists (select from factor_rule where tenant_id = p_tenant) and not app.has_factor(p_tenant, p_user)
    and exists (select from app.factor_rules_for(p_tenant, p_user) r where r.due_at <= now()
                and not (r.sso_counts and 'sso' = any (p_proofs))) $$;

-- Whether a sign-in at a company's provider alone is too little for this person.
create function app.sso_is_too_little(p_tenant uuid, p_user uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select exists (select from app.factor_rules_for(p_tenant, p_user) r where r.due_at <= now() and not r.sso_counts) $$;

-- For the banners above every screen of a person.
create function app.my_access() returns jsonb
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select jsonb_build_object(
    'due', extract(epoch from app.factor_due(app.tenant(), app.person())),
    'has', app.has_factor(app.tenant(), app.person()),
    'passkey', exists (select from passkey where tenant_id = app.tenant() and user_id = app.person()),
    'declined', exists (select from passkey_owner where tenant_id = app.tenant() and user_id = app.person() and declined_at is not null),
    'typed', coalesce((select 'password' = any (proofs) from session where tenant_id = app.tenant() and id = app.session()), false))
  where app.viewer() is null $$;

-- Everybody who stands under a rule, for staff who decide about them.
create function app.factor_states() returns table (user_id uuid, due_at timestamptz, has boolean)
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  if session_user <> 'portal_staff' or app.tenant() is null or not app.may('access.manage') then
    raise exception 'not allowed' using errcode = '42501';
  end if;
  return query select * from (
    select u.id, app.factor_due(u.tenant_id, u.id) as due, app.has_factor(u.tenant_id, u.id) from users u
    where u.tenant_id = app.tenant() and u.disabled_at is null) s where s.due is not null;
end $$;

-- The tenants that have somebody to remind get a job each.
create function app.ask_for_reminders() returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  select app.defer(tenant_id, 'remind_factors', '{}') from (select distinct tenant_id from factor_rule) t $$;

-- Whom to remind now, each once: two weeks, one week and one day before.
create function app.factor_reminders() returns setof uuid
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  return query
    with due as (
      select u.id, (app.factor_due(u.tenant_id, u.id) at time zone t.timezone)::date as due_on, (now() at time zone t.timezone)::date as today
      from users u join tenant t on t.id = u.tenant_id
      where u.tenant_id = app.tenant() and u.disabled_at is null and not app.has_factor(u.tenant_id, u.id)),
    near as (
      select id, due_on, (select min(n) from unnest(array[1, 7, 14]) n where n >= due_on - today) as days from due where due_on > today),
    told as (
      insert into factor_reminder (tenant_id, user_id, due_on, days) select app.tenant(), id, due_on, days from near where days is not null
      on conflict do nothing returning factor_reminder.user_id)
    select told.user_id from told;
end $$;
