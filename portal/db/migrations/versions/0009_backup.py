"""The backup reads every table, through a role that may do nothing else; and facts about the installation."""

from portal.db.migrations.words import script

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    script("""
        create table if not exists app.fact (name text primary key, value jsonb not null, at timestamptz not null default now());
        do $$ declare t record; begin
          for t in select c.oid::regclass as name from pg_class c
            where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
              and not exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'backup') loop
            execute format('create policy backup on %s for select to portal_backup using (true)', t.name);
          end loop;
        end $$;
        grant usage on schema public, app, jobs, migration to portal_backup;
        grant select on all tables in schema public, app, jobs, migration to portal_backup;
        grant select on all sequences in schema public, app, jobs, migration to portal_backup;
        alter default privileges in schema public, app, jobs, migration grant select on tables to portal_backup;
        alter default privileges in schema public, app, jobs, migration grant select on sequences to portal_backup;
    """)
