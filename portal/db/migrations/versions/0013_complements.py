"""Who gets a ticket into their hands hears of it, once while it waits; a change of many tickets outlives its process; a
reply may consist of files alone, whose names are looked through."""

from alembic import op

from portal.db.migrations.words import Side, hand_over, protect, script, unforced

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None


def upgrade() -> None:
    _handed()
    _bulk()
    _files()
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


def _files() -> None:
    script("""
        alter table ticket_comment drop constraint ticket_comment_body_check;
        alter table ticket_comment add constraint ticket_comment_body_check check (length(body) <= 50000);

        -- letters name what was sent along; of a note nothing, as with its words
        create policy worker on file for select to portal_worker using (tenant_id = (select app.tenant()) and not is_internal);
        grant select (id, tenant_id, ticket_id, comment_id, name, is_internal) on file to portal_worker;

        -- by their names files are found like words of the comment they came with
        create function app.index_file() returns trigger
        language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
        declare said tsvector := app.vector(new.name, 'B');
        begin
          update ticket_text set words = case when new.is_internal then words else app.joined(words, said) end,
            staff_words = app.joined(staff_words, said) where ticket_id = new.ticket_id;
          return null;
        end $$;
        create trigger index_new after insert on file for each row when (new.comment_id is not null) execute function app.index_file();
        create trigger index_sent after update of comment_id on file for each row
          when (new.comment_id is not null and old.comment_id is distinct from new.comment_id) execute function app.index_file();

        create or replace function app.index_everything() returns void
        language sql set search_path = pg_catalog, public, pg_temp as $$
          insert into ticket_text (ticket_id, tenant_id, company_id, words, staff_words)
          select t.id, t.tenant_id, t.company_id, app.vector(t.subject, 'A') || app.vector(coalesce(c.open, ''), 'B'),
            app.vector(t.subject, 'A') || app.vector(coalesce(c.everything, ''), 'B')
          from ticket t left join (
            select ticket_id, left(string_agg(said, ' ' order by id) filter (where not is_internal), 300000) as open,
              left(string_agg(said, ' ' order by id), 300000) as everything
            from (select ticket_id, id, is_internal, body as said from ticket_comment
                  union all select ticket_id, id, is_internal, name from file where ticket_id is not null) parts
            group by ticket_id) c on c.ticket_id = t.id
          on conflict (ticket_id) do nothing;
          insert into ticket_word (tenant_id, company_id, word)
          select distinct x.tenant_id, x.company_id, w from ticket_text x join ticket t on t.id = x.ticket_id, app.telling_words(x.words) w
          where t.visibility = 'company'
            and not exists (select from ticket_word k where k.tenant_id = x.tenant_id and k.company_id = x.company_id and k.word = w);
        $$;
    """)
    with unforced('file', 'ticket_text'):
        op.execute("""
            update ticket_text t set words = app.joined(t.words, app.vector(coalesce(f.open, ''), 'B')),
              staff_words = app.joined(t.staff_words, app.vector(f.everything, 'B'))
            from (select ticket_id, string_agg(name, ' ') filter (where not is_internal) as open, string_agg(name, ' ') as everything
                  from file where ticket_id is not null group by ticket_id) f
            where f.ticket_id = t.ticket_id""")
