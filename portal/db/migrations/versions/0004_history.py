"""Categories; a line of history for every change; people leave a ticket; who may cause what; a reply arrives once."""

from alembic import op

from portal.db.migrations.words import Side, hand_over, protect, script

revision = '0004'
down_revision = '0002'
branch_labels = None
depends_on = None

OURS = 'company_id = (select app.company())'
OF_SEEN = f'{OURS} and exists (select from ticket t where t.id = ticket_id offset 0)'


def upgrade() -> None:
    _categories()
    _history()
    _leaving()
    # of one reply as it was composed: sent twice, it is said once
    script("""
        alter table ticket_comment add column sending uuid;
        create unique index ticket_comment_sending on ticket_comment (tenant_id, author_id, sending) where sending is not null;
    """)


def _categories() -> None:
    script("""
        create table category (
          id uuid primary key,
          tenant_id uuid not null default app.tenant() references tenant,
          name text not null check (length(name) between 1 and 60),
          place integer not null,
          archived_at timestamptz,
          created_at timestamptz not null default now(),
          unique (tenant_id, id)
        );
        create unique index category_name on category (tenant_id, lower(name));
        alter table ticket add column category_id uuid;
        alter table ticket add constraint ticket_category_fkey
          foreign key (tenant_id, category_id) references category (tenant_id, id);
        create index ticket_category on ticket (tenant_id, category_id, changed_at desc, id desc) where category_id is not null;

        create function app.tell_category() returns trigger language plpgsql as $$
        begin perform pg_notify('live', 'categories:' || new.tenant_id); return null; end $$;
        create trigger tell after insert or update on category for each row execute function app.tell_category();
    """)
    # the names of what they may choose; asked for inside a company, as everything of clients is
    protect('category', Side('staff', 'select, insert, update'), Side('client', 'select', '(select app.company()) is not null'))


def _history() -> None:
    script("""
        alter table ticket_event drop constraint ticket_event_kind_check;
        alter table ticket_event add constraint ticket_event_kind_check check (kind in ('status', 'priority', 'assignee',
          'participant', 'category', 'visibility', 'requester', 'subject', 'due'));
    """)
    # what a client can cause, and no other line: of subject and visibility decides whose ticket it is
    op.execute(f"""
        alter policy client_does on ticket_event with check (
          tenant_id = (select app.tenant()) and {OF_SEEN} and not is_internal and actor_id = (select app.person())
          and (kind = 'participant' or kind = 'status' and after in ('open', 'closed')
               or kind in ('visibility', 'subject') and exists (
                 select from ticket t where t.id = ticket_id and t.requester_id = (select app.person()) offset 0)))
    """)
    script("""
        grant update (subject, visibility) on ticket to portal_client;
        -- a policy cannot compare what was with what will be
        create function app.check_client_change() returns trigger language plpgsql as $$
        begin
          if (new.subject, new.visibility) is distinct from (old.subject, old.visibility)
             and old.requester_id is distinct from app.person() then
            raise exception 'only whose ticket it is' using errcode = '42501';
          end if;
          if new.status <> old.status and new.status not in ('open', 'closed') then
            raise exception 'a status that only staff set' using errcode = '42501';
          end if;
          return new;
        end $$;
        create trigger client_change before update on ticket for each row
          when (current_user = 'portal_client') execute function app.check_client_change();
    """)


def _leaving() -> None:
    """Whose ticket it is, and whoever reaches all of the company's, take somebody out; everyone takes themselves out."""
    script("""
        create function app.may_take_out(p_ticket uuid) returns boolean
        language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
          select app.may_see(p_ticket) and (app.reach() = 'company' or exists (
            select from ticket t where t.id = p_ticket and t.tenant_id = app.tenant() and t.requester_id = app.person())) $$;
        revoke execute on function app.may_take_out(uuid) from public;
        grant execute on function app.may_take_out(uuid) to portal_client;
        grant delete on ticket_participant to portal_client;
    """)
    op.execute(f"""
        create policy client_leaves on ticket_participant for delete to portal_client using (
          tenant_id = (select app.tenant()) and {OURS}
          and (user_id = (select app.person()) or app.may_take_out(ticket_id)))
    """)
    hand_over()
