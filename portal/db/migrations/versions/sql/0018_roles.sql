-- Which permissions exist for whom: `FOR` in portal/domain/rights.py (a test compares).
create function app.permissions_for(p_user_type text) returns text[] language sql immutable as $$
  select case p_user_type
    when 'client' then array['tickets.see', 'tickets.see_company', 'tickets.open', 'tickets.reply', 'tickets.close', 'money.see',
      'profile.edit', 'people.manage', 'company.edit', 'audit.see']
    when 'internal' then array['tickets.see', 'tickets.open', 'tickets.reply', 'tickets.close', 'tickets.work', 'companies.see',
      'companies.manage', 'staff.manage', 'tenant.manage', 'desk.own', 'desk.team', 'money.see', 'mail.read', 'profile.edit',
      'people.manage', 'roles.manage', 'access.manage', 'audit.see', 'view.as']
    else '{}' end $$;

alter table role
  add constraint role_permissions check (permissions <@ app.permissions_for(user_type)),
  add constraint role_name_length check (length(name) between 1 and 60),
  -- compared with it on its screen, and what it began with
  add column based_on text;
create unique index role_name_once on role (tenant_id, lower(name));

-- With what exists for clients alone, for whoever of the staff has what is needed to give it: `STANDS_FOR` in portal/domain/rights.py.
create function app.to_give(p_staff text[]) returns text[] language sql immutable as $$
  select p_staff || case when 'tickets.see' = any (p_staff) then array['tickets.see_company'] else '{}' end
    || case when 'companies.manage' = any (p_staff) then array['company.edit'] else '{}' end $$;

-- What the person of this context may do at this moment, as their row has it now: whoever waited for a lock may have lost it.
create function app.rights_now() returns text[]
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare found text[];
begin
  if app.viewer() is not null then return '{}'; end if;  -- whoever looks as somebody else changes nothing
  if app.company() is null then
    select app.to_give(app.permissions_of(u.staff_role, r.permissions)) into found
    from users u left join role r on r.tenant_id = u.tenant_id and r.id = u.staff_role_id
    where u.tenant_id = app.tenant() and u.id = app.person() and u.user_type = 'internal' and u.disabled_at is null;
  else
    select app.permissions_of(m.role, r.permissions) into found
    from membership m join users u on u.tenant_id = m.tenant_id and u.id = m.user_id
      left join role r on r.tenant_id = m.tenant_id and r.id = m.role_id
    where m.tenant_id = app.tenant() and m.company_id = app.company() and m.user_id = app.person() and m.ended_at is null
      and u.disabled_at is null;
  end if;
  return coalesce(found, '{}');
end $$;

create function app.rights_in(p_tenant uuid, p_role text, p_role_id uuid) returns text[]
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  select app.permissions_of(p_role, (select r.permissions from role r where r.tenant_id = p_tenant and r.id = p_role_id)) $$;

-- Nobody gives more than they have, nobody takes from whoever has more, and a company keeps somebody who manages its people.
-- Changes of no person (the door, jobs, migrations) are not asked.
create function app.keep_to_rights() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare mine text[]; was text[]; will text[]; of_type text;
begin
  if app.person() is null or app.tenant() <> new.tenant_id then return new; end if;
  if session_user = 'portal_client' then  -- of two who remove each other, one comes second
    if new.company_id <> app.company() then raise exception 'not theirs' using errcode = '42501'; end if;
    perform pg_advisory_xact_lock(hashtext('portal.managers'), hashtext(new.company_id::text));
  end if;
  mine := app.rights_now();
  if tg_op = 'UPDATE' and old.ended_at is null then was := app.rights_in(old.tenant_id, old.role, old.role_id); end if;
  if new.ended_at is null then will := app.rights_in(new.tenant_id, new.role, new.role_id); end if;
  if not (mine && array['people.manage', 'companies.manage', 'roles.manage']) or not mine @> coalesce(was, '{}')
     or not mine @> coalesce(will, '{}') then
    raise exception 'more than they have' using errcode = '42501';
  end if;
  if new.role_id is not null then
    select r.user_type into of_type from role r where r.tenant_id = new.tenant_id and r.id = new.role_id;
    if of_type is distinct from 'client' then raise exception 'no role for clients' using errcode = '23514'; end if;
  end if;
  if session_user = 'portal_client' and 'people.manage' = any (was) and not coalesce('people.manage' = any (will), false)
     and not exists (
       select from membership m join users u on u.tenant_id = m.tenant_id and u.id = m.user_id and u.disabled_at is null
       where m.tenant_id = new.tenant_id and m.company_id = new.company_id and m.id <> new.id and m.ended_at is null
         and 'people.manage' = any (app.rights_in(m.tenant_id, m.role, m.role_id))) then
    raise exception 'the last who manages people' using errcode = '23514';
  end if;
  return new;
end $$;

-- The same for the staff.
create function app.keep_staff_to_rights() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare mine text[]; of_type text;
begin
  if app.person() is null or app.tenant() <> new.tenant_id or new.user_type <> 'internal' then return new; end if;
  mine := app.rights_now();
  if not (mine && array['staff.manage', 'roles.manage']) or not mine @> app.rights_in(new.tenant_id, new.staff_role, new.staff_role_id)
     or tg_op = 'UPDATE' and not mine @> app.rights_in(old.tenant_id, old.staff_role, old.staff_role_id) then
    raise exception 'more than they have' using errcode = '42501';
  end if;
  if new.staff_role_id is not null then
    select r.user_type into of_type from role r where r.tenant_id = new.tenant_id and r.id = new.staff_role_id;
    if of_type is distinct from 'internal' then raise exception 'no role for staff' using errcode = '23514'; end if;
  end if;
  return new;
end $$;

-- A role itself: whoever makes, changes or removes one has all it allows, before and after.
create function app.keep_role_to_rights() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare mine text[]; touched role := coalesce(new, old);
begin
  if app.person() is null or app.tenant() <> touched.tenant_id then return touched; end if;
  mine := app.rights_now();
  if not 'roles.manage' = any (mine) or not mine @> touched.permissions
     or tg_op = 'UPDATE' and (not mine @> old.permissions or old.user_type <> new.user_type) then
    raise exception 'more than they have' using errcode = '42501';
  end if;
  return touched;
end $$;

-- What a role allows has changed: open pages of all who have it load anew, in any browser.
create function app.tell_role() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare touched role := coalesce(new, old);
begin
  perform pg_notify('live', 'roles:' || touched.tenant_id), pg_notify('live', 'companies:' || touched.tenant_id);
  if tg_op = 'UPDATE' then
    perform pg_notify('live', 'person:' || m.user_id) from membership m
      where m.tenant_id = new.tenant_id and m.role_id = new.id and m.ended_at is null;
    perform pg_notify('live', 'person:' || u.id) from users u where u.tenant_id = new.tenant_id and u.staff_role_id = new.id;
  end if;
  return null;
end $$;

create trigger keep_to_rights before insert or update of role, role_id, ended_at, company_id, user_id on membership
  for each row execute function app.keep_to_rights();
create trigger keep_to_rights before insert or update of staff_role, staff_role_id, user_type, disabled_at on users
  for each row execute function app.keep_staff_to_rights();
create trigger keep_to_rights before insert or update or delete on role for each row execute function app.keep_role_to_rights();
create trigger tell after insert or update or delete on role for each row execute function app.tell_role();
create index membership_role on membership (tenant_id, role_id) where role_id is not null;

-- A client who manages people changes roles at their company, and ends memberships: no more of the row, and no row elsewhere.
grant update (role, role_id, ended_at) on membership to portal_client;
create policy client_manages on membership for update to portal_client
  using (tenant_id = (select app.tenant()) and company_id = (select app.company()) and (select app.may('people.manage')))
  with check (tenant_id = (select app.tenant()) and company_id = (select app.company()) and (select app.may('people.manage')));

-- When somebody was last at this company: what they do at another is nobody's business here.
create table membership_seen (
  tenant_id uuid not null,
  company_id uuid not null,
  user_id uuid not null,
  at timestamptz not null default now(),
  primary key (tenant_id, company_id, user_id),
  foreign key (tenant_id, company_id) references company (tenant_id, id),
  foreign key (tenant_id, user_id) references users (tenant_id, id)
);
-- Once a minute, and nobody waits for it: whoever is at it in another transaction writes the same.
create function app.note_where() returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare t uuid := app.tenant(); c uuid := app.company(); me uuid := app.person(); last timestamptz;
begin
  if c is null or me is null or app.viewer() is not null then return; end if;
  select s.at into last from membership_seen s where s.tenant_id = t and s.company_id = c and s.user_id = me;
  if not found then
    insert into membership_seen (tenant_id, company_id, user_id) values (t, c, me) on conflict do nothing;
  elsif last < now() - interval '1 minute' then
    update membership_seen set at = now() where (tenant_id, company_id, user_id) in (
      select s.tenant_id, s.company_id, s.user_id from membership_seen s
      where s.tenant_id = t and s.company_id = c and s.user_id = me for update skip locked);
  end if;
end $$;

-- Who of the staff works on tickets: clients' changes are told to them, and no client reads the roles of staff.
create function app.working_staff() returns table (id uuid)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select u.id from users u left join role r on r.tenant_id = u.tenant_id and r.id = u.staff_role_id
  where u.tenant_id = app.tenant() and u.user_type = 'internal'
    and 'tickets.work' = any (app.permissions_of(u.staff_role, r.permissions)) $$;

-- Which ways to prove who they are somebody has, beside a password.
-- Called by app.people_here alone, which says whom one may ask about.
create function app.ways_in(p_tenant uuid, p_user uuid) returns text[]
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select array_remove(array[
    case when exists (select from passkey where tenant_id = p_tenant and user_id = p_user) then 'passkey' end,
    case when exists (select from totp where tenant_id = p_tenant and user_id = p_user and confirmed_at is not null) then 'totp' end,
    case when exists (select from identity i join identity_provider p on p.tenant_id = i.tenant_id and p.id = i.provider_id
      where i.tenant_id = p_tenant and i.user_id = p_user and p.enabled and i.subject is not null and i.issuer = p.issuer) then 'sso' end],
    null) $$;

-- Of the people of one's company, for whoever manages them; of all clients, for staff: last seen here, a password, other ways in.
create function app.people_here(p_people uuid[]) returns table (user_id uuid, seen_at timestamptz, has_password boolean, ways text[])
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select u.id,
    (select max(s.at) from membership_seen s where s.tenant_id = u.tenant_id and s.user_id = u.id
       and (app.company() is null or s.company_id = app.company())),
    exists (select from credential c where c.user_id = u.id), app.ways_in(u.tenant_id, u.id)
  from users u where u.tenant_id = app.tenant() and u.id = any (p_people) and case
    when app.company() is null then app.may('companies.see') or app.may('staff.manage') and u.user_type = 'internal'
    else app.may('people.manage') and exists (select from membership m where m.tenant_id = u.tenant_id and m.user_id = u.id
      and m.company_id = app.company() and m.ended_at is null) end
$$;

-- How the rules of clients' tickets stand for somebody of one's company (staff: of the ticket's company), for a ticket that the
-- asker sees: their own policies find it first. The rules are those of the policy of `ticket`; a test compares them.
create function app.why_sees(p_ticket uuid, p_user uuid)
returns table (sees boolean, is_requester boolean, in_copy boolean, reaches boolean, is_private boolean, belongs boolean)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select w.belongs and w.may and (w.is_requester or w.in_copy or w.reaches and not w.is_private),
    w.is_requester, w.in_copy, w.reaches, w.is_private, w.belongs
  from (
    select t.requester_id = p_user as is_requester, m.user_id is not null as belongs,
      exists (select from ticket_participant p where p.ticket_id = t.id and p.user_id = p_user) as in_copy,
      coalesce(app.reach_of(m.role, r.permissions) = 'company', false) as reaches, t.visibility = 'private' as is_private,
      coalesce('tickets.see' = any (app.permissions_of(m.role, r.permissions)), false) as may
    from ticket t left join membership m on m.tenant_id = t.tenant_id and m.company_id = t.company_id and m.user_id = p_user
        and m.ended_at is null
      left join role r on r.tenant_id = m.tenant_id and r.id = m.role_id
    where t.tenant_id = app.tenant() and t.id = p_ticket and case
      when app.company() is null then app.may('companies.see') and app.may('tickets.see')
      else t.company_id = app.company() and app.may('people.manage') and app.may_see(t.id) and m.user_id is not null end
  ) as w
$$;
