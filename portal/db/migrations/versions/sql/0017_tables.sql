-- Where people of a side prove who they are instead of here. `company_id` null: for all clients, or for the staff.
create table identity_provider (
  id uuid primary key,
  tenant_id uuid not null default app.tenant() references tenant (id),
  company_id uuid,
  side text not null check (side in ('staff', 'client')),
  kind text not null check (kind in ('microsoft', 'google', 'other')),
  name text not null,
  issuer text not null,
  client_id text not null,
  -- the provider speaks for addresses of these: also unverified ones link, and one is led to it by one's address
  domains text[] not null default '{}',
  default_role text,  -- of people it creates; null: it creates nobody
  enabled boolean not null default false,
  checked_at timestamptz,
  check_problem text,  -- null: all was well
  created_at timestamptz not null default now(),
  created_by_id uuid,
  unique (tenant_id, id),
  foreign key (tenant_id, company_id) references company (tenant_id, id),
  foreign key (tenant_id, created_by_id) references users (tenant_id, id),
  check (side = 'client' or company_id is null),
  check (default_role is null or (side = 'staff' and default_role in ('Technician', 'Finance'))
         or (company_id is not null and default_role in ('ClientUser', 'ClientBilling')))
);
create index identity_provider_company on identity_provider (tenant_id, company_id);

-- The client secret of a provider, encrypted by the portal. Apart, since staff read the rest.
create table identity_secret (
  id uuid primary key,  -- the provider's
  tenant_id uuid not null,
  sealed bytea not null,
  foreign key (tenant_id, id) references identity_provider (tenant_id, id) on delete cascade
);

-- A person's account at a provider. `subject` null: made in advance by address, and nobody came with it yet.
create table identity (
  id uuid primary key,
  tenant_id uuid not null default app.tenant(),
  provider_id uuid not null,
  user_id uuid not null,
  issuer text not null,  -- a provider whose issuer was changed is another one
  subject text,
  email text,  -- as the provider calls them
  linked_by text not null check (linked_by in ('email', 'self', 'staff', 'created')),
  linked_at timestamptz not null default now(),
  used_at timestamptz,
  unique (tenant_id, provider_id, issuer, subject),
  unique (tenant_id, provider_id, user_id),
  foreign key (tenant_id, provider_id) references identity_provider (tenant_id, id) on delete cascade,
  foreign key (tenant_id, user_id) references users (tenant_id, id),
  check (subject is not null or email is not null)
);
create unique index identity_expected on identity (tenant_id, provider_id, email) where subject is null;
create index identity_of on identity (tenant_id, user_id);

-- Somebody is on their way to a provider and back; once.
create table sso_flow (
  state_hash bytea primary key,
  tenant_id uuid not null,
  provider_id uuid not null,
  browser_hash bytea not null,  -- of the cookie that it is bound to
  purpose text not null check (purpose in ('signin', 'link', 'confirm')),
  nonce text not null,
  verifier text not null,  -- PKCE
  onward text,
  token_hash bytea,  -- of the session that links or confirms
  expires_at timestamptz not null default now() + interval '10 minutes',
  started_at timestamptz not null default now(),
  foreign key (tenant_id, provider_id) references identity_provider (tenant_id, id) on delete cascade
);
create index sso_flow_over on sso_flow (expires_at);

-- Who comes in by a provider only: the people of a company, or the staff (`company_id` null), but for one account.
create table sso_only (
  id uuid primary key,
  tenant_id uuid not null default app.tenant() references tenant (id),
  company_id uuid,
  exempt_id uuid,
  since timestamptz not null default now(),
  created_by_id uuid not null,
  unique nulls not distinct (tenant_id, company_id),
  foreign key (tenant_id, company_id) references company (tenant_id, id),
  foreign key (tenant_id, exempt_id) references users (tenant_id, id),
  foreign key (tenant_id, created_by_id) references users (tenant_id, id),
  check (company_id is null or exempt_id is null)
);
