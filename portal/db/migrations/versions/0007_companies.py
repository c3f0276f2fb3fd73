"""Companies as one knows them, what one knows of their people, and the import of both."""

from portal.db.migrations.words import Side, hand_over, protect, replace, script

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    _companies()
    _people()
    _imports()
    hand_over()


def _companies() -> None:
    script("""
        alter table company
          add phone text check (length(phone) <= 60), add website text check (website ~ '^https?://' and length(website) <= 300),
          add street text check (length(street) <= 200), add postal_code text check (length(postal_code) <= 20),
          add city text check (length(city) <= 100), add country text check (length(country) <= 100),
          add manager_id uuid,
          add foreign key (tenant_id, manager_id) references users (tenant_id, id),
          add check (length(outside_ref) between 1 and 100);
        create unique index company_outside_ref on company (tenant_id, outside_ref);

        -- what staff should know of a company; a table of its own, since clients read the row of their company
        create table company_note (
          company_id uuid primary key,
          tenant_id uuid not null default app.tenant(),
          body text not null check (length(body) between 1 and 5000),
          author_id uuid not null, changed_at timestamptz not null default now(),
          foreign key (tenant_id, company_id) references company (tenant_id, id),
          foreign key (tenant_id, author_id) references users (tenant_id, id)
        );

        -- addresses a company had before: they lead to the new one, and nobody else gets them
        create table company_slug (
          tenant_id uuid not null default app.tenant(),
          slug text not null,
          company_id uuid not null,
          primary key (tenant_id, slug),
          foreign key (tenant_id, company_id) references company (tenant_id, id)
        );
        create index company_slug_of on company_slug (tenant_id, company_id);
        create index audit_about on audit (tenant_id, subject_id, at desc);
    """)
    protect('company_note', Side('staff', 'select, insert, update, delete'))
    protect('company_slug', Side('staff', 'select, insert, delete'))
    script("""
        grant select on company_slug to portal_definer;
        create policy definer on company_slug to portal_definer using (true) with check (true);

        -- Where somebody's company is now that was found under this address before; null if it was none of theirs.
        create function app.moved(p_token bytea, p_slug text) returns text
        language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
          select c.slug from app.live_session(p_token) me
            join company_slug s on s.tenant_id = me.tenant_id and s.slug = p_slug
            join company c on c.tenant_id = s.tenant_id and c.id = s.company_id and c.archived_at is null
            join membership m on m.tenant_id = c.tenant_id and m.company_id = c.id and m.user_id = me.user_id and m.ended_at is null
        $$;
        revoke execute on function app.moved(bytea, text) from public;
        grant execute on function app.moved(bytea, text) to portal_door;

        -- A company is archived, or comes back: its people's open pages load anew, and find that they may not, or may.
        create function app.tell_archived() returns trigger
        language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
        begin
          perform pg_notify('live', 'person:' || m.user_id) from membership m
          where m.tenant_id = new.tenant_id and m.company_id = new.id and m.ended_at is null;
          return null;
        end $$;
        create trigger tell_archived after update of archived_at on company for each row
          when (old.archived_at is distinct from new.archived_at) execute function app.tell_archived();

        create function app.tell_company_part() returns trigger language plpgsql as $$
        begin perform pg_notify('live', 'companies:' || coalesce(new.tenant_id, old.tenant_id)); return null; end $$;
        create trigger tell after insert or update or delete on company_note for each row execute function app.tell_company_part();
    """)


def _people() -> None:
    script("""
        alter table users add phone text check (length(phone) <= 60), add email_changed_at timestamptz;
        alter table mail_outbox add to_address text;  -- where it goes, if not to the person's present address

        -- with another address nobody is signed in any more; whoever makes a trigger must be allowed to call its function
        set local role portal_definer;
        grant execute on function app.end_sessions() to portal_owner;
        reset role;
        create trigger moved_out after update of email on users for each row
          when (old.email is distinct from new.email) execute function app.end_sessions();
        set local role portal_definer;
        revoke execute on function app.end_sessions() from portal_owner;
        reset role;
        create function app.tell_profile() returns trigger language plpgsql as $$
        begin perform pg_notify('live', 'companies:' || new.tenant_id); return null; end $$;
        create trigger tell_profile after update of name, email, phone, disabled_at on users for each row
          when (new.user_type = 'client') execute function app.tell_profile();

        -- Of clients, for staff: when somebody was here last, and whether they ever chose a password. Sessions are forgotten
        -- thirty days after their end, and with them when that was.
        create function app.presence(p_people uuid[]) returns table (user_id uuid, seen_at timestamptz, has_password boolean)
        language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
          select u.id, (select max(s.last_seen_at) from session s where s.tenant_id = u.tenant_id and s.user_id = u.id),
            exists (select from credential c where c.user_id = u.id)
          from users u where u.tenant_id = app.tenant() and u.id = any (p_people) and u.user_type = 'client'
        $$;
        revoke execute on function app.presence(uuid[]) from public;
        grant execute on function app.presence(uuid[]) to portal_staff;
        create index session_seen on session (tenant_id, user_id);
    """)
    # a link that went to the old address dies with the change; those of people whose address never changed stay as they are
    replace("""
        create or replace function app.password_mark(p_tenant uuid, p_user uuid) returns text
        language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
          select encode(sha256(convert_to(
            u.id || coalesce(c.password_hash, '') || coalesce('|' || extract(epoch from u.email_changed_at), ''), 'UTF8')), 'hex')
          from users u left join credential c on c.user_id = u.id
          where u.tenant_id = p_tenant and u.id = p_user and u.disabled_at is null $$;
    """)


def _imports() -> None:
    script("""
        create table import_batch (
          id uuid primary key,
          tenant_id uuid not null default app.tenant() references tenant,
          kind text not null check (kind in ('companies', 'people')),
          file_name text not null, encoding text not null, delimiter text not null,
          columns text[] not null, mapping jsonb not null default '{}', options jsonb not null default '{}',
          state text not null default 'ready' check (state in ('ready', 'running', 'stopped', 'done', 'failed')),
          author_id uuid not null, started_by_id uuid,
          key_hash bytea,  -- of a secret that only its running job knows, and with which it works as who started it
          created_at timestamptz not null default now(), touched_at timestamptz not null default now(),
          unique (tenant_id, id),
          foreign key (tenant_id, author_id) references users (tenant_id, id),
          foreign key (tenant_id, started_by_id) references users (tenant_id, id),
          check (state <> 'running' or started_by_id is not null)
        );
        create index import_batch_newest on import_batch (tenant_id, id desc);
        create unique index import_batch_key on import_batch (tenant_id, key_hash);

        create table import_row (
          batch_id uuid not null,
          number integer not null,  -- of its line in the file
          tenant_id uuid not null default app.tenant(),
          cells text[] not null,
          outcome text check (outcome in ('add', 'change', 'leave', 'refuse')),
          problems jsonb not null default '[]',
          done_at timestamptz,
          primary key (batch_id, number),
          foreign key (tenant_id, batch_id) references import_batch (tenant_id, id) on delete cascade
        );
    """)
    protect(
        'import_batch',
        Side('staff', 'select, insert, update, delete'),
        Side('worker', 'select, update (state, key_hash, touched_at)'),
    )
    protect('import_row', Side('staff', 'select, insert, update, delete'))
    script("""
        grant select, delete on import_batch to portal_definer;
        create policy definer on import_batch to portal_definer using (true) with check (true);

        -- An import goes on after the tab is closed, with the rights of who started it, and no longer than they have them.
        create function app.enter_import(p_key bytea) returns void
        language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
        declare found record;
        begin
          select b.tenant_id, b.started_by_id into found
          from import_batch b join users u on u.tenant_id = b.tenant_id and u.id = b.started_by_id
          where b.key_hash = sha256(p_key) and b.state = 'running' and u.user_type = 'internal' and u.disabled_at is null;
          if found.tenant_id is null or session_user <> 'portal_staff' then
            raise exception 'no running import' using errcode = '28000';
          end if;
          perform app.set_context(found.tenant_id, null, found.started_by_id, 'all');
        end $$;

        create function app.forget_imports() returns void
        language sql security definer set search_path = pg_catalog, public, pg_temp as $$
          delete from import_batch where created_at < now() - interval '30 days' and state <> 'running' $$;

        create function app.tell_import() returns trigger language plpgsql as $$
        begin perform pg_notify('live', 'import:' || new.id); return null; end $$;
        create trigger tell after update on import_batch for each row execute function app.tell_import();

        revoke execute on function app.enter_import(bytea), app.forget_imports() from public;
        grant execute on function app.enter_import(bytea) to portal_staff;
        grant execute on function app.forget_imports() to portal_worker;
        insert into app.task values ('run_import');
    """)
