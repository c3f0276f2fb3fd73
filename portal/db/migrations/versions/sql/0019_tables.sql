create table invitation (
  id uuid primary key,
  tenant_id uuid not null default app.tenant(),
  company_id uuid,  -- null: to the staff
  email text not null check (email = lower(email) and length(email) between 3 and 254),
  name text not null check (length(name) between 1 and 120),
  role text, role_id uuid,
  language text,
  invited_by_id uuid not null,
  number integer not null default 1 check (number > 0),  -- of the letter; the link in it is good for this number alone
  created_at timestamptz not null default now(),
  sent_at timestamptz not null default now(),
  expires_at timestamptz not null,
  accepted_at timestamptz, accepted_by_id uuid,
  withdrawn_at timestamptz,
  declined_at timestamptz,
  unique (tenant_id, id),
  check (num_nonnulls(role, role_id) = 1),
  check ((accepted_at is null) = (accepted_by_id is null)),
  check (num_nonnulls(accepted_at, withdrawn_at, declined_at) <= 1),
  foreign key (tenant_id, company_id) references company (tenant_id, id),
  foreign key (tenant_id, invited_by_id) references users (tenant_id, id),
  foreign key (tenant_id, accepted_by_id) references users (tenant_id, id),
  foreign key (tenant_id, role_id) references role (tenant_id, id)
);
-- one that is open for each address and company
create unique index invitation_open on invitation (tenant_id, coalesce(company_id, tenant_id), email)
  where accepted_at is null and withdrawn_at is null and declined_at is null;
create index invitation_of on invitation (tenant_id, company_id, sent_at desc);

-- whoever is invited has no row among the users yet
alter table mail_outbox alter to_user_id drop not null, add invitation_id uuid,
  add foreign key (tenant_id, invitation_id) references invitation (tenant_id, id),
  add check (num_nonnulls(to_user_id, invitation_id) >= 1);

alter table tenant add review_days integer not null default 90 check (review_days = 0 or review_days between 14 and 730);

-- "Do these people still work here?": open until a client admin confirms it
create table access_review (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null default app.tenant(),
  company_id uuid not null,
  opened_at timestamptz not null default now(),
  due_at timestamptz not null,
  reminders integer not null default 0,
  confirmed_at timestamptz, confirmed_by_id uuid,
  unique (tenant_id, company_id, id),
  check ((confirmed_at is null) = (confirmed_by_id is null)),
  foreign key (tenant_id, company_id) references company (tenant_id, id),
  foreign key (tenant_id, confirmed_by_id) references users (tenant_id, id)
);
create unique index access_review_open on access_review (tenant_id, company_id) where confirmed_at is null;
create index access_review_newest on access_review (tenant_id, company_id, opened_at desc);

create table access_review_item (
  review_id uuid not null,
  tenant_id uuid not null default app.tenant(),
  company_id uuid not null,
  user_id uuid not null,
  kept boolean not null,
  primary key (review_id, user_id),
  foreign key (tenant_id, company_id, review_id) references access_review (tenant_id, company_id, id),
  foreign key (tenant_id, company_id, user_id) references membership (tenant_id, company_id, user_id)
);

-- beside the main address, which stands in the row of the company
create table company_address (
  id uuid primary key,
  tenant_id uuid not null default app.tenant(),
  company_id uuid not null,
  kind text not null check (kind in ('billing', 'site')),
  name text check (length(name) between 1 and 120),  -- of a site, or to whom invoices go
  street text check (length(street) <= 200), postal_code text check (length(postal_code) <= 20),
  city text check (length(city) <= 100), country text check (length(country) <= 100),
  changed_at timestamptz not null default now(),
  foreign key (tenant_id, company_id) references company (tenant_id, id)
);
create unique index company_address_billing on company_address (tenant_id, company_id) where kind = 'billing';
create index company_address_of on company_address (tenant_id, company_id);

-- a person of the company, or somebody who does not sign in
create table company_contact (
  tenant_id uuid not null default app.tenant(),
  company_id uuid not null,
  kind text not null check (kind in ('billing', 'technical', 'emergency')),
  user_id uuid,
  name text check (length(name) between 1 and 120), phone text check (length(phone) <= 60), email text check (length(email) <= 254),
  changed_at timestamptz not null default now(),
  primary key (company_id, kind),
  check (num_nonnulls(user_id, name) = 1),
  foreign key (tenant_id, company_id) references company (tenant_id, id),
  foreign key (tenant_id, company_id, user_id) references membership (tenant_id, company_id, user_id)
);

-- somebody wants another address to sign in with: confirmed at both. One row for each person; a new wish has a new id
create table email_change (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null,
  user_id uuid not null,
  old_email text not null, new_email text not null,
  asked_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + interval '24 hours',
  old_at timestamptz, new_at timestamptz,  -- when the link that went to the one and the other address was used
  ended_at timestamptz,  -- done, or called off
  began_at timestamptz not null default now(), times integer not null default 1,  -- how often within a day
  unique (tenant_id, user_id),
  foreign key (tenant_id, user_id) references users (tenant_id, id)
);
