-- ---------- who may come in by what ----------

-- Whether somebody belongs to those whom a provider may speak for. A company's speaks for members of that company alone; and
-- where they belong to others too, only if the address is of its domains, or they or staff linked it: else whoever runs one
-- company's provider would come into another company.
create function app.sso_fits(p identity_provider, u users, p_linked_by text) returns boolean
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select u.tenant_id = p.tenant_id and u.disabled_at is null and case
    when p.side = 'staff' then u.user_type = 'internal'
    when u.user_type <> 'client' then false
    when p.company_id is null then exists (
      select from membership m join company c on c.tenant_id = m.tenant_id and c.id = m.company_id
      where m.tenant_id = u.tenant_id and m.user_id = u.id and m.ended_at is null and c.archived_at is null)
    else exists (
        select from membership m join company c on c.tenant_id = m.tenant_id and c.id = m.company_id
        where m.tenant_id = u.tenant_id and m.user_id = u.id and m.company_id = p.company_id and m.ended_at is null
          and c.archived_at is null)
      and (p_linked_by in ('self', 'staff') or split_part(u.email, '@', 2) = any (p.domains) or not exists (
        select from membership m where m.tenant_id = u.tenant_id and m.user_id = u.id and m.ended_at is null
          and m.company_id <> p.company_id))
    end $$;

-- Whether password and passkey are not enough for somebody. Not while there is no provider to come by.
create function app.sso_only(p_tenant uuid, p_user uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select exists (
    select from users u join sso_only o on o.tenant_id = u.tenant_id
    where u.tenant_id = p_tenant and u.id = p_user and o.exempt_id is distinct from u.id and case u.user_type
      when 'internal' then o.company_id is null
        and exists (select from identity_provider p where p.tenant_id = u.tenant_id and p.side = 'staff' and p.enabled)
      else exists (select from membership m join company c on c.tenant_id = m.tenant_id and c.id = m.company_id
          where m.tenant_id = u.tenant_id and m.user_id = u.id and m.company_id = o.company_id and m.ended_at is null
            and c.archived_at is null)
        and exists (select from identity_provider p where p.tenant_id = u.tenant_id and p.side = 'client' and p.enabled
          and (p.company_id is null or p.company_id = o.company_id))
      end) $$;

-- The last word: whatever page opens a session, it is none without the proof of a provider where that is asked for.
create function app.sso_only_holds() returns trigger language plpgsql security definer
set search_path = pg_catalog, public, pg_temp as $$
begin
  if 'sso' = any (new.proofs) or not app.sso_only(new.tenant_id, new.user_id) then return new; end if;
  return null;
end $$;
create trigger sso_only_holds before insert on session for each row execute function app.sso_only_holds();

-- From now on only by a provider (a rule was made, a provider is on, a company is back): what was opened otherwise ends.
create function app.sso_only_begins() returns trigger language plpgsql security definer
set search_path = pg_catalog, public, pg_temp as $$
begin
  update session s set revoked_at = now()
  where s.tenant_id = new.tenant_id and s.revoked_at is null and not 'sso' = any (s.proofs) and app.sso_only(s.tenant_id, s.user_id);
  return null;
end $$;
create trigger sso_only_begins after insert on sso_only for each row execute function app.sso_only_begins();
create trigger sso_only_begins after insert or update of enabled on identity_provider for each row when (new.enabled)
  execute function app.sso_only_begins();
create trigger sso_only_begins after update of archived_at on company for each row
  when (old.archived_at is not null and new.archived_at is null) execute function app.sso_only_begins();

-- Whoever joins a second company is no more somebody for whom the first one's provider speaks alone; and whoever joins one that
-- lets people in by a provider only, has not come in by one with what they opened before.
create function app.sso_joined_elsewhere() returns trigger language plpgsql security definer
set search_path = pg_catalog, public, pg_temp as $$
begin
  if new.ended_at is not null or tg_op = 'UPDATE' and old.ended_at is null then return null; end if;
  update session s set revoked_at = now()
  from identity i join identity_provider p on p.tenant_id = i.tenant_id and p.id = i.provider_id
    join users u on u.tenant_id = i.tenant_id and u.id = i.user_id
  where i.tenant_id = new.tenant_id and i.user_id = new.user_id and p.company_id <> new.company_id
    and not app.sso_fits(p, u, i.linked_by)
    and s.tenant_id = new.tenant_id and s.user_id = new.user_id and s.revoked_at is null and 'sso' = any (s.proofs);
  update session s set revoked_at = now()
  where s.tenant_id = new.tenant_id and s.user_id = new.user_id and s.revoked_at is null and not 'sso' = any (s.proofs)
    and app.sso_only(s.tenant_id, s.user_id);
  return null;
end $$;
create trigger sso_joined_elsewhere after insert or update of ended_at on membership for each row
  execute function app.sso_joined_elsewhere();

-- Whoever runs a provider, or links an account, can come in as those it is for: nobody does so who may do less than they
-- (`may_let_in` and `link_in_advance` in portal/domain/sso; what somebody may do is 0018's). The door is asked elsewhere.
create function app.keep_providers_to_rights() returns trigger language plpgsql security definer
set search_path = pg_catalog, public, pg_temp as $$
declare touched record; of_type text;
begin
  touched := case tg_op when 'DELETE' then old else new end;
  if app.person() is null or app.tenant() <> touched.tenant_id then return touched; end if;
  of_type := case when tg_table_name = 'sso_only' then case when to_jsonb(touched) ->> 'company_id' is null then 'internal' else 'client' end
    when to_jsonb(touched) ->> 'side' = 'staff' then 'internal' else 'client' end;
  if not app.rights_now() @> app.permissions_for(of_type) then
    raise exception 'it lets in who may do more' using errcode = '42501';
  end if;
  return touched;
end $$;
create trigger keep_to_rights before insert or delete or update of side, company_id, kind, issuer, client_id, domains, default_role, enabled
  on identity_provider for each row execute function app.keep_providers_to_rights();
create trigger keep_to_rights before insert or update or delete on sso_only
  for each row execute function app.keep_providers_to_rights();

create function app.keep_accounts_to_rights() returns trigger language plpgsql security definer
set search_path = pg_catalog, public, pg_temp as $$
declare mine text[];
begin
  if app.person() is null or app.tenant() <> new.tenant_id then return new; end if;
  mine := app.rights_now();
  if exists (
    select from users u where u.tenant_id = new.tenant_id and u.id = new.user_id and u.user_type = 'internal'
      and not mine @> app.rights_in(u.tenant_id, u.staff_role, u.staff_role_id)
    union all
    select from membership m where m.tenant_id = new.tenant_id and m.user_id = new.user_id and m.ended_at is null
      and not mine @> app.rights_in(m.tenant_id, m.role, m.role_id)) then
    raise exception 'it lets in somebody who may do more' using errcode = '42501';
  end if;
  return new;
end $$;
create trigger keep_to_rights before insert or update on identity for each row execute function app.keep_accounts_to_rights();

-- A secret is for one client at one issuer: it goes nowhere else.
create function app.secret_is_over() returns trigger language plpgsql security definer
set search_path = pg_catalog, public, pg_temp as $$
begin
  delete from identity_secret s where s.tenant_id = new.tenant_id and s.id = new.id;
  return null;
end $$;
create trigger secret_is_over after update of issuer, client_id on identity_provider for each row
  when ((old.issuer, old.client_id) is distinct from (new.issuer, new.client_id)) execute function app.secret_is_over();

-- ---------- the door ----------

-- What the pages of a side offer to everybody; of companies' providers only that there are some.
create function app.sso_offers(p_tenant uuid, p_side text) returns jsonb
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select jsonb_build_object(
    'providers', coalesce(jsonb_agg(jsonb_build_object('id', id, 'kind', kind, 'name', name) order by lower(name), id)
      filter (where company_id is null), '[]'),
    'companies', coalesce(bool_or(company_id is not null or domains <> '{}'), false))
  from identity_provider where tenant_id = p_tenant and side = p_side and enabled $$;

-- The provider that speaks for the domain of an address.
create function app.sso_for_domain(p_tenant uuid, p_side text, p_domain text) returns uuid
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select id from identity_provider where tenant_id = p_tenant and side = p_side and enabled and lower(p_domain) = any (domains)
  order by company_id is null, id limit 1 $$;

-- Where somebody for whom only a provider counts is led; null where there are several ways.
create function app.sso_way(p_tenant uuid, p_user uuid) returns uuid
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select case when count(*) = 1 then min(p.id::text)::uuid end
  from users u join identity_provider p on p.tenant_id = u.tenant_id and p.enabled
    and p.side = case u.user_type when 'internal' then 'staff' else 'client' end
  where u.tenant_id = p_tenant and u.id = p_user and (p.company_id is null or exists (
    select from membership m where m.tenant_id = u.tenant_id and m.user_id = u.id and m.company_id = p.company_id
      and m.ended_at is null)) $$;

-- Everything that the server needs to speak with a provider; the secret as it is sealed. Of a flow also when it is disabled
-- meanwhile: then the flow ends at `sso_enter`.
create function app.sso_provider(p_tenant uuid, p_provider uuid)
returns table (id uuid, side text, kind text, name text, issuer text, client_id text, sealed bytea, domains text[], host text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select p.id, p.side, p.kind, p.name, p.issuer, p.client_id, s.sealed, p.domains, t.host
  from identity_provider p join tenant t on t.id = p.tenant_id
    left join identity_secret s on s.tenant_id = p.tenant_id and s.id = p.id
  where p.tenant_id = p_tenant and p.id = p_provider and p.enabled $$;

create function app.sso_begin(p_tenant uuid, p_provider uuid, p_state bytea, p_browser bytea, p_purpose text, p_nonce text,
                              p_verifier text, p_onward text, p_token bytea) returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  delete from sso_flow where state_hash in (select state_hash from sso_flow where expires_at < now() limit 100 for update skip locked);
  insert into sso_flow (tenant_id, provider_id, state_hash, browser_hash, purpose, nonce, verifier, onward, token_hash)
  values (p_tenant, p_provider, p_state, p_browser, p_purpose, p_nonce, p_verifier, p_onward, p_token) $$;

-- Once: of two who come back with the same state one gets it.
create function app.sso_take(p_tenant uuid, p_state bytea, p_browser bytea)
returns table (provider_id uuid, purpose text, nonce text, verifier text, onward text, token_hash bytea,
  started_at timestamptz)
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  delete from sso_flow f where f.tenant_id = p_tenant and f.state_hash = p_state and f.browser_hash = p_browser
    and f.expires_at > now()
  returning f.provider_id, f.purpose, f.nonce, f.verifier, f.onward, f.token_hash, f.started_at $$;

-- Who somebody is whom a provider names: known already, made in advance, known by address, or created. Null: nobody who may
-- come in, and it is not told why. `p_trusted`: whether the provider's word for the address counts.
create function app.sso_enter(p_tenant uuid, p_provider uuid, p_issuer text, p_subject text, p_email text, p_trusted boolean,
                              p_name text, p_new uuid) returns uuid
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare p identity_provider; i identity; u users; domain text := split_part(lower(p_email), '@', 2); how text;
begin
  select * into p from identity_provider x where x.tenant_id = p_tenant and x.id = p_provider and x.enabled and x.issuer = p_issuer
    for update;  -- two first comings of one account wait here
  if not found or coalesce(p_subject, '') = '' then return null; end if;
  if exists (select from company c where c.tenant_id = p_tenant and c.id = p.company_id and c.archived_at is not null) then
    return null;
  end if;

  select * into i from identity x
  where x.tenant_id = p_tenant and x.provider_id = p.id and x.issuer = p.issuer and x.subject = p_subject;
  if not found and p_trusted and p_email is not null then
    update identity x set subject = p_subject
    where x.tenant_id = p_tenant and x.provider_id = p.id and x.issuer = p.issuer and x.subject is null and x.email = lower(p_email)
    returning * into i;
  end if;
  if i.id is not null then
    select * into u from users x where x.tenant_id = p_tenant and x.id = i.user_id;
    if not app.sso_fits(p, u, i.linked_by) then
      perform app.write_audit(p_tenant, p.company_id, u.id, 'sso.refused', u.id, jsonb_build_object('provider', p.name));
      return null;
    end if;
    update identity set used_at = now(), email = coalesce(lower(p_email), email) where id = i.id;
    return u.id;
  end if;
  if not p_trusted or p_email is null then return null; end if;

  select * into u from users x where x.tenant_id = p_tenant and x.email = lower(p_email);
  if found then
    if not app.sso_fits(p, u, 'email') then return null; end if;
    how := 'email';
  else
    if p.default_role is null or not domain = any (p.domains) then return null; end if;
    insert into users (id, tenant_id, email, name, user_type, staff_role)
    values (p_new, p_tenant, lower(p_email), left(p_name, 120), case p.side when 'staff' then 'internal' else 'client' end,
            case p.side when 'staff' then p.default_role end)
    on conflict do nothing returning * into u;
    if u.id is null then return null; end if;
    if p.side = 'client' then
      insert into membership (id, tenant_id, user_id, company_id, role)
      values (gen_random_uuid(), p_tenant, u.id, p.company_id, p.default_role);
    end if;
    perform app.write_audit(p_tenant, p.company_id, u.id, 'person.created', u.id,
      jsonb_build_object('provider', p.name, 'role', p.default_role));
    how := 'created';
  end if;
  insert into identity (id, tenant_id, provider_id, user_id, issuer, subject, email, linked_by, used_at)
  values (gen_random_uuid(), p_tenant, p.id, u.id, p.issuer, p_subject, lower(p_email), how, now())
  on conflict do nothing;
  if not found then return null; end if;  -- somebody else's account is linked with this person
  perform app.write_audit(p_tenant, p.company_id, u.id, 'identity.linked', u.id,
    jsonb_build_object('provider', p.name, 'by', how));
  if how = 'email' then perform app.write_letter(p_tenant, u.id, gen_random_uuid(), 'identity_linked'); end if;
  return u.id;
end $$;

-- Somebody signed in links an account of theirs. False: it is somebody else's, they have one there already, it is not for
-- them, or the proof of who they are is not fresh.
create function app.sso_link(p_token bytea, p_tenant uuid, p_provider uuid, p_issuer text, p_subject text, p_email text)
returns boolean language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare me record; p identity_provider; u users;
begin
  select * into me from app.live_session(p_token);
  if not found or me.tenant_id <> p_tenant then return false; end if;
  if not exists (select from session where token_hash = p_token and proved_at > now() - interval '15 minutes') then return false; end if;
  select * into p from identity_provider x where x.tenant_id = p_tenant and x.id = p_provider and x.enabled and x.issuer = p_issuer
    for update;
  if not found or coalesce(p_subject, '') = '' then return false; end if;
  select * into u from users x where x.tenant_id = p_tenant and x.id = me.user_id;
  if not app.sso_fits(p, u, 'self') then return false; end if;
  insert into identity (id, tenant_id, provider_id, user_id, issuer, subject, email, linked_by, used_at)
  values (gen_random_uuid(), p_tenant, p.id, u.id, p.issuer, p_subject, lower(p_email), 'self', now())
  on conflict do nothing;
  if not found then  -- the same account once more: now by their own word
    update identity x set linked_by = 'self', used_at = now()
    where x.tenant_id = p_tenant and x.provider_id = p.id and x.issuer = p.issuer and x.subject = p_subject and x.user_id = u.id;
    return found;
  end if;
  perform app.write_audit(p_tenant, p.company_id, u.id, 'identity.linked', u.id, jsonb_build_object('provider', p.name, 'by', 'self'));
  perform app.write_letter(p_tenant, u.id, gen_random_uuid(), 'identity_linked');
  return true;
end $$;

-- A fresh proof by a provider, of the person whose session it is.
create function app.sso_prove(p_token bytea, p_tenant uuid, p_provider uuid, p_issuer text, p_subject text) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare me record; p identity_provider; i identity; u users;
begin
  select * into me from app.live_session(p_token);
  if not found or me.tenant_id <> p_tenant then return false; end if;
  select * into p from identity_provider x where x.tenant_id = p_tenant and x.id = p_provider and x.enabled and x.issuer = p_issuer;
  if not found then return false; end if;
  select * into i from identity x
  where x.tenant_id = p_tenant and x.provider_id = p.id and x.issuer = p.issuer and x.subject = p_subject and x.user_id = me.user_id;
  if not found then return false; end if;
  select * into u from users x where x.tenant_id = p_tenant and x.id = me.user_id;
  if not app.sso_fits(p, u, i.linked_by) then return false; end if;
  update session set proved_at = now() where token_hash = p_token;
  perform app.write_audit(p_tenant, null, me.user_id, 'session.proved', me.user_id, jsonb_build_object('by', 'sso'));
  return true;
end $$;

-- By what providers somebody can prove anew who they are. To be asked only of who is signed in.
create function app.sso_mine(p_tenant uuid, p_user uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name) order by lower(p.name), p.id), '[]')
  from identity i join identity_provider p on p.tenant_id = i.tenant_id and p.id = i.provider_id
  where i.tenant_id = p_tenant and i.user_id = p_user and p.enabled and i.subject is not null and i.issuer = p.issuer $$;

-- Also of a provider that is off, to check it.
create function app.identity_secret(p_tenant uuid, p_provider uuid) returns bytea
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select (select sealed from identity_secret where tenant_id = p_tenant and id = p_provider) $$;

-- ---------- inside ----------

create function app.keep_identity_secret(p_provider uuid, p_sealed bytea) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  if not (app.may('access.manage') and app.fresh()) then raise exception 'not allowed' using errcode = '42501'; end if;
  perform from identity_provider p where p.tenant_id = app.tenant() and p.id = p_provider
    and app.rights_now() @> app.permissions_for(case p.side when 'staff' then 'internal' else 'client' end);
  if not found then raise exception 'no provider of theirs' using errcode = '42501'; end if;
  insert into identity_secret (id, tenant_id, sealed) values (p_provider, app.tenant(), p_sealed)
  on conflict (id) do update set sealed = excluded.sealed;
end $$;

-- Whether the session was opened by a provider.
create function app.came_by_sso() returns boolean
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select exists (select from session where tenant_id = app.tenant() and id = app.session() and 'sso' = any (proofs)) $$;

create function app.has_identity_secret(p_provider uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select app.may('access.manage') and exists (select from identity_secret where tenant_id = app.tenant() and id = p_provider) $$;

-- One's own accounts, and where one could have one. Nothing for who looks at the portal as somebody else.
create function app.my_accounts() returns jsonb
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select jsonb_build_object(
    'only', app.sso_only(u.tenant_id, u.id),
    'accounts', coalesce((
      select jsonb_agg(jsonb_build_object('id', i.id, 'name', p.name, 'kind', p.kind, 'email', i.email, 'linked_by', i.linked_by,
        'linked_at', i.linked_at, 'used_at', i.used_at, 'works', p.enabled and i.subject is not null and i.issuer = p.issuer)
        order by lower(p.name), i.id)
      from identity i join identity_provider p on p.tenant_id = i.tenant_id and p.id = i.provider_id
      where i.tenant_id = u.tenant_id and i.user_id = u.id), '[]'),
    'offers', coalesce((
      select jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name, 'kind', p.kind) order by lower(p.name), p.id)
      from identity_provider p where p.tenant_id = u.tenant_id and p.enabled and app.sso_fits(p, u, 'self')
        and not exists (select from identity i where i.tenant_id = u.tenant_id and i.provider_id = p.id and i.user_id = u.id)), '[]'))
  from users u where u.tenant_id = app.tenant() and u.id = app.person() and app.viewer() is null $$;

-- One's own account is no longer a way in. Answers the provider's name; null: not there; '': it is the last way in.
create function app.unlink_account(p_identity uuid) returns text
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare i identity; its identity_provider; others boolean;
begin
  if not app.fresh() or app.viewer() is not null then raise exception 'not allowed' using errcode = '42501'; end if;
  perform from users where tenant_id = app.tenant() and id = app.person() for no key update;  -- of two accounts one stays
  select * into i from identity where tenant_id = app.tenant() and id = p_identity and user_id = app.person();
  if not found then return null; end if;
  others := exists (select from identity x join identity_provider p on p.tenant_id = x.tenant_id and p.id = x.provider_id
    where x.tenant_id = i.tenant_id and x.user_id = i.user_id and x.id <> i.id and p.enabled and x.subject is not null
      and x.issuer = p.issuer);
  if not others and (app.sso_only(i.tenant_id, i.user_id)
      or not (exists (select from credential c where c.tenant_id = i.tenant_id and c.user_id = i.user_id)
        or exists (select from passkey k where k.tenant_id = i.tenant_id and k.user_id = i.user_id))) then return ''; end if;
  select * into its from identity_provider p where p.tenant_id = i.tenant_id and p.id = i.provider_id;
  delete from identity where id = i.id;
  perform app.write_audit(i.tenant_id, its.company_id, i.user_id, 'identity.unlinked', i.user_id, jsonb_build_object('provider', its.name));
  perform app.write_letter(i.tenant_id, i.user_id, gen_random_uuid(), 'identity_unlinked');
  return its.name;
end $$;

-- Who would be left without a way in if a company (null: the staff) came in by providers only.
create function app.sso_unready(p_company uuid) returns table (id uuid, name text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select u.id, u.name from users u
  where app.may('access.manage') and u.tenant_id = app.tenant() and u.disabled_at is null
    and case when p_company is null then u.user_type = 'internal' else exists (
      select from membership m where m.tenant_id = u.tenant_id and m.user_id = u.id and m.company_id = p_company and m.ended_at is null) end
    and not exists (
      select from identity_provider p left join identity i on i.tenant_id = p.tenant_id and i.provider_id = p.id
        and i.user_id = u.id and i.issuer = p.issuer
      where p.tenant_id = u.tenant_id and p.enabled and p.side = case when p_company is null then 'staff' else 'client' end
        and (p.company_id is null or p.company_id = p_company) and app.sso_fits(p, u, coalesce(i.linked_by, 'email')))
  order by lower(u.name), u.id $$;

-- The way back when a provider is gone for good: on the server only. Answers how many rules are no more.
create function app.sso_off(p_tenant text, p_what text) returns integer
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare o record; n integer := 0;
begin
  for o in delete from sso_only x using tenant t where t.id = x.tenant_id
      and (p_tenant is null or t.name = p_tenant or t.host = p_tenant or t.short_name = p_tenant)
      and (case p_what when 'staff' then x.company_id is null
        else x.company_id in (select c.id from company c where c.tenant_id = x.tenant_id and c.slug = p_what) end)
      returning x.tenant_id, x.company_id loop
    perform app.write_audit(o.tenant_id, o.company_id, null, 'sso.no_longer_only', o.company_id, '{"by": "the server"}');
    n := n + 1;
  end loop;
  return n;
end $$;
