"""What waits for whom: unread tickets, due dates; and what staff keep for their work: saved views, canned replies."""

from portal.db.migrations.words import Side, hand_over, protect, script

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None

OURS = 'company_id = (select app.company())'
OF_SEEN = f'{OURS} and exists (select from ticket t where t.id = ticket_id offset 0)'
MINE = 'user_id = (select app.person())'
OWN_OR_TEAM = '(owner_id = (select app.person()) or is_shared)'


def upgrade() -> None:
    _unread()
    _due()
    _kept_by_staff()
    hand_over()


def _unread() -> None:
    script("""
        -- A row: somebody else said something on the ticket that the person may see, and they have not had it open since.
        create table ticket_unread (
          user_id uuid not null, ticket_id uuid not null,
          tenant_id uuid not null default app.tenant(), company_id uuid not null,
          since timestamptz not null default now(),
          primary key (user_id, ticket_id),
          foreign key (tenant_id, user_id) references users (tenant_id, id),
          foreign key (tenant_id, company_id, ticket_id) references ticket (tenant_id, company_id, id)
        );
        create index ticket_unread_of on ticket_unread (tenant_id, user_id, company_id, ticket_id);
        create index users_staff on users (tenant_id) where user_type = 'internal';

        -- All staff for everything that is said; clients who can see the ticket, for everything but notes. In the order of their
        -- ids: two who speak at once never wait for each other.
        create function app.mark_unread() returns trigger
        language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
        begin
          insert into ticket_unread (user_id, ticket_id, tenant_id, company_id)
          select u.id, new.ticket_id, new.tenant_id, new.company_id from users u
          where u.tenant_id = new.tenant_id and u.user_type = 'internal' and u.disabled_at is null and u.id <> new.author_id
          order by u.id on conflict do nothing;
          if new.is_internal then return null; end if;
          insert into ticket_unread (user_id, ticket_id, tenant_id, company_id)
          select m.user_id, new.ticket_id, new.tenant_id, new.company_id
          from membership m join ticket t on t.tenant_id = m.tenant_id and t.id = new.ticket_id
            left join role r on r.tenant_id = m.tenant_id and r.id = m.role_id
          where m.tenant_id = new.tenant_id and m.company_id = new.company_id and m.ended_at is null and m.user_id <> new.author_id
            and (t.requester_id = m.user_id or (t.visibility = 'company' and app.reach_of(m.role, r.permissions) = 'company')
                 or exists (select from ticket_participant p where p.ticket_id = t.id and p.user_id = m.user_id))
          order by m.user_id on conflict do nothing;
          return null;
        end $$;
        create trigger unread after insert on ticket_comment for each row execute function app.mark_unread();

        -- Whoever comes into copy has not read what was said before.
        create function app.mark_unread_for_copy() returns trigger
        language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
        begin
          insert into ticket_unread (user_id, ticket_id, tenant_id, company_id)
          values (new.user_id, new.ticket_id, new.tenant_id, new.company_id) on conflict do nothing;
          return null;
        end $$;
        create trigger unread after insert on ticket_participant for each row
          when (new.user_id <> new.added_by_id) execute function app.mark_unread_for_copy();

        create function app.tell_unread() returns trigger language plpgsql as $$
        begin perform pg_notify('live', 'unread:' || coalesce(new.user_id, old.user_id)); return null; end $$;
        create trigger tell after insert or delete on ticket_unread for each row execute function app.tell_unread();

        -- What nobody cared to read for so long is no longer news.
        create function app.tidy_unread() returns void
        language sql security definer set search_path = pg_catalog, public, pg_temp as $$
          delete from ticket_unread where since < now() - interval '90 days' $$;
        revoke execute on function app.tidy_unread() from public;
        grant execute on function app.tidy_unread() to portal_worker;

        grant select, insert, delete on ticket_unread to portal_definer;
        create policy definer on ticket_unread to portal_definer using (true) with check (true);
    """)
    protect(
        'ticket_unread',
        Side('staff', 'select, insert, delete', MINE),
        Side('client', 'select', f'{OF_SEEN} and {MINE}'),
        Side('client', 'insert', f'{OF_SEEN} and {MINE}', name='client_marks', command='insert'),
        Side('client', 'delete', f'{OURS} and {MINE}', name='client_reads', command='delete'),
    )


def _due() -> None:
    script("""
        -- Until when the staff want it done. Not a column of the ticket: clients read those, and are woken by their change.
        create table ticket_due (
          ticket_id uuid primary key,
          tenant_id uuid not null default app.tenant(), company_id uuid not null,
          due_on date not null,
          is_open boolean not null,  -- follows the ticket, so that what is done needs not be looked at
          foreign key (tenant_id, company_id, ticket_id) references ticket (tenant_id, company_id, id)
        );
        create index ticket_due_open on ticket_due (tenant_id, due_on, ticket_id) where is_open;

        create function app.follow_ticket() returns trigger
        language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
        begin
          update ticket_due set is_open = new.queue_rank < 30 where ticket_id = new.id and is_open <> (new.queue_rank < 30);
          return null;
        end $$;
        create trigger due after update of status on ticket for each row execute function app.follow_ticket();
        grant select, update on ticket_due to portal_definer;
        create policy definer on ticket_due to portal_definer using (true) with check (true);

        create function app.tell_due() returns trigger language plpgsql as $$
        begin
          perform pg_notify('live', 'note:' || coalesce(new.ticket_id, old.ticket_id)),
                  pg_notify('live', 'due:' || coalesce(new.tenant_id, old.tenant_id));
          return null;
        end $$;
        create trigger tell after insert or update or delete on ticket_due for each row execute function app.tell_due();
    """)
    protect('ticket_due', Side('staff', 'select, insert, update, delete'))


def _kept_by_staff() -> None:
    script("""
        create table saved_view (
          id uuid primary key,
          tenant_id uuid not null default app.tenant(),
          owner_id uuid not null,
          name text not null check (length(name) between 1 and 60),
          query jsonb not null,
          is_shared boolean not null default false,
          created_at timestamptz not null default now(),
          unique (tenant_id, id),
          foreign key (tenant_id, owner_id) references users (tenant_id, id)
        );
        create unique index saved_view_own on saved_view (tenant_id, owner_id, lower(name)) where not is_shared;
        create unique index saved_view_shared on saved_view (tenant_id, lower(name)) where is_shared;

        -- with which view of the queue somebody begins
        create table default_view (
          user_id uuid primary key,
          tenant_id uuid not null default app.tenant(),
          view_id uuid not null,
          foreign key (tenant_id, user_id) references users (tenant_id, id),
          foreign key (tenant_id, view_id) references saved_view (tenant_id, id) on delete cascade
        );
        create index default_view_of on default_view (tenant_id, view_id);

        create table canned_reply (
          id uuid primary key,
          tenant_id uuid not null default app.tenant(),
          owner_id uuid not null,
          title text not null check (length(title) between 1 and 80),
          body text not null check (length(body) between 1 and 10000),
          language text,
          is_shared boolean not null default false,
          changed_at timestamptz not null default now(),
          unique (tenant_id, id),
          foreign key (tenant_id, owner_id) references users (tenant_id, id)
        );
        create index canned_reply_own on canned_reply (tenant_id, owner_id);
        create index canned_reply_shared on canned_reply (tenant_id) where is_shared;

        create function app.tell_saved_view() returns trigger language plpgsql as $$
        begin perform pg_notify('live', 'views:' || coalesce(new.tenant_id, old.tenant_id)); return null; end $$;
        create trigger tell after insert or update or delete on saved_view for each row execute function app.tell_saved_view();
        create function app.tell_canned_reply() returns trigger language plpgsql as $$
        begin perform pg_notify('live', 'canned:' || coalesce(new.tenant_id, old.tenant_id)); return null; end $$;
        create trigger tell after insert or update or delete on canned_reply for each row execute function app.tell_canned_reply();
    """)
    for table in ('saved_view', 'canned_reply'):
        protect(table, Side('staff', 'select, insert, update, delete', OWN_OR_TEAM))
    protect('default_view', Side('staff', 'select, insert, update, delete', MINE))
