-- The world that is measured. Rows come in the order of time, tenants and companies mixed, as they do in life: the tickets of
-- one company lie all over the table. Run without triggers and without the larger indexes.
select setseed(0.5);

insert into tenant (id, name, short_name, host, phone, phone_hours)
  select uuidv7(), 'Bench MSP ' || g, 'MSP ' || g, 'msp' || g || '.localhost', '030 1234567', 'Mon to Fri, 8 to 18'
  from generate_series(1, {tenants}) g;
insert into company (id, tenant_id, slug, name)
  select uuidv7(), t.id, 'company-' || g, (array['Acme', 'Bolt', 'Corner', 'Delta', 'Elm'])[1 + g % 5] || ' '
    || (array['Dental', 'Logistics', 'Bakery', 'Legal'])[1 + g % 4] || ' ' || g
  from tenant t, generate_series(1, {companies}) g;

create temp table person as
  select uuidv7() as id, t.id as tenant_id, null::uuid as company_id, 'staff' || g as login, g from tenant t, generate_series(1, 10) g
  union all
  select uuidv7(), c.tenant_id, c.id, 'c' || substr(c.slug, 9) || 'p' || g, g
  from company c, generate_series(0, case when c.slug = 'company-1' then 39 else 5 end) g;
insert into users (id, tenant_id, email, name, user_type, staff_role)
  select id, tenant_id, login || '@bench.example',
    (array['Ada', 'Ugo', 'Bea', 'Mel', 'Cleo', 'Tess', 'Finn', 'Stan'])[1 + (hashtext(login) & 7)] || ' ' || initcap(login),
    case when company_id is null then 'internal' else 'client' end,
    case when company_id is not null then null when g = 1 then 'MspAdmin' else 'Technician' end
  from person;
insert into membership (id, tenant_id, user_id, company_id, role)
  select uuidv7(), tenant_id, id, company_id, case when g = 0 then 'ClientAdmin' else 'ClientUser' end
  from person where company_id is not null;

-- ---------- tickets: how many of whom, then when, then what ----------

create temp table share as
  select c.tenant_id, c.id as company_id, t.name = '{tenant}' as measured, case
      when t.name <> '{tenant}' then ({tickets} - {of_tenant}) / (({tenants} - 1) * {companies})
      when c.slug = 'company-1' then {of_big}
      when c.slug = 'company-2' then {of_small}
      else ({of_tenant} - {of_big} - {of_small}) / ({companies} - 2) end as tickets,
    (select array_agg(p.id) from person p where p.company_id = c.id) as people,
    (select array_agg(p.id) from person p where p.tenant_id = c.tenant_id and p.company_id is null) as staff
  from company c join tenant t on t.id = c.tenant_id;

-- what the division left over goes to the last company of the big tenant and of the last one
update share set tickets = tickets + {of_tenant} - (select sum(tickets) from share where measured)
  where company_id = (select id from company where slug = 'company-{companies}' and tenant_id = (select id from tenant where name = '{tenant}'));
update share set tickets = tickets + {tickets} - (select sum(tickets) from share)
  where company_id = (select id from company where slug = 'company-{companies}'
                      and tenant_id = (select id from tenant where name = 'Bench MSP {tenants}'));

create temp table asked as
  select *, uuidv7(created_at - now()) as id, 1000 + row_number() over (partition by tenant_id order by created_at) as number,
    created_at + (random() ^ 3) * least(interval '9 days', now() - created_at) as changed_at
  from (
    -- the sort below and these must not share a level: PostgreSQL takes all `random()` of one for the same
    select tenant_id, company_id, measured, tickets, people, staff, random() as luck, random() as mood, random() as word,
      random() as haste, people[1 + floor(random() * cardinality(people))::int] as requester_id,
      staff[1 + floor(random() * 10)::int] as helper_id, now() - interval '3 years' * (at - 1) / {tickets} as created_at
    from (select share.*, row_number() over (order by random()) as at from share, generate_series(1, tickets)) placed
  ) at_random;
analyze asked;

insert into ticket_comment (id, tenant_id, company_id, ticket_id, author_id, body, is_internal, created_at)
  select uuidv7(created_at - now() + n * interval '1 minute'), tenant_id, company_id, id,
    case when n % 2 = 1 then requester_id else helper_id end,
    repeat('It happens **since this morning** on every second device, restarting it does not help. ', 1 + (luck * 3)::int)
      || 'Number ' || number || ', word ' || n,
    n = 4, created_at + n * interval '1 minute'
  from asked, generate_series(1, case when measured then 1 + (luck * 6)::int else 1 end) n;

insert into ticket (id, tenant_id, company_id, number, subject, status, priority, visibility, requester_id, author_id, assignee_id,
    last_comment_id, created_at, changed_at, closed_at)
  select a.id, a.tenant_id, a.company_id, a.number,
    (array['{common}', 'laptop', 'mailbox', 'tunnel', 'backup', 'screen', 'phone', 'scanner', 'calendar', 'account', 'router',
           'licence'])[1 + a.number % 12] || ' ' ||
    (array['is slow', 'went offline', 'asks for a password', 'shows nothing', 'makes a noise', 'lost its settings',
           'cannot be found'])[1 + a.number % 7] || ' in room ' || 100 + floor(a.word * 400)::int
      || case when a.number % 10000 = 77 then ' {rare}' else '' end,
    state, (array['low', 'normal', 'normal', 'normal', 'normal', 'normal', 'high', 'urgent'])[1 + floor(a.haste * 8)::int],
    case when a.luck < 0.1 then 'private' else 'company' end, a.requester_id, a.requester_id,
    case when state <> 'new' then a.helper_id end, said.id, a.created_at, a.changed_at,
    case when state = 'closed' then a.changed_at end
  from (
    select *, case
      when created_at > now() - interval '30 days' and mood < 0.6 or mood < 0.005 or tickets = {of_small}
        then (array['new', 'open', 'open', 'waiting_client', 'waiting_client', 'waiting_supplier'])[1 + floor(word * 6)::int]
      when created_at > now() - interval '60 days' and mood > 0.7 then 'solved'
      else 'closed' end as state
    from asked
  ) a
  left join (
    select distinct on (ticket_id) ticket_id, id from ticket_comment where not is_internal order by ticket_id, id desc
  ) said on said.ticket_id = a.id
  order by a.id;

insert into ticket_event (id, tenant_id, company_id, ticket_id, actor_id, kind, before, after, created_at)
  select uuidv7(created_at - now() + n * interval '30 minutes'), tenant_id, company_id, id, helper_id,
    (array['assignee', 'status'])[n], (array[null, 'new'])[n], (array[helper_id::text, 'open'])[n], created_at
  from asked, generate_series(1, 2) n where measured;
insert into ticket_participant (ticket_id, user_id, tenant_id, company_id, added_by_id)
  select id, people[1 + floor(word * cardinality(people))::int], tenant_id, company_id, requester_id
  from asked where luck > 0.92;
insert into notification (id, tenant_id, user_id, company_id, ticket_id, actor_id, kind, created_at, seen_at)
  select uuidv7(changed_at - now()), tenant_id, people[1], company_id, id, helper_id, 'reply', changed_at,
    case when changed_at < now() - interval '3 days' then now() end
  from asked where measured and luck < 0.3
  union all
  select uuidv7(changed_at - now()), tenant_id, helper_id, company_id, id, requester_id, 'reply', changed_at,
    case when changed_at < now() - interval '3 days' then now() end
  from asked where measured and luck < 0.3;
insert into counter (tenant_id, kind, value) select tenant_id, 'ticket', max(number) from asked group by tenant_id;
drop table person, share, asked;
