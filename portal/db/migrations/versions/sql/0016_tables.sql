-- What somebody signs in with. The private key never leaves their device.
create table passkey (
  id uuid primary key,
  tenant_id uuid not null default app.tenant(),
  user_id uuid not null,
  name text not null,
  credential_id bytea not null,
  public_key bytea not null,
  sign_count bigint not null,
  transports text[] not null default '{}',
  backed_up boolean not null,  -- it is kept by a service, and on other devices of the person, too
  created_at timestamptz not null default now(),
  used_at timestamptz,
  unique (tenant_id, id), unique (tenant_id, credential_id),
  foreign key (tenant_id, user_id) references users (tenant_id, id)
);
create index passkey_user on passkey (tenant_id, user_id);

-- By which a passkey names its person: random, and nothing else knows it.
create table passkey_owner (
  user_id uuid primary key,
  tenant_id uuid not null default app.tenant(),
  handle bytea not null,
  declined_at timestamptz,  -- when they said that they want none
  unique (tenant_id, handle),
  foreign key (tenant_id, user_id) references users (tenant_id, id)
);

-- Challenges that were answered: each is answered once.
create table passkey_challenge (
  digest bytea primary key,
  tenant_id uuid not null references tenant,
  expires_at timestamptz not null
);

-- Who needs a second factor, and from when.
create table factor_rule (
  id uuid primary key,
  tenant_id uuid not null default app.tenant() references tenant,
  company_id uuid,
  user_type text not null check (user_type in ('internal', 'client')),
  role text,  -- a built-in one, or the tenant's own by id; neither: everybody
  role_id uuid,
  from_on date not null,
  grace_days integer not null default 0 check (grace_days between 0 and 90),  -- for who comes later
  sso_counts boolean not null default true,
  made_by_id uuid not null,
  made_at timestamptz not null default now(),
  unique nulls not distinct (tenant_id, company_id, user_type, role, role_id),
  check (company_id is null or user_type = 'client'), check (role is null or role_id is null),
  foreign key (tenant_id, company_id) references company (tenant_id, id),
  foreign key (tenant_id, role_id) references role (tenant_id, id) on delete cascade,
  foreign key (tenant_id, made_by_id) references users (tenant_id, id)
);

-- Who was reminded of which day, and how many days before.
create table factor_reminder (
  tenant_id uuid not null,
  user_id uuid not null,
  due_on date not null,
  days integer not null,
  primary key (tenant_id, user_id, due_on, days),
  foreign key (tenant_id, user_id) references users (tenant_id, id)
);

-- Somebody has lost what they sign in with, and is helped. Nothing of theirs ends before they act themselves.
create table recovery (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null,
  company_id uuid,  -- of the client admin who started it
  user_id uuid not null,
  started_by_id uuid not null,
  reason text not null,
  started_at timestamptz not null default now(),
  ready_at timestamptz not null,  -- from when the link works
  needs_staff boolean not null default false,  -- the staff have to let it through first
  spoken_by_id uuid,  -- who of the staff has spoken to the person and shortened it
  told_at timestamptz,  -- when the letter with the link was promised
  expires_at timestamptz not null,
  stopped_at timestamptz,
  used_at timestamptz,
  unique (tenant_id, id),
  foreign key (tenant_id, company_id) references company (tenant_id, id),
  foreign key (tenant_id, user_id) references users (tenant_id, id),
  foreign key (tenant_id, started_by_id) references users (tenant_id, id),
  foreign key (tenant_id, spoken_by_id) references users (tenant_id, id)
);
-- one for each company that helps, and one of the staff: none of them learns of another's
create unique index recovery_open on recovery (tenant_id, user_id, company_id) nulls not distinct where stopped_at is null and used_at is null;

alter table tenant add column recovery_hours integer not null default 24 check (recovery_hours between 1 and 168);
