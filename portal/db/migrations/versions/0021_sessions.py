"""Sessions that people see and end, letters about new devices, how long a session lasts for whom, and who sees a ticket."""

from pathlib import Path

from alembic import op

from portal.db.migrations.words import Side, hand_over, protect, replace, script, unforced

revision = '0021'
down_revision = '0020'
branch_labels = None
depends_on = None

SQL = Path(__file__).parent / 'sql'
OWN = (
    'my_sessions()',
    'my_limits()',
    'end_my_session(uuid)',
    'end_my_other_sessions()',
    'disown_my_sessions()',
    'sign_out_person(uuid)',
)
DOOR = (
    'open_session(bytea, uuid, uuid, text, text[], bytea, boolean, timestamptz)',
    'session_left(bytea)',
    'stay(bytea)',
    'device_mark(uuid, uuid)',
)
WORKER = ('announce_session(uuid)', 'session_facts(uuid, uuid)', 'disowned_removed(uuid)')
INTERNAL = ('limits_of(uuid, uuid)',)


def upgrade() -> None:
    _columns()
    _limits()
    script((SQL / '0021_sessions.sql').read_text())
    op.execute('drop function app.open_session(bytea, uuid, uuid, text, text[], bytea)')
    for signature in {*OWN, *DOOR, *WORKER, *INTERNAL}:
        op.execute(f'revoke execute on function app.{signature} from public')
        op.execute(f'grant execute on function app.{signature} to portal_definer')
    for sides, signatures in (('portal_staff, portal_client', OWN), ('portal_door', DOOR), ('portal_worker', WORKER)):
        for signature in signatures:
            op.execute(f'grant execute on function app.{signature} to {sides}')
    op.execute('grant delete on credential to portal_definer')
    _who_sees()
    hand_over()
    replace((SQL / '0021_replaced.sql').read_text())


def _columns() -> None:
    script("""
        alter table session add column announced_at timestamptz,  -- when its person was told of a new device
          add column device_known boolean not null default false;  -- its browser had proved to be this person's
        alter table users add column devices_since timestamptz;  -- what browsers knew of them before counts no more
        grant update (devices_since) on users to portal_definer;
        alter table mail_outbox add column session_id uuid,
          add foreign key (tenant_id, session_id) references session (tenant_id, id);
    """)


def _limits() -> None:
    """`tenant.idle_minutes` and `session_hours` are those of clients from here on."""
    script("""
        alter table tenant add column staff_idle_minutes integer not null default 480 check (staff_idle_minutes > 0),
          add column staff_session_hours integer not null default 168 check (staff_session_hours > 0);
        create table session_limit (
          company_id uuid primary key,
          tenant_id uuid not null default app.tenant(),
          idle_minutes integer check (idle_minutes > 0),
          session_hours integer check (session_hours > 0),
          changed_at timestamptz not null default now(),
          check (idle_minutes is not null or session_hours is not null),
          foreign key (tenant_id, company_id) references company (tenant_id, id)
        );
        grant select on session_limit to portal_definer;
        create policy definer on session_limit to portal_definer using (true) with check (true);
        grant update (staff_idle_minutes, staff_session_hours) on tenant to portal_staff;
    """)
    with unforced('tenant'):
        op.execute('update tenant set staff_idle_minutes = idle_minutes, staff_session_hours = session_hours')
    decides = "(select app.may('access.manage'))"
    protect(
        'session_limit',
        Side('staff', 'select'),
        Side('staff', 'insert', decides, command='insert', name='staff_adds'),
        Side('staff', 'update', decides, command='update', name='staff_changes'),
        Side('staff', 'delete', decides, command='delete', name='staff_removes'),
    )


def _who_sees() -> None:
    """With the rights of whoever asks: what they may not read of people and tickets has no part in the answer."""
    script((SQL / '0021_who_sees.sql').read_text())
    for function in ('who_sees(uuid)', 'who_reaches(uuid)'):
        op.execute(f'revoke execute on function app.{function} from public')
        op.execute(f'grant execute on function app.{function} to portal_staff, portal_client, portal_definer')
    op.execute('grant execute on function app.reach_of(text, text[]) to portal_staff, portal_client')
