"""Foundation: tables, isolation, the job queue."""

from importlib.resources import files
from pathlib import Path

from alembic import op

from portal.db.migrations.words import Side, definer, protect, script

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None

SQL = Path(__file__).parent / 'sql'
OURS = 'company_id = (select app.company())'
# a ticket a client may see: asked for or in copy, or the company's where the role reaches that far
SEEN = (
    f"{OURS} and (requester_id = (select app.person()) or (visibility = 'company' and (select app.reach()) = 'company')"
    ' or id in (select p.ticket_id from ticket_participant p where p.user_id = (select app.person())))'
)
# OFFSET 0: else the planner may choose to read all tickets of the company first, to ask for a few of them (70 ms instead of 1)
OF_SEEN = f'{OURS} and exists (select from ticket t where t.id = ticket_id offset 0)'
DOOR = (
    'tenant_for(text, text)', 'any_tenant()', 'whoami(bytea)', 'door(uuid, text, text)',
    'open_session(bytea, uuid, uuid, text)', 'end_session(bytea)', 'attempt(bytea, integer, integer)', 'failures(bytea)',
    'attempt_was_good(bytea, boolean)', 'failed_sign_in(uuid, uuid)', 'ask_reset(uuid, text, text, text)',
    'person_for_reset(uuid, uuid)', 'set_password(uuid, uuid, text, text)', 'rehash(uuid, text, text)',
    'found(uuid, text, text, text, text, uuid, text, text, text)',
)  # fmt: skip


def upgrade() -> None:
    op.execute('create extension if not exists btree_gin')
    script((SQL / '0001_context.sql').read_text())
    script((SQL / '0001_tables.sql').read_text())
    script('create schema jobs; set local search_path = jobs;' + (files('procrastinate') / 'sql' / 'schema.sql').read_text())
    script('set local search_path = public')
    script((SQL / '0001_functions.sql').read_text())
    _policies()
    _functions()


def _policies() -> None:
    read, write = 'select', 'select, insert, update'
    protect('tenant', Side('staff', read), Side('client', read), Side('worker', read), key='id')
    protect('company', Side('staff', write), Side('client', read, 'id = (select app.company())'), Side('worker', read))
    protect('role', Side('staff', write), Side('client', read, "user_type = 'client'"), Side('worker', read))
    protect(
        'users',
        Side('staff', write),
        Side('client', read, "(user_type = 'internal' or exists (select from membership m where m.user_id = users.id))"),
        # only about themselves, and only what they may choose
        Side('client', 'update (name, language, timezone, theme, mail_off)', 'id = (select app.person())', name='client_self',
             command='update'),
        Side('worker', read),
    )  # fmt: skip
    protect('membership', Side('staff', write), Side('client', read, OURS), Side('worker', read))
    protect(
        'ticket',
        Side('staff', write),
        Side('client', read, SEEN, command='select'),
        Side('client', 'update (status, changed_at, closed_at, last_comment_id)', SEEN, name='client_changes', command='update'),
        Side(
            'client', 'insert', f'{OURS} and requester_id = (select app.person()) and author_id = (select app.person())',
            name='client_opens', command='insert',
        ),
        Side('worker', read),
    )  # fmt: skip
    by_me = 'author_id = (select app.person())'
    protect(
        'ticket_comment',
        Side('staff', 'select, insert'),
        Side('client', read, f'{OF_SEEN} and not is_internal', command='select'),
        Side('client', 'insert', f'{OF_SEEN} and not is_internal and {by_me}', name='client_says', command='insert'),
        Side('worker', read, 'not is_internal'),  # so that no letter can ever carry a note
    )
    protect(
        'ticket_event',
        Side('staff', 'select, insert'),
        Side('client', read, f'{OF_SEEN} and not is_internal', command='select'),
        Side('client', 'insert', f'{OF_SEEN} and not is_internal and actor_id = (select app.person())',
             name='client_does', command='insert'),
    )  # fmt: skip
    # not through the ticket's policy: that one asks here who is in copy
    protect(
        'ticket_participant',
        Side('staff', 'select, insert, delete'),
        Side('client', read, f'{OURS} and app.may_see(ticket_id)', command='select'),
        Side('client', 'insert', f'{OURS} and app.may_see(ticket_id) and added_by_id = (select app.person())',
             name='client_shares', command='insert'),
        Side('worker', read),
    )  # fmt: skip
    protect(
        'file',
        Side('staff', write),
        Side('client', read, f'{OF_SEEN} and not is_internal', command='select'),
        Side('client', 'insert', f'{OF_SEEN} and not is_internal and {by_me}', name='client_attaches', command='insert'),
    )
    mine = 'user_id = (select app.person())'
    protect(
        'notification',
        Side('staff', 'insert', command='insert', name='staff_tells'),
        Side('staff', 'select, update (seen_at)', mine),
        Side('client', 'insert', f'{OF_SEEN} and actor_id = (select app.person())', command='insert', name='client_tells'),
        Side('client', 'select, update (seen_at)', f'{OURS} and {mine}'),
    )
    protect(
        'mail_outbox',
        Side('staff', 'select, insert'),
        Side('client', 'insert', f'{OF_SEEN} and actor_id = (select app.person())', command='insert'),
        Side('worker', 'select, update, insert'),
    )
    protect('audit', Side('staff', read))
    for closed in ('credential', 'session', 'attempt', 'counter'):
        protect(closed)


def _functions() -> None:
    definer(
        {
            'tenant': 'select, insert', 'company': 'select', 'role': 'select', 'users': 'select, insert, update',
            'membership': 'select', 'credential': 'select, insert, update', 'session': 'select, insert, update, delete',
            'attempt': 'select, insert, update, delete', 'counter': 'select, insert, update',
            'ticket': 'select', 'ticket_participant': 'select', 'audit': 'insert',
        },
        everyone=('context()', 'tenant()', 'company()', 'person()', 'reach()'),
        door=DOOR,
        staff=('enter(bytea, uuid)', 'enter_quietly(bytea, uuid)', 'later(text, jsonb)', 'next_number(text)', 'record(text, uuid, uuid, jsonb)',
               'search_tickets(text, integer)'),
        client=('enter(bytea, uuid)', 'enter_quietly(bytea, uuid)', 'later(text, jsonb)', 'next_number(text)', 'record(text, uuid, uuid, jsonb)',
                'search_tickets(text, integer)', 'may_see(uuid)'),
        worker=('enter_job(bigint)', 'later(text, jsonb)', 'record(text, uuid, uuid, jsonb)', 'password_mark(uuid, uuid)', 'tidy()'),
    )  # fmt: skip
    script("""
        grant select on app.secret to portal_definer;
        grant usage on schema jobs to portal_worker, portal_definer;
        grant all on all tables in schema jobs to portal_worker;
        grant all on all sequences in schema jobs to portal_worker, portal_definer;
        grant select, insert on jobs.procrastinate_jobs, jobs.procrastinate_events to portal_definer;
        revoke execute on all functions in schema jobs from public;
        grant execute on all functions in schema jobs to portal_worker, portal_definer;
    """)
