"""Whoever works does so with the rights they have now; and a search is not even led by what one may not see."""

from pathlib import Path

from alembic import op

from portal.db.migrations.words import hand_over, replace, script

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None

SQL = Path(__file__).parent / 'sql'


def upgrade() -> None:
    _entering()
    replace((SQL / '0012_search.sql').read_text())
    # of two tenants of the name that the operator named, the older one: nobody gets in front of another by a new name
    replace("""
        create or replace function app.tenant_for(p_host text, p_default text) returns jsonb
        language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
          select app.card(t) from tenant t
          where t.host = lower(p_host) or t.name = p_default or t.host = p_default or (select count(*) from tenant) = 1
          order by (t.host is not distinct from lower(p_host)) desc,
            (t.host is not distinct from p_default) desc, (t.name = p_default) desc, t.created_at, t.id
          limit 1 $$;
    """)


def _entering() -> None:
    """`p_rights`: the role that a page was built for, or the permissions of a tenant's own; null asks for none."""
    script("""
        create function app.enter_quietly(p_token bytea, p_company uuid, p_rights text) returns void
        language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
        declare me record; reach text; rights text;
        begin
          select * into me from app.live_session(p_token);
          if not found or session_user <> (case me.user_type when 'internal' then 'portal_staff' else 'portal_client' end) then
            raise exception 'no session' using errcode = '28000';
          end if;
          if me.user_type = 'internal' then
            p_company := null;
            reach := 'all';
            rights := coalesce(me.staff_role, (select array_to_string(r.permissions, ',') from role r
                                               where r.tenant_id = me.tenant_id and r.id = me.staff_role_id));
          else
            select app.reach_of(m.role, r.permissions), coalesce(m.role, array_to_string(r.permissions, ',')) into reach, rights
            from membership m join company c on c.tenant_id = m.tenant_id and c.id = m.company_id
              left join role r on r.tenant_id = m.tenant_id and r.id = m.role_id
            where m.tenant_id = me.tenant_id and m.user_id = me.user_id and m.company_id = p_company and m.ended_at is null
              and c.archived_at is null;
            if not found then raise exception 'no session' using errcode = '28000'; end if;
          end if;
          if p_rights <> rights then raise exception 'other rights' using errcode = '28000'; end if;
          perform app.set_context(me.tenant_id, p_company, me.user_id, reach);
        end $$;

        create function app.enter(p_token bytea, p_company uuid, p_rights text) returns void
        language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
        begin
          perform app.enter_quietly(p_token, p_company, p_rights);
          perform app.note_use(p_token);
        end $$;
    """)
    op.execute('revoke execute on function app.enter(bytea, uuid, text), app.enter_quietly(bytea, uuid, text) from public')
    op.execute(
        'grant execute on function app.enter(bytea, uuid, text), app.enter_quietly(bytea, uuid, text)'
        ' to portal_staff, portal_client, portal_definer'
    )
    replace("""
        create or replace function app.enter_quietly(p_token bytea, p_company uuid) returns void
        language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
        begin perform app.enter_quietly(p_token, p_company, null); end $$;
    """)
    hand_over()
