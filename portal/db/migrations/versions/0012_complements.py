"""Who gets a ticket into their hands hears of it, once while it waits; a change of many tickets outlives its process."""

from alembic import op

from portal.db.migrations.words import Side, hand_over, protect, script

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade() -> None:
    _handed()
    _bulk()
    hand_over()


def _handed() -> None:
    op.execute('alter table notification drop constraint notification_kind_check')
    op.execute("""alter table notification add constraint notification_kind_check
        check (kind in ('new_ticket', 'reply', 'status', 'note', 'copy', 'requester', 'assigned'))""")
    script("""
        -- whoever tells may not read the other's bell; a line that waits there says it already
        create function app.told_already() returns trigger
        language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
        begin
          if exists (select from notification n where n.tenant_id = new.tenant_id and n.user_id = new.user_id
                     and n.ticket_id = new.ticket_id and n.kind = new.kind and n.seen_at is null) then
            return null;
          end if;
          return new;
        end $$;
        create trigger told_already before insert on notification for each row
          when (new.seen_at is null and new.kind in ('copy', 'requester', 'assigned')) execute function app.told_already();
    """)


def _bulk() -> None:
    script("""
        create table bulk_change (
          id uuid primary key,
          tenant_id uuid not null default app.tenant(),
          user_id uuid not null,
          field text not null, value text not null,
          numbers integer[] not null,  -- of the tickets that still wait
          total integer not null, changed integer not null default 0,
          failed jsonb not null default '[]',
          touched_at timestamptz not null default now(),
          foreign key (tenant_id, user_id) references users (tenant_id, id)
        );
        create index bulk_change_of on bulk_change (tenant_id, user_id);
    """)
    protect('bulk_change', Side('staff', 'select, insert, update, delete', 'user_id = (select app.person())'))
