-- An authenticator app that somebody has set up (RFC 6238).
create table totp (
  id uuid primary key,
  tenant_id uuid not null default app.tenant(),
  user_id uuid not null,
  name text not null check (length(name) between 1 and 60),
  secret bytea not null,  -- sealed (portal/sealing.py)
  last_step bigint not null default 0,  -- of 30 seconds: of the last code that was used; no earlier one counts
  created_at timestamptz not null default now(),
  confirmed_at timestamptz,  -- until then it is being set up, and counts for nothing
  used_at timestamptz,
  unique (tenant_id, id),
  foreign key (tenant_id, user_id) references users (tenant_id, id)
);
create index totp_user on totp (tenant_id, user_id);

-- What is left of the codes for the day the phone is gone. A used one is deleted.
create table recovery_code (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null default app.tenant(),
  user_id uuid not null,
  digest bytea not null check (length(digest) = 32),
  created_at timestamptz not null default now(),
  unique (tenant_id, user_id, digest),
  foreign key (tenant_id, user_id) references users (tenant_id, id)
);

-- Whether the password is long enough to be all that is asked.
alter table credential add column alone boolean not null default true;

create function app.tell_factor() returns trigger language plpgsql as $$
begin perform pg_notify('live', 'factors:' || coalesce(new.user_id, old.user_id)); return null; end $$;
create trigger tell after insert or update of confirmed_at or delete on totp for each row execute function app.tell_factor();
