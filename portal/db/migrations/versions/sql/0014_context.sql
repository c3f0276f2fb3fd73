-- tenant | company | person | reach | permissions | session | viewer | fresh
create function app.set_context(p_tenant uuid, p_company uuid, p_person uuid, p_reach text, p_permissions text[], p_session uuid,
                                p_viewer uuid, p_fresh boolean) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare words text := concat_ws('|', p_tenant, coalesce(p_company::text, ''), coalesce(p_person::text, ''), p_reach,
  coalesce(array_to_string(p_permissions, ','), ''), coalesce(p_session::text, ''), coalesce(p_viewer::text, ''),
  case when p_fresh then 'fresh' else '' end);
begin
  if coalesce(current_setting('app.context', true), '') <> '' then
    raise exception 'context already set' using errcode = '42501';
  end if;
  if array_to_string(p_permissions, '') like '%|%' then raise exception 'no permission' using errcode = '42501'; end if;
  perform set_config('app.context', app.seal(words) || '|' || words, true);
end $$;

-- Whether the role of whoever is looking includes this (`Permission` in portal/domain/access.py). Jobs of no person: nothing.
create function app.may(p_permission text) returns boolean language sql stable parallel restricted as $$
  select p_permission = any (string_to_array((app.context())[5], ',')) $$;
-- The session one works in; null for jobs.
create function app.session() returns uuid language sql stable parallel restricted as $$ select (app.context())[6]::uuid $$;
-- Who of the staff looks at the portal as `app.person()`, reading only; null otherwise.
create function app.viewer() returns uuid language sql stable parallel restricted as $$ select (app.context())[7]::uuid $$;
-- Whether the person proved who they are in the last 15 minutes.
create function app.fresh() returns boolean language sql stable parallel restricted as $$
  select coalesce((app.context())[8] = 'fresh', false) $$;

-- What a role may do; the built-in ones are those of portal/domain/access.py (a test compares).
create function app.permissions_of(p_role text, p_own text[]) returns text[] language sql immutable as $$
  select case p_role
    when 'ClientUser' then array['tickets.see', 'tickets.open', 'tickets.reply', 'tickets.close', 'profile.edit']
    when 'ClientBilling' then array['tickets.see', 'tickets.open', 'tickets.reply', 'tickets.close', 'profile.edit', 'money.see']
    when 'ClientAdmin' then array['tickets.see', 'tickets.open', 'tickets.reply', 'tickets.close', 'profile.edit', 'money.see',
      'tickets.see_company', 'people.manage', 'company.edit', 'audit.see']
    when 'Technician' then array['tickets.see', 'tickets.open', 'tickets.reply', 'companies.see', 'desk.own', 'profile.edit',
      'tickets.work', 'tickets.close', 'view.as']
    when 'Finance' then array['tickets.see', 'tickets.open', 'tickets.reply', 'companies.see', 'desk.own', 'profile.edit',
      'money.see']
    when 'MspAdmin' then array['tickets.see', 'tickets.open', 'tickets.reply', 'companies.see', 'desk.own', 'profile.edit',
      'tickets.work', 'tickets.close', 'companies.manage', 'staff.manage', 'tenant.manage', 'desk.team', 'money.see', 'mail.read',
      'people.manage', 'roles.manage', 'access.manage', 'audit.see', 'view.as']
    else coalesce(p_own, '{}') end $$;

-- A sign-in. `p_proofs`: by what its person proved who they are.
create function app.open_session(p_token bytea, p_tenant uuid, p_user uuid, p_device text, p_proofs text[], p_device_key bytea)
returns boolean language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  insert into session (token_hash, tenant_id, user_id, device, proofs, device_key, expires_at)
  select p_token, u.tenant_id, u.id, left(p_device, 200), p_proofs, p_device_key, now() + make_interval(hours => t.session_hours)
  from users u join tenant t on t.id = u.tenant_id
  where u.tenant_id = p_tenant and u.id = p_user and u.disabled_at is null;
  if found then
    perform app.write_audit(p_tenant, null, p_user, 'session.opened', p_user, jsonb_build_object('proofs', p_proofs));
  end if;
  return found;
end $$;
