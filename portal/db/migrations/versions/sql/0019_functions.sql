-- A letter of the database's own: promised in this transaction.
create function app.letter(p_tenant uuid, p_kind text, p_to uuid, p_address text, p_company uuid, p_actor uuid, p_invitation uuid)
returns void language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare me uuid := gen_random_uuid();
begin
  insert into mail_outbox (id, tenant_id, kind, to_user_id, to_address, company_id, actor_id, invitation_id, state)
  values (me, p_tenant, p_kind, p_to, p_address, p_company, p_actor, p_invitation, 'waiting');
  perform app.defer(p_tenant, 'send_letter', jsonb_build_object('letter', me));
end $$;

-- ---------- invitations ----------

-- Whether whoever invites may do so now, with this role: nobody gives more than they have (as in `app.keep_to_rights`).
create function app.inviter_may(i invitation) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp as $$
declare u record; mine text[]; given text[];
begin
  select x.user_type, x.staff_role, r.permissions as own into u from users x
    left join role r on r.tenant_id = x.tenant_id and r.id = x.staff_role_id
  where x.tenant_id = i.tenant_id and x.id = i.invited_by_id and x.disabled_at is null;
  if not found then return false; end if;
  select app.permissions_of(i.role, r.permissions) into given from (values (1)) one
    left join role r on r.tenant_id = i.tenant_id and r.id = i.role_id
  where i.role_id is null or r.user_type = case when i.company_id is null then 'internal' else 'client' end;
  if given is null or i.role is not null and i.role <> all (case when i.company_id is null
      then array['Technician', 'Finance', 'MspAdmin'] else array['ClientUser', 'ClientBilling', 'ClientAdmin'] end) then
    return false;
  end if;
  if i.company_id is not null
    and not exists (select from company c where c.tenant_id = i.tenant_id and c.id = i.company_id and c.archived_at is null) then
    return false;
  end if;
  if u.user_type = 'internal' then
    mine := app.permissions_of(u.staff_role, u.own);
    return mine && case when i.company_id is null then array['staff.manage'] else array['people.manage', 'companies.manage'] end
      and given <@ app.to_give(mine);
  end if;
  select app.permissions_of(m.role, r.permissions) into mine from membership m
    left join role r on r.tenant_id = m.tenant_id and r.id = m.role_id
  where m.tenant_id = i.tenant_id and m.company_id = i.company_id and m.user_id = i.invited_by_id and m.ended_at is null;
  return coalesce('people.manage' = any (mine) and given <@ mine, false);
end $$;

create function app.check_invitation() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  if app.person() is null then return new; end if;
  if new.accepted_at is not null or new.declined_at is not null and tg_op = 'INSERT' then
    raise exception 'who is invited accepts' using errcode = '42501';
  end if;
  if tg_op = 'UPDATE' and (old.id, old.tenant_id, old.company_id, old.email, old.role, old.role_id)
      is distinct from (new.id, new.tenant_id, new.company_id, new.email, new.role, new.role_id) then
    raise exception 'an invitation stays as it is' using errcode = '42501';
  end if;
  if (tg_op = 'INSERT' or new.number <> old.number) and (new.invited_by_id <> app.person() or not app.inviter_may(new)) then
    raise exception 'more than they have' using errcode = '42501';
  end if;
  return new;
end $$;
create trigger within before insert or update on invitation for each row execute function app.check_invitation();

create function app.tell_invitation() returns trigger language plpgsql as $$
begin
  perform pg_notify('live', 'invitations:' || coalesce(new.company_id, new.tenant_id));
  return null;
end $$;
create trigger tell after insert or update on invitation for each row execute function app.tell_invitation();

-- open, accepted, withdrawn, declined, expired; lapsed: whoever invited may do so no more.
create function app.invitation_state(i invitation) returns text
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select case when i.accepted_at is not null then 'accepted' when i.withdrawn_at is not null then 'withdrawn'
    when i.declined_at is not null then 'declined' when i.expires_at <= now() then 'expired'
    when not app.inviter_may(i) then 'lapsed' else 'open' end $$;

-- What the link leads to: only for whoever has the newest letter. `known`: who signs in with this address already.
create function app.invited(p_tenant uuid, p_id uuid, p_number integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select jsonb_build_object('state', app.invitation_state(i), 'email', i.email, 'name', i.name, 'language', i.language,
    'company', c.name, 'slug', c.slug, 'inviter', b.name, 'role', i.role, 'own_role', r.name,
    'permissions', app.permissions_of(i.role, r.permissions), 'expires_at', i.expires_at,
    'known', u.id, 'fits', u.id is null or u.disabled_at is null
      and u.user_type = case when i.company_id is null then 'internal' else 'client' end and i.company_id is not null)
  from invitation i join users b on b.tenant_id = i.tenant_id and b.id = i.invited_by_id
    left join company c on c.tenant_id = i.tenant_id and c.id = i.company_id
    left join role r on r.tenant_id = i.tenant_id and r.id = i.role_id
    left join users u on u.tenant_id = i.tenant_id and u.email = i.email
  where i.tenant_id = p_tenant and i.id = p_id and i.number = p_number $$;

-- By what providers whoever is invited could come in, and whether only so.
create function app.invited_by_sso(p_tenant uuid, p_id uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select jsonb_build_object('providers', coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name) order by lower(p.name), p.id), '[]'),
    'only', count(p.id) > 0 and exists (select from sso_only o where o.tenant_id = p_tenant
      and o.company_id is not distinct from (select i.company_id from invitation i where i.tenant_id = p_tenant and i.id = p_id)))
  from invitation i join identity_provider p on p.tenant_id = i.tenant_id and p.enabled
    and p.side = case when i.company_id is null then 'staff' else 'client' end and (p.company_id is null or p.company_id = i.company_id)
  where i.tenant_id = p_tenant and i.id = p_id $$;

-- Once. `p_user`: who is signed in, which must be the person of this address if there is one; else `p_new` comes to be, with a
-- password if they chose one. Answers who came in, or null.
create function app.accept_invitation(p_tenant uuid, p_id uuid, p_number integer, p_user uuid, p_new uuid, p_name text,
                                      p_language text, p_hash text) returns uuid
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare i invitation; u users; inviter users;
begin
  select * into i from invitation where tenant_id = p_tenant and id = p_id and number = p_number for update;
  if not found or app.invitation_state(i) <> 'open' then return null; end if;
  select * into u from users where tenant_id = p_tenant and email = i.email for update;
  if found then
    if u.id is distinct from p_user or u.disabled_at is not null or u.user_type <> 'client' or i.company_id is null then
      return null;
    end if;
  else
    if p_user is not null then return null; end if;
    begin
      insert into users (id, tenant_id, email, name, user_type, staff_role, staff_role_id, language)
      values (p_new, p_tenant, i.email, left(p_name, 120), case when i.company_id is null then 'internal' else 'client' end,
        case when i.company_id is null then i.role end, case when i.company_id is null then i.role_id end, p_language)
      returning * into u;
    exception when unique_violation then return null;
    end;
    if p_hash is not null then
      insert into credential (user_id, tenant_id, password_hash) values (u.id, p_tenant, p_hash);
    end if;
  end if;
  if i.company_id is not null then
    insert into membership (id, tenant_id, user_id, company_id, role, role_id)
    values (gen_random_uuid(), p_tenant, u.id, i.company_id, i.role, i.role_id)
    on conflict (tenant_id, company_id, user_id) do update
      set ended_at = null, role = excluded.role, role_id = excluded.role_id where membership.ended_at is not null;
  end if;
  update invitation set accepted_at = now(), accepted_by_id = u.id where id = i.id;
  perform app.write_audit(p_tenant, i.company_id, u.id, 'invitation.accepted', i.id,
    jsonb_build_object('email', i.email, 'name', u.name, 'role', coalesce(i.role, i.role_id::text), 'person', u.id));
  perform app.letter(p_tenant, 'invitation_accepted', i.invited_by_id, null, i.company_id, u.id, i.id);
  return u.id;
end $$;

-- Whoever is invited does not want to.
create function app.decline_invitation(p_tenant uuid, p_id uuid, p_number integer) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare i invitation;
begin
  select * into i from invitation where tenant_id = p_tenant and id = p_id and number = p_number for update;
  if not found or app.invitation_state(i) <> 'open' then return false; end if;
  update invitation set declined_at = now() where id = i.id;
  perform app.write_audit(p_tenant, i.company_id, null, 'invitation.declined', i.id, jsonb_build_object('email', i.email));
  return true;
end $$;

-- ---------- do these people still work here? ----------

-- Opens what is due, and reminds of what is open: after one week and after two, each once. By a job, for all tenants.
create function app.open_reviews() returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare r record; n integer;
begin
  for r in
    insert into access_review (tenant_id, company_id, due_at)
    select c.tenant_id, c.id, now() + interval '14 days'
    from company c join tenant t on t.id = c.tenant_id
    where t.review_days > 0 and c.archived_at is null
      and not exists (select from access_review a where a.tenant_id = c.tenant_id and a.company_id = c.id and (a.confirmed_at is null
        or a.confirmed_at > now() - make_interval(days => t.review_days)))
      and c.created_at <= now() - make_interval(days => t.review_days)
      and exists (select from app.managers_of(c.tenant_id, c.id))
    on conflict do nothing returning *
  loop
    perform app.letter(r.tenant_id, 'review', m, null, r.company_id, null, null) from app.managers_of(r.tenant_id, r.company_id) m;
  end loop;
  for n in 1 .. 2 loop
    for r in
      update access_review a set reminders = n from tenant t, company c
      where t.id = a.tenant_id and t.review_days > 0 and c.tenant_id = a.tenant_id and c.id = a.company_id and c.archived_at is null
        and a.confirmed_at is null and a.reminders = n - 1 and a.opened_at <= now() - make_interval(days => 7 * n)
      returning a.*
    loop
      perform app.letter(r.tenant_id, 'review_again', m, null, r.company_id, null, null)
      from app.managers_of(r.tenant_id, r.company_id) m;
    end loop;
  end loop;
end $$;

create function app.managers_of(p_tenant uuid, p_company uuid) returns setof uuid
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select m.user_id from membership m join users u on u.tenant_id = m.tenant_id and u.id = m.user_id and u.disabled_at is null
    left join role r on r.tenant_id = m.tenant_id and r.id = m.role_id
  where m.tenant_id = p_tenant and m.company_id = p_company and m.ended_at is null
    and 'people.manage' = any (app.permissions_of(m.role, r.permissions)) $$;

-- Confirms it, once: those named leave the company at once, the others stay. False: somebody was faster. Nobody ends their own
-- membership so, nor that of somebody who may more than they.
create function app.confirm_review(p_review uuid, p_leave uuid[]) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare mine text[] := string_to_array((app.context())[5], ',');
begin
  if app.company() is null or not app.may('people.manage') or app.viewer() is not null then
    raise exception 'not allowed' using errcode = '42501';
  end if;
  update access_review set confirmed_at = now(), confirmed_by_id = app.person()
  where tenant_id = app.tenant() and company_id = app.company() and id = p_review and confirmed_at is null;
  if not found then return false; end if;
  if exists (select from membership m left join role r on r.tenant_id = m.tenant_id and r.id = m.role_id
             where m.tenant_id = app.tenant() and m.company_id = app.company() and m.ended_at is null and m.user_id = any (p_leave)
               and (m.user_id = app.person() or not app.permissions_of(m.role, r.permissions) <@ mine)) then
    raise exception 'not theirs to end' using errcode = '42501';
  end if;
  insert into access_review_item (review_id, tenant_id, company_id, user_id, kept)
  select p_review, m.tenant_id, m.company_id, m.user_id, m.user_id <> all (p_leave) from membership m
  where m.tenant_id = app.tenant() and m.company_id = app.company() and m.ended_at is null;
  update membership set ended_at = now()
  where tenant_id = app.tenant() and company_id = app.company() and ended_at is null and user_id = any (p_leave);
  return true;
end $$;

create function app.tell_review() returns trigger language plpgsql as $$
begin
  perform pg_notify('live', 'invitations:' || new.company_id), pg_notify('live', 'companies:' || new.tenant_id);
  return null;
end $$;
create trigger tell after insert or update on access_review for each row execute function app.tell_review();

create function app.tell_details() returns trigger language plpgsql as $$
begin
  perform pg_notify('live', 'companies:' || coalesce(new.tenant_id, old.tenant_id));
  return null;
end $$;
create trigger tell after insert or update or delete on company_address for each row execute function app.tell_details();
create trigger tell after insert or update or delete on company_contact for each row execute function app.tell_details();

-- ---------- another address of one's own ----------

-- Asks for it; letters go to both. Five times a day at most.
create function app.ask_for_address(p_email text) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare u users; c email_change;
begin
  if app.person() is null or not app.fresh() or app.viewer() is not null then
    raise exception 'not proven' using errcode = '42501';
  end if;
  select * into u from users where tenant_id = app.tenant() and id = app.person() for update;
  insert into email_change as e (tenant_id, user_id, old_email, new_email) values (u.tenant_id, u.id, u.email, lower(p_email))
  on conflict (tenant_id, user_id) do update set id = gen_random_uuid(), old_email = excluded.old_email,
    new_email = excluded.new_email, asked_at = now(), expires_at = now() + interval '24 hours', old_at = null, new_at = null,
    ended_at = null, began_at = case when e.began_at < now() - interval '1 day' then now() else e.began_at end,
    times = case when e.began_at < now() - interval '1 day' then 1 else e.times + 1 end
  returning * into c;
  if c.times > 5 then raise exception 'too often' using errcode = '54000'; end if;
  perform app.letter(u.tenant_id, 'address_old', u.id, null, null, null, null);
  perform app.letter(u.tenant_id, 'address_new', u.id, c.new_email, null, null, null);
end $$;

create function app.my_address_change() returns table (new_email text, expires_at timestamptz, old_done boolean, new_done boolean)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select c.new_email, c.expires_at, c.old_at is not null, c.new_at is not null from email_change c
  where c.tenant_id = app.tenant() and c.user_id = app.person() and app.viewer() is null and c.ended_at is null and c.expires_at > now() $$;

create function app.cancel_my_address_change() returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  update email_change set ended_at = now() where tenant_id = app.tenant() and user_id = app.person() and app.viewer() is null and ended_at is null;
  return found;
end $$;

-- For the letters: the wish that is open, if it is still for this address (null: the letter to the present one).
create function app.address_change_of(p_user uuid, p_address text)
returns table (id uuid, new_email text, is_taken boolean)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select c.id, c.new_email, exists (select from users o where o.tenant_id = c.tenant_id and o.email = c.new_email)
  from email_change c join users u on u.tenant_id = c.tenant_id and u.id = c.user_id and u.email = c.old_email
  where c.tenant_id = app.tenant() and c.user_id = p_user and c.ended_at is null and c.expires_at > now()
    and (p_address is null or c.new_email = p_address) $$;

-- What a link leads to. `p_side`: old or new, the address that it went to.
create function app.address_change(p_tenant uuid, p_id uuid, p_side text)
returns table (name text, user_type text, old_email text, new_email text, done boolean)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select u.name, u.user_type, c.old_email, c.new_email, case p_side when 'old' then c.old_at else c.new_at end is not null
  from email_change c join users u on u.tenant_id = c.tenant_id and u.id = c.user_id and u.disabled_at is null and u.email = c.old_email
  where c.tenant_id = p_tenant and c.id = p_id and c.ended_at is null and c.expires_at > now() $$;

-- half: the other link is missing yet; done; dead.
create function app.confirm_address(p_tenant uuid, p_id uuid, p_side text) returns text
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare c email_change;
begin
  update email_change set old_at = case p_side when 'old' then coalesce(old_at, now()) else old_at end,
    new_at = case p_side when 'new' then coalesce(new_at, now()) else new_at end
  where tenant_id = p_tenant and id = p_id and ended_at is null and expires_at > now() returning * into c;
  if not found or p_side not in ('old', 'new') then return 'dead'; end if;
  if c.old_at is null or c.new_at is null then return 'half'; end if;
  begin
    update users set email = c.new_email, email_changed_at = now()
    where tenant_id = p_tenant and id = c.user_id and email = c.old_email and disabled_at is null;
    if not found then return 'dead'; end if;
  exception when unique_violation then
    update email_change set ended_at = now() where id = c.id;
    return 'dead';
  end;
  update email_change set ended_at = now() where id = c.id;
  perform app.write_audit(p_tenant, null, c.user_id, 'person.email', c.user_id,
    jsonb_build_object('before', c.old_email, 'after', c.new_email));
  perform app.letter(p_tenant, 'email_changed', c.user_id, null, null, c.user_id, null);
  perform app.letter(p_tenant, 'email_was', c.user_id, c.old_email, null, c.user_id, null);
  return 'done';
end $$;

-- From either address.
create function app.cancel_address(p_tenant uuid, p_id uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare who uuid;
begin
  update email_change set ended_at = now() where tenant_id = p_tenant and id = p_id and ended_at is null and expires_at > now()
  returning user_id into who;
  if not found then return false; end if;
  perform app.write_audit(p_tenant, null, null, 'email.cancelled', who, '{}');
  return true;
end $$;
