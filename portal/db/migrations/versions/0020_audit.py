"""The audit log says from where and in whose place, is sealed in a chain, forgets by rule; staff may look as a client does."""

from pathlib import Path

from alembic import op

from portal.db.migrations.words import Side, hand_over, protect, replace, script

revision = '0020'
down_revision = '0019'
branch_labels = None
depends_on = None

SQL = Path(__file__).parent / 'sql'
OURS = 'company_id = (select app.company())'
#: What concerns the company: not of staff among themselves, of notes, of private tickets that one may not see oneself.
TICKET = 'exists (select from ticket t where t.id = {} offset 0)'  # by its own policy
# `case`, not `and`: what is not asked is not computed, for lines of which there may be a million
# ways in that were taken away may name another company's provider: such a line is told to none
PERSON = f"""exists (select from membership m where m.user_id = subject_id and m.{OURS} and m.created_at <= at
        and (m.ended_at is null or m.ended_at >= at) offset 0)"""
ROLE = f"""exists (select from membership m where m.role_id = subject_id and m.{OURS} and m.created_at <= at
        and (m.ended_at is null or m.ended_at >= at) offset 0)"""
TOLD = f"""(select app.may('audit.see')) and app.told(action) is not null and case
    when company_id is null then case app.told(action) when 'person' then not detail ? 'removed' and {PERSON} when 'role' then {ROLE} else false end
    when {OURS} then case app.told(action)
      when 'company' then not coalesce(detail -> 'fields' ? 'note', false)
      when 'ticket' then {TICKET.format('subject_id')}
      when 'file' then exists (select from file f where f.id = subject_id offset 0)
      when 'viewing' then case when detail ->> 'ticket' is null then true else {TICKET.format("(detail ->> 'ticket')::uuid")} end
      else app.told(action) in ('person', 'there') end
    else false end"""
COLUMNS = 'id, tenant_id, company_id, at, actor_id, action, subject_id, detail, as_user_id'
INTERNAL = (
    'add_audit(uuid, uuid, uuid, text, uuid, jsonb, uuid, text, uuid)', 'audit_digest(audit)', 'seal_hash(bytea, uuid, integer, timestamptz, uuid[], bytea[])',
    'live_viewing(bytea, uuid, text)', 'end_viewings(uuid, uuid, text)', 'told(text)', 'kept_as(text)',
)  # fmt: skip
CALLERS = {
    'door': ('viewing_of(bytea, text)', 'note_viewing(bytea, uuid, text, jsonb)', 'stop_viewing(bytea)', 'denied(bytea, text)'),
    'staff': ('begin_viewing(uuid, uuid, text)', 'note_private(uuid[], text)'),
    'client': ('enter_viewing(bytea, uuid, text, boolean)', 'told(text)'),
    'worker': ('seal_audit()', 'forget_audit()', 'over_viewings()'),
}


def upgrade() -> None:
    _audit()
    _chain()
    _viewing()
    for function in (*INTERNAL, *(f for functions in CALLERS.values() for f in functions)):
        op.execute(f'revoke execute on function app.{function} from public')
        op.execute(f'grant execute on function app.{function} to portal_definer')
    for who, functions in CALLERS.items():
        for function in functions:
            op.execute(f'grant execute on function app.{function} to portal_{who}')
    hand_over()
    replace((SQL / '0020_replaced.sql').read_text())


def _audit() -> None:
    script("""
        alter table audit
          add column session uuid,  -- in which it was done; no key: sessions are forgotten sooner
          add column network text,  -- from where: the first part of the address
          add column as_user_id uuid,  -- a client in whose place somebody of the staff looked
          add foreign key (tenant_id, as_user_id) references users (tenant_id, id);
        drop index audit_newest;
        create index audit_newest on audit (tenant_id, at desc, id desc);
        create index audit_of_company on audit (tenant_id, company_id, at desc, id desc);
        create index audit_of_actor on audit (tenant_id, actor_id, at desc, id desc);
        create index audit_of_subject on audit (tenant_id, subject_id, at desc, id desc);
        create index audit_of_person on audit (tenant_id, subject_id, at desc, id desc) where company_id is null;
        create index audit_of_action on audit (tenant_id, action, at desc, id desc);
        create index audit_of_network on audit (tenant_id, network, at desc, id desc) where network is not null;
        alter table session add column network text;
        alter table tenant
          add column keep_signins_days integer not null default 180 check (keep_signins_days between 30 and 3650),
          add column keep_reading_days integer not null default 365 check (keep_reading_days between 90 and 3650),
          add column keep_changes_days integer not null default 1095 check (keep_changes_days between 365 and 7300);
    """)
    # nobody changes a line; what goes by the tenant's rule goes inside `app.forget_audit`
    script("""
        create or replace function app.refuse_change() returns trigger language plpgsql as $$
        begin
          if tg_op = 'DELETE' and tg_table_name = 'audit' and current_user = 'portal_definer'
             and current_setting('app.forgetting', true) = 'audit' then
            return null;
          end if;
          raise exception 'the audit log is not changed' using errcode = '42501';
        end $$;
    """)
    op.execute('grant update (keep_signins_days, keep_reading_days, keep_changes_days) on tenant to portal_staff')
    script((SQL / '0020_audit.sql').read_text())
    # what client admins hear of, so that the rest is not gone through for it
    script("""
        create index audit_told on audit (tenant_id, company_id, at desc, id desc) where app.told(action) is not null;
        create index audit_told_action on audit (tenant_id, company_id, action, at desc, id desc) where app.told(action) is not null;
    """)
    op.execute(f"""create policy client on audit for select to portal_client
        using (tenant_id = (select app.tenant()) and {TOLD})""")
    op.execute(f'grant select ({COLUMNS}) on audit to portal_client')
    script('grant select, delete on audit to portal_definer')


def _chain() -> None:
    script((SQL / '0020_chain.sql').read_text())
    protect('audit_waiting')
    protect('audit_seal', Side('staff', 'select'))
    protect('audit_removed')
    for table, rights in {
        'audit_waiting': 'select, insert, delete',
        'audit_seal': 'select, insert',
        'audit_removed': 'select, insert',
    }.items():
        op.execute(f'grant {rights} on {table} to portal_definer')
        op.execute(f'create policy definer on {table} to portal_definer using (true) with check (true)')
    # what was written before the chain began is sealed with its first block
    script("""
        alter table audit no force row level security;
        alter table audit_waiting no force row level security;
        insert into audit_waiting (line, tenant_id) select id, tenant_id from audit on conflict do nothing;
        alter table audit_waiting force row level security;
        alter table audit force row level security;
    """)


def _viewing() -> None:
    script((SQL / '0020_viewing.sql').read_text())
    protect('viewing', Side('staff', 'select', 'staff_id = (select app.person())'))
    op.execute('grant select, insert, update on viewing to portal_definer')
    op.execute('create policy definer on viewing to portal_definer using (true) with check (true)')
    # Whoever looks in a client's place sees no private ticket, not even as one in it, and nothing that is the person's own.
    here = f'tenant_id = (select app.tenant()) and {OURS}'
    closed = {
        'ticket': "visibility = 'company'", 'file': 'ticket_id is not null', 'draft': 'false', 'notification': 'false',
        'export': 'false', 'export_part': 'false', 'ticket_participant': 'app.may_see(ticket_id)',
    }  # fmt: skip
    for table, seen in closed.items():
        op.execute(f"""create policy viewing on {table} as restrictive for select to portal_client
            using ({here} and ((select app.viewer()) is null or {seen}))""")
