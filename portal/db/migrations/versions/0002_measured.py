"""What a million tickets showed: counts from an index, one's own lines in copy without a function, and honest estimates.

And a table of the jobs that may be promised, so that a later migration adds one by a row.
"""

from alembic import op

from portal.db.migrations.words import replace, script

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    script("""
        -- with what is solved, but not what is closed: a list of its own, and counted on every page
        drop index ticket_company_open;
        create index ticket_company_open on ticket (tenant_id, company_id, changed_at desc, id desc) where queue_rank < 40;
        drop index ticket_queue;
        create index ticket_queue on ticket (tenant_id, queue_rank, changed_at, id) where queue_rank < 40;

        -- A company belongs to one tenant. Without knowing that, the planner takes the share of both for independent, believes
        -- that row security leaves a single row of a company's thousands, and reads all of them again for every row it joins.
        create statistics membership_place (dependencies) on tenant_id, company_id from membership;
        create statistics ticket_place (dependencies) on tenant_id, company_id from ticket;
        create statistics ticket_participant_place (dependencies) on tenant_id, company_id, user_id from ticket_participant;
        create statistics ticket_comment_place (dependencies) on tenant_id, company_id, ticket_id from ticket_comment;
        create statistics ticket_event_place (dependencies) on tenant_id, company_id, ticket_id from ticket_event;
        create statistics file_place (dependencies) on tenant_id, company_id, ticket_id from file;
        create statistics notification_place (dependencies) on tenant_id, company_id, user_id from notification;
    """)
    # their own lines without the function: the ticket's policy reads all of them
    op.execute("""
        alter policy client on ticket_participant using (
          tenant_id = (select app.tenant()) and company_id = (select app.company())
          and (user_id = (select app.person()) or app.may_see(ticket_id)))
    """)
    script("""
        create table app.task (name text primary key);
        insert into app.task values ('send_letter');
        grant select on app.task to portal_definer;
    """)
    replace("""
        create or replace function app.later(p_task text, p_args jsonb) returns void
        language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
        begin
          if app.tenant() is null then raise exception 'no context' using errcode = '42501'; end if;
          if not exists (select from app.task where name = p_task) then raise exception 'no such promise' using errcode = '42501'; end if;
          perform app.defer(app.tenant(), p_task, p_args);
        end $$;
    """)
