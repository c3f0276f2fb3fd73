"""Files that are uploaded before they are sent, drafts kept in one's account, and how much a company may keep."""

from portal.db.migrations.words import Side, hand_over, protect, script

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

OURS = 'company_id = (select app.company())'
MINE = 'author_id = (select app.person())'


def upgrade() -> None:
    script("""
        alter table company add column file_quota_mb integer check (file_quota_mb between 0 and 10000000);

        -- what one has written and not sent; `earlier` holds what another device wrote at the same time
        create table draft (
          id uuid primary key,
          tenant_id uuid not null default app.tenant(),
          company_id uuid,
          user_id uuid not null,
          place text not null check (length(place) between 1 and 60),
          version integer not null default 1 check (version > 0),
          content jsonb not null default '{}',
          earlier jsonb not null default '[]',
          saved_at timestamptz not null default now(),
          unique nulls not distinct (tenant_id, user_id, company_id, place),
          foreign key (tenant_id, user_id) references users (tenant_id, id),
          foreign key (tenant_id, company_id) references company (tenant_id, id)
        );
        create index draft_old on draft (saved_at);

        -- until it is sent, a file belongs to a place where its author writes
        alter table file alter column company_id drop not null, alter column ticket_id drop not null;
        alter table file add column place text check (length(place) between 1 and 60),
          add column width integer, add column height integer,
          add constraint file_sent_or_not check ((ticket_id is null) = (place is not null)
            and (ticket_id is null) = (comment_id is null) and (ticket_id is null or company_id is not null)),
          add constraint file_preview check ((width is null) = (height is null));
        create index file_of_company on file (tenant_id, company_id) include (size, is_internal, author_id, ticket_id);
        create index file_waiting on file (tenant_id, author_id, place) where ticket_id is null;

        drop trigger tell on file;
        create trigger tell after insert or update on file for each row when (new.ticket_id is not null)
          execute function app.tell_part();

        -- a file is as internal as the comment it belongs to, whatever the program says
        create function app.file_of_comment() returns trigger language plpgsql as $$
        begin
          if new.comment_id is null then new.is_internal := false; return new; end if;
          select c.is_internal into new.is_internal from ticket_comment c
          where c.tenant_id = new.tenant_id and c.ticket_id = new.ticket_id and c.id = new.comment_id;
          if new.is_internal is null then raise exception 'no such comment' using errcode = '23503'; end if;
          return new;
        end $$;
        create trigger of_comment before insert or update on file for each row execute function app.file_of_comment();
    """)
    own = 'user_id = (select app.person())'
    everything = 'select, insert, update, delete'
    protect('draft', Side('staff', everything, f'company_id is null and {own}'), Side('client', everything, f'{OURS} and {own}'))
    _policies_of_files()
    _functions()


def _policies_of_files() -> None:
    script("""
        drop policy staff on file;
        drop policy client on file;
        drop policy client_attaches on file;
        revoke all on file from portal_staff, portal_client;
    """)
    tenant = 'tenant_id = (select app.tenant())'
    # OFFSET 0 as in the first migration: else all tickets of the company may be read for a few
    seen = 'exists (select from ticket t where t.id = ticket_id offset 0) and not is_internal'
    waiting = f'ticket_id is null and {MINE}'
    said_by_me = 'exists (select from ticket_comment c where c.id = comment_id and c.author_id = (select app.person()))'
    for side, where, readable in (('staff', tenant, 'ticket_id is not null'), ('client', f'{tenant} and {OURS}', f'({seen})')):
        attached = 'comment_id is not null' if side == 'staff' else f'{seen} and {MINE} and {said_by_me}'
        script(f"""
            create policy {side} on file for select to portal_{side} using ({where} and ({readable} or ({waiting})));
            create policy {side}_uploads on file for insert to portal_{side} with check ({where} and {waiting});
            create policy {side}_removes on file for delete to portal_{side} using ({where} and {waiting});
            create policy {side}_sends on file for update to portal_{side} using ({where} and {waiting})
              with check ({where} and {MINE} and {attached});
            grant select, insert, delete, update (company_id, ticket_id, comment_id, place) on file to portal_{side};
        """)


def _functions() -> None:
    script("""
        create policy definer on file to portal_definer using (true) with check (true);
        create policy definer on draft to portal_definer using (true) with check (true);
        grant select, delete on file, draft to portal_definer;

        -- Bytes of a company that count against what it may keep; held until the transaction ends, so that two uploads do not
        -- both take the last room. Neither notes nor what staff have not sent: nobody learns of them by a number.
        create function app.company_bytes(p_company uuid) returns bigint
        language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
        begin
          if app.tenant() is null or p_company is null or p_company <> coalesce(app.company(), p_company) then
            raise exception 'no context' using errcode = '42501';
          end if;
          perform pg_advisory_xact_lock(hashtextextended('files:' || p_company, 0));
          return (
            select coalesce(sum(f.size), 0) from file f where f.tenant_id = app.tenant() and f.company_id = p_company
              and not f.is_internal and (f.ticket_id is not null or exists (
                select from users u where u.tenant_id = f.tenant_id and u.id = f.author_id and u.user_type = 'client')));
        end $$;

        -- Drafts nobody came back to, and files that were uploaded for them; the bytes go with the next sweep of the folder.
        create function app.tidy_drafts() returns void
        language sql security definer set search_path = pg_catalog, public, pg_temp as $$
          delete from draft where saved_at < now() - interval '90 days';
          delete from file f where f.ticket_id is null and f.created_at < now() - interval '1 day' and not exists (
            select from draft d where d.tenant_id = f.tenant_id and d.user_id = f.author_id and d.place = f.place
              and (d.company_id is null or d.company_id = f.company_id));
        $$;

        -- Of these names in the folder, the ones that no row knows.
        create function app.unknown_files(p_names text[]) returns setof text
        language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
          select n from unnest(p_names) n where not exists (select from file f where f.stored_as = n) $$;

        revoke execute on function app.company_bytes(uuid), app.tidy_drafts(), app.unknown_files(text[]) from public;
        grant execute on function app.company_bytes(uuid) to portal_staff, portal_client, portal_definer;
        grant execute on function app.tidy_drafts(), app.unknown_files(text[]) to portal_worker, portal_definer;
    """)
    hand_over()
