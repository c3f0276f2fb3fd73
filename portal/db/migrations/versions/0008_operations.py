"""What an operator and an MSP admin must know: facts of the installation, jobs, mail; and the tenant's own settings."""

from alembic import op

from portal.db.migrations.words import hand_over, script

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    _facts()
    _questions()
    _tenant()
    hand_over()


def _facts() -> None:
    """Of the whole installation, and of no tenant: when the last backup was made."""
    script("""
        create table if not exists app.fact (name text primary key, value jsonb not null, at timestamptz not null default now());
        grant select, insert, update on app.fact to portal_definer;
        grant usage on schema migration to portal_definer;
        grant select on migration.alembic_version to portal_definer;
        grant select on jobs.procrastinate_workers to portal_definer;
        grant update on jobs.procrastinate_jobs to portal_definer;
        grant select (state, created_at) on mail_outbox to portal_definer;
        create policy definer on mail_outbox for select to portal_definer using (true);

        create function app.recall(p_name text) returns jsonb
        language sql stable security definer set search_path = pg_catalog, pg_temp as $$
          select jsonb_build_object('value', value, 'at', extract(epoch from at)) from app.fact where name = p_name $$;

        create function app.remember(p_name text, p_value jsonb) returns void
        language sql security definer set search_path = pg_catalog, pg_temp as $$
          insert into app.fact (name, value) values (p_name, p_value)
          on conflict (name) do update set value = excluded.value, at = now() $$;
    """)


def _questions() -> None:
    script("""
        -- Seconds since a worker was last heard of; null: none ever was.
        create function app.worker_silence() returns double precision
        language sql stable security definer set search_path = pg_catalog, pg_temp as $$
          select extract(epoch from clock_timestamp() - max(last_heartbeat)) from jobs.procrastinate_workers $$;

        -- For /readyz: the version of the tables, and whether somebody works.
        create function app.pulse() returns jsonb
        language sql stable security definer set search_path = pg_catalog, pg_temp as $$
          select jsonb_build_object('version', (select version_num from migration.alembic_version),
                                    'worker_silence', app.worker_silence()) $$;

        -- For /metrics: of the whole installation. Only the worker's role may ask.
        create function app.gauges() returns jsonb
        language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
          select jsonb_build_object(
            'jobs_waiting', (select count(*) from jobs.procrastinate_jobs where status = 'todo'),
            'jobs_failed', (select count(*) from jobs.procrastinate_jobs where status = 'failed'),
            'letters_stuck', (select count(*) from mail_outbox where state = 'waiting' and created_at < now() - interval '15 minutes'),
            'letters_failed', (select count(*) from mail_outbox where state = 'failed'),
            'last_backup', app.recall('last_backup') -> 'at',
            'worker_silence', app.worker_silence()) $$;

        -- For the page of an MSP admin: what is theirs, and of the installation what tells nothing about other tenants. Whether
        -- there are any is part of it.
        create function app.health() returns jsonb
        language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp as $$
        declare t uuid := app.tenant(); alone boolean;
        begin
          if t is null then raise exception 'no context' using errcode = '42501'; end if;
          select count(*) = 1 into alone from tenant;
          return jsonb_build_object(
            'alone', alone,
            'server', current_setting('server_version'),
            'now', extract(epoch from clock_timestamp()),
            'last_backup', app.recall('last_backup') -> 'at',
            'worker_silence', app.worker_silence(),
            'waiting', (select count(*) from jobs.procrastinate_jobs where status = 'todo' and args ->> 'tenant' = t::text),
            'late', (select count(*) from jobs.procrastinate_jobs j where status = 'todo' and args ->> 'tenant' = t::text
                     and scheduled_at is null and exists (select from jobs.procrastinate_events e
                       where e.job_id = j.id and e.at < now() - interval '5 minutes')),
            'failed', (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'task', task_name, 'attempts', attempts, 'at', at)
                                                 order by id desc), '[]')
                       from (select j.id, j.task_name, j.attempts,
                               (select extract(epoch from max(e.at)) from jobs.procrastinate_events e where e.job_id = j.id) as at
                             from jobs.procrastinate_jobs j where status = 'failed' and args ->> 'tenant' = t::text
                             order by j.id desc limit 50) f));
        end $$;

        -- A failed job of this tenant, from its beginning. False: it is not there, not theirs, or not failed (any more).
        create function app.run_again(p_job bigint) returns boolean
        language plpgsql security definer set search_path = jobs, pg_catalog, pg_temp as $$
        begin
          if app.tenant() is null then raise exception 'no context' using errcode = '42501'; end if;
          update procrastinate_jobs set status = 'todo', attempts = 0, scheduled_at = null, abort_requested = false
          where id = p_job and status = 'failed' and args ->> 'tenant' = app.tenant()::text;
          return found;
        end $$;
        create index procrastinate_jobs_failed on jobs.procrastinate_jobs (id) where status = 'failed';

        revoke execute on function app.recall(text), app.remember(text, jsonb), app.worker_silence(), app.pulse(), app.gauges(),
          app.health(), app.run_again(bigint) from public;
        grant execute on function app.recall(text), app.remember(text, jsonb), app.gauges() to portal_worker;
        grant execute on function app.pulse(), app.recall(text) to portal_door;
        grant execute on function app.health(), app.run_again(bigint) to portal_staff;
        grant execute on function app.recall(text), app.worker_silence() to portal_definer;
    """)


def _tenant() -> None:
    op.execute("""
        create policy staff_changes on tenant for update to portal_staff using (id = (select app.tenant()))
    """)
    op.execute("""
        grant update (name, short_name, host, accent, phone, phone_hours, language, timezone, idle_minutes, session_hours,
                      reopen_days) on tenant to portal_staff
    """)
