-- Who of a company sees all of its tickets that are not private, by their role now.
create function app.who_reaches(p_company uuid) returns table (user_id uuid, name text, role text, own_role text)
language sql stable set search_path = pg_catalog, public, pg_temp as $$
  select u.id, u.name, m.role, r.name
  from membership m
    join company c on c.tenant_id = m.tenant_id and c.id = m.company_id and c.archived_at is null
    join users u on u.tenant_id = m.tenant_id and u.id = m.user_id and u.disabled_at is null
    left join role r on r.tenant_id = m.tenant_id and r.id = m.role_id
  where m.company_id = p_company and m.ended_at is null and app.reach_of(m.role, r.permissions) = 'company'
  order by lower(u.name), u.id $$;

-- The clients who see a ticket, and why; `only_open`: they do as long as it is not private. It is the rule of the policies of `ticket`
-- (a test compares).
create function app.who_sees(p_ticket uuid)
returns table (user_id uuid, name text, why text, added_by text, role text, own_role text, only_open boolean)
language sql stable set search_path = pg_catalog, public, pg_temp as $$
  select u.id, u.name,
    case when t.requester_id = u.id then 'requester' when p.user_id is not null then 'copy' else 'reach' end,
    a.name, m.role, r.name, t.requester_id <> u.id and p.user_id is null
  from ticket t
    join membership m on m.tenant_id = t.tenant_id and m.company_id = t.company_id and m.ended_at is null
    join company c on c.tenant_id = m.tenant_id and c.id = m.company_id and c.archived_at is null
    join users u on u.tenant_id = m.tenant_id and u.id = m.user_id and u.disabled_at is null
    left join role r on r.tenant_id = m.tenant_id and r.id = m.role_id
    left join ticket_participant p on p.ticket_id = t.id and p.user_id = u.id
    left join users a on a.tenant_id = t.tenant_id and a.id = p.added_by_id
  where t.id = p_ticket
    and (t.requester_id = u.id or p.user_id is not null or app.reach_of(m.role, r.permissions) = 'company')
  order by lower(u.name), u.id $$;
