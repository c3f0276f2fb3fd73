-- Lines that no block has taken yet, written with each line: one that is committed late stands here, however old it is.
create table audit_waiting (
  line uuid primary key,
  tenant_id uuid not null references tenant
);
create index audit_waiting_of on audit_waiting (tenant_id);

-- A block of the chain: its lines in the order of their time, the digest of each, and a hash over them and the block before.
create table audit_seal (
  tenant_id uuid not null references tenant,
  seq integer not null check (seq > 0),
  made_at timestamptz not null,
  first_at timestamptz not null, last_at timestamptz not null,
  count integer not null,
  lines uuid[] not null, digests bytea[] not null,
  previous bytea, hash bytea not null,
  primary key (tenant_id, seq),
  check (cardinality(lines) = count and cardinality(digests) = count and (seq = 1) = (previous is null))
);
-- Lines whose time was over; the digest stays in their block. `run`: the line that says so, with a digest of all of its run.
create table audit_removed (
  line uuid primary key,
  tenant_id uuid not null references tenant,
  run uuid not null
);
create index audit_removed_of on audit_removed (tenant_id);

create function app.await_seal() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin insert into audit_waiting (line, tenant_id) values (new.id, new.tenant_id); return null; end $$;
create trigger await_seal after insert on audit for each row execute function app.await_seal();

create trigger keep before update or delete or truncate on audit_seal for each statement execute function app.refuse_change();
create trigger keep before update or delete or truncate on audit_removed for each statement execute function app.refuse_change();

-- The same as in portal/audit.py, which does not believe this one.
create function app.audit_digest(a audit) returns bytea language sql stable set search_path = pg_catalog, public, pg_temp as $$
  select sha256(convert_to(array_to_string(array[a.id::text, a.tenant_id::text, a.company_id::text,
    to_char(a.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), a.actor_id::text, a.action, a.subject_id::text, a.detail::text,
    a.session::text, a.network, a.as_user_id::text], E'\x1f', E'\x1e'), 'UTF8')) $$;
create function app.seal_hash(p_previous bytea, p_tenant uuid, p_seq integer, p_made timestamptz, p_lines uuid[], p_digests bytea[])
returns bytea language sql stable set search_path = pg_catalog, public, pg_temp as $$
  select sha256(coalesce(p_previous, '') || convert_to(concat_ws('|', p_tenant, p_seq,
    to_char(p_made at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')), 'UTF8')
    || coalesce((select string_agg(uuid_send(l.line) || l.digest, '' order by l.n)
                 from unnest(p_lines, p_digests) with ordinality as l (line, digest, n)), '')) $$;

-- Everything that waits and can be seen, in blocks of at most 1,000; how many lines. One run at a time for a tenant.
create function app.seal_audit() returns integer
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare t uuid; before audit_seal; b record; done integer := 0; made timestamptz; next integer;
begin
  for t in select distinct w.tenant_id from audit_waiting w order by 1 loop
    perform pg_advisory_xact_lock(hashtextextended('audit:' || t, 0));
    loop
      select * into before from audit_seal s where s.tenant_id = t order by s.seq desc limit 1;
      next := coalesce(before.seq, 0) + 1;
      select array_agg(x.id order by x.at, x.id) as lines, array_agg(app.audit_digest(x) order by x.at, x.id) as digests,
          min(x.at) as first_at, max(x.at) as last_at into b
        from (select a.* from audit_waiting w join audit a on a.id = w.line and a.tenant_id = t
              where w.tenant_id = t order by a.at, a.id limit 1000) x;
      exit when b.lines is null;
      made := clock_timestamp();
      insert into audit_seal (tenant_id, seq, made_at, first_at, last_at, count, lines, digests, previous, hash)
      values (t, next, made, b.first_at, b.last_at, cardinality(b.lines), b.lines, b.digests, before.hash,
        app.seal_hash(before.hash, t, next, made, b.lines, b.digests));
      delete from audit_waiting w where w.line = any (b.lines);
      done := done + cardinality(b.lines);
    end loop;
  end loop;
  return done;
end $$;

-- What is sealed and older than its tenant keeps such lines. The line about it stays for ever, and is sealed like any other.
create function app.forget_audit() returns integer
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare t record; gone uuid[]; run uuid; done integer := 0; digest text;
begin
  for t in select id, keep_signins_days, keep_reading_days, keep_changes_days from tenant order by id loop
    perform pg_advisory_xact_lock(hashtextextended('audit:' || t.id, 0));
    gone := array(
      select a.id from audit a
      where a.tenant_id = t.id and a.at < now() - interval '30 days' and a.at < now() - make_interval(days => case app.kept_as(a.action)
          when 'signins' then t.keep_signins_days when 'reading' then t.keep_reading_days when 'changes' then t.keep_changes_days end)
        and not exists (select from audit_waiting w where w.line = a.id)
      order by a.at, a.id limit 50000);
    continue when cardinality(gone) = 0;
    digest := encode(sha256((select string_agg(uuid_send(l), '' order by l) from unnest(gone) l)), 'hex');
    run := app.add_audit(t.id, null, null, 'audit.removed', null,
      jsonb_build_object('lines', cardinality(gone), 'digest', digest), null, null, null);
    insert into audit_removed (line, tenant_id, run) select l, t.id, run from unnest(gone) l;
    perform set_config('app.forgetting', 'audit', true);
    delete from audit a where a.tenant_id = t.id and a.id = any (gone);
    perform set_config('app.forgetting', '', true);
    done := done + cardinality(gone);
  end loop;
  return done;
end $$;
