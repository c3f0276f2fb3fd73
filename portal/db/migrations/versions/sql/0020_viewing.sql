-- Somebody of the staff looks at the portal as a client does: reading only, for half an hour, in one session.
create table viewing (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null default app.tenant(),
  session uuid not null,  -- of the staff; no key: sessions are forgotten sooner
  staff_id uuid not null, user_id uuid not null, company_id uuid not null,
  reason text not null check (length(reason) between 3 and 300),
  begun_at timestamptz not null default now(), ends_at timestamptz not null, ended_at timestamptz,
  foreign key (tenant_id, staff_id) references users (tenant_id, id),
  foreign key (tenant_id, company_id, user_id) references membership (tenant_id, company_id, user_id)
);
create unique index viewing_one on viewing (tenant_id, session) where ended_at is null;
create index viewing_open on viewing (ends_at) where ended_at is null;
create index viewing_of_staff on viewing (tenant_id, staff_id, begun_at desc);

create function app.tell_viewing() returns trigger language plpgsql as $$
begin perform pg_notify('live', 'viewing:' || new.id); return null; end $$;
create trigger tell after update of ended_at on viewing for each row execute function app.tell_viewing();

-- The one that lives in a session, with what may be seen: what both may, of what is only read.
create function app.live_viewing(p_token bytea, p_company uuid, p_slug text)
returns table (id uuid, tenant_id uuid, session uuid, network text, staff_id uuid, user_id uuid, company_id uuid, reach text, may text[],
               ends_at timestamptz, role text, own_role text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select v.id, v.tenant_id, s.id, s.network, v.staff_id, v.user_id, v.company_id, app.reach_of(m.role, mr.permissions),
    array(select p from unnest(app.permissions_of(m.role, mr.permissions)) p
      where p in ('tickets.see', 'tickets.see_company', 'money.see', 'audit.see', 'people.manage', 'company.edit')
        and case p when 'tickets.see_company' then 'tickets.see' when 'company.edit' then 'companies.manage' else p end
          = any (app.permissions_of(me.staff_role, sr.permissions)) order by p),
    v.ends_at, m.role, mr.name
  from app.live_session(p_token) me
    join session s on s.token_hash = p_token
    left join role sr on sr.tenant_id = me.tenant_id and sr.id = me.staff_role_id
    join viewing v on v.tenant_id = me.tenant_id and v.session = s.id and v.staff_id = me.user_id and v.ended_at is null
      and v.ends_at > clock_timestamp()
    join company c on c.tenant_id = v.tenant_id and c.id = v.company_id and c.archived_at is null
    join users u on u.tenant_id = v.tenant_id and u.id = v.user_id and u.disabled_at is null
    join membership m on m.tenant_id = v.tenant_id and m.company_id = v.company_id and m.user_id = v.user_id and m.ended_at is null
    left join role mr on mr.tenant_id = m.tenant_id and mr.id = m.role_id
  where me.user_type = 'internal' and 'view.as' = any (app.permissions_of(me.staff_role, sr.permissions))
    and (p_company is null or c.id = p_company) and (p_slug is null or c.slug = p_slug) $$;

create function app.viewing_of(p_token bytea, p_slug text) returns jsonb
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select jsonb_build_object('id', v.id, 'user_id', u.id, 'name', u.name, 'email', u.email, 'role', v.role, 'own_role', v.own_role,
    'permissions', v.may, 'ends_at', v.ends_at, 'company', jsonb_build_object('id', c.id, 'slug', c.slug, 'name', c.name))
  from app.live_viewing(p_token, null, p_slug) v join users u on u.id = v.user_id join company c on c.id = v.company_id $$;

-- `p_rights`: which viewing the page was built for, and what it may. From here on nothing can be written in this transaction, and no
-- statement can change that.
create function app.enter_viewing(p_token bytea, p_company uuid, p_rights text, p_quiet boolean) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare v record;
begin
  select * into v from app.live_viewing(p_token, p_company, null);
  if not found or session_user <> 'portal_client' or p_rights is distinct from v.id || ':' || array_to_string(v.may, ',') then
    raise exception 'no viewing' using errcode = '28000';
  end if;
  if not p_quiet then perform app.note_use(p_token); end if;
  perform app.set_context(v.tenant_id, v.company_id, v.user_id, v.reach, v.may, v.session, v.staff_id, false);
  perform set_config('transaction_read_only', 'on', true);
end $$;

create function app.end_viewings(p_tenant uuid, p_session uuid, p_why text) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare v viewing;
begin
  for v in update viewing x set ended_at = least(now(), x.ends_at)
    where x.tenant_id = p_tenant and x.session = p_session and x.ended_at is null returning * loop
    perform app.add_audit(v.tenant_id, v.company_id, v.staff_id, 'viewing.ended', v.user_id, jsonb_build_object('why', p_why),
      v.session, (select s.network from session s where s.tenant_id = v.tenant_id and s.id = v.session), v.user_id);
  end loop;
end $$;

create function app.begin_viewing(p_person uuid, p_company uuid, p_reason text) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare network text; me uuid := app.person();
begin
  if session_user <> 'portal_staff' or not coalesce(app.may('view.as'), false) or app.session() is null then
    raise exception 'not allowed' using errcode = '42501';
  end if;
  if not app.fresh() then raise exception 'a proof is needed' using errcode = '42501'; end if;
  select s.network into network from session s where s.tenant_id = app.tenant() and s.id = app.session() and s.revoked_at is null for update;
  if not found then raise exception 'no session' using errcode = '28000'; end if;
  perform from membership m join users u on u.tenant_id = m.tenant_id and u.id = m.user_id and u.disabled_at is null
      join company c on c.tenant_id = m.tenant_id and c.id = m.company_id and c.archived_at is null
    where m.tenant_id = app.tenant() and m.company_id = p_company and m.user_id = p_person and m.ended_at is null;
  if not found then raise exception 'nobody there' using errcode = 'P0002'; end if;
  perform app.end_viewings(app.tenant(), app.session(), 'another');
  insert into viewing (tenant_id, session, staff_id, user_id, company_id, reason, ends_at)
  values (app.tenant(), app.session(), me, p_person, p_company, p_reason, now() + interval '30 minutes');
  perform app.add_audit(app.tenant(), p_company, me, 'viewing.begun', p_person, jsonb_build_object('reason', p_reason), app.session(),
    network, p_person);
end $$;

create function app.stop_viewing(p_token bytea) returns jsonb
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare s record; was jsonb;
begin
  select x.tenant_id, x.id into s from session x where x.token_hash = p_token;
  if not found then return null; end if;
  select jsonb_build_object('slug', c.slug, 'user_id', v.user_id) into was
    from viewing v join company c on c.tenant_id = v.tenant_id and c.id = v.company_id
    where v.tenant_id = s.tenant_id and v.session = s.id and v.ended_at is null;
  perform app.end_viewings(s.tenant_id, s.id, 'stopped');
  return was;
end $$;

-- What was opened, in the company's log: reading itself can write nothing.
create function app.note_viewing(p_token bytea, p_viewing uuid, p_action text, p_detail jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare v record;
begin
  select * into v from app.live_viewing(p_token, null, null) x where x.id = p_viewing;
  if not found then raise exception 'no viewing' using errcode = '28000'; end if;
  if p_action not in ('viewing.screen', 'viewing.downloaded') then raise exception 'no such line' using errcode = '42501'; end if;
  perform app.add_audit(v.tenant_id, v.company_id, v.staff_id, p_action, v.user_id, p_detail, v.session, v.network, v.user_id);
end $$;

-- With the session ends what was looked at in it.
create function app.end_viewing_of_session() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin perform app.end_viewings(new.tenant_id, new.id, 'signed out'); return null; end $$;
create trigger end_viewing after update of revoked_at on session for each row
  when (new.revoked_at is not null) execute function app.end_viewing_of_session();

-- Those whose time is over, and those whose person or company is gone.
create function app.over_viewings() returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  select app.end_viewings(v.tenant_id, v.session, 'time') from viewing v where v.ended_at is null and v.ends_at < now() $$;
