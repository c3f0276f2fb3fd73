"""The schema lint: what must hold of every table, function and role for isolation to stand. Run at start and in tests.

Each check is a query that answers with sentences, one per fault.
"""

import psycopg

CHECKS = {
    'row security on and forced': """
        select format('table %s has no forced row security', c.relname) from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not (c.relrowsecurity and c.relforcerowsecurity)""",
    'policies': """
        select format('table %s grants %s to %s, which no policy narrows', c.relname, a.privilege_type, r.rolname)
        from pg_class c cross join lateral aclexplode(c.relacl) a join pg_roles r on r.oid = a.grantee
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and r.oid <> c.relowner
          and not exists (select from pg_policy p where p.polrelid = c.oid and r.oid = any (p.polroles)
            and p.polcmd in ('*', case a.privilege_type when 'SELECT' then 'r' when 'INSERT' then 'a' when 'UPDATE' then 'w'
                                                        when 'DELETE' then 'd' else '?' end))""",
    'column rights': """
        select format('column %s.%s grants %s to %s, which no policy narrows', c.relname, t.attname, a.privilege_type, r.rolname)
        from pg_class c join pg_attribute t on t.attrelid = c.oid cross join lateral aclexplode(t.attacl) a
          join pg_roles r on r.oid = a.grantee
        where c.relnamespace = 'public'::regnamespace
          and not exists (select from pg_policy p where p.polrelid = c.oid and r.oid = any (p.polroles)
            and p.polcmd in ('*', case a.privilege_type when 'SELECT' then 'r' when 'INSERT' then 'a' else 'w' end))""",
    'policies ask for the tenant': """
        select format('policy %s on %s does not ask for the tenant', p.polname, c.relname)
        from pg_policy p join pg_class c on c.oid = p.polrelid
        where p.polroles <> '{portal_backup}'::regrole[]::oid[] and not 'portal_definer'::regrole = any (p.polroles)
          and coalesce(pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) not like '%app.tenant()%'""",
    'policies of clients ask for more than the tenant': """
        select format('policy %s on %s lets clients see more than one company', p.polname, c.relname)
        from pg_policy p join pg_class c on c.oid = p.polrelid
        where 'portal_client'::regrole = any (p.polroles) and c.relname not in ('tenant', 'role', 'users')
          and coalesce(pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) not like '%app.company()%'""",
    'no rights for everybody': """
        select format('%s is open to PUBLIC', c.relname) from pg_class c cross join lateral aclexplode(c.relacl) a
        where c.relnamespace in ('public'::regnamespace, 'app'::regnamespace, 'jobs'::regnamespace) and a.grantee = 0
        union all
        select format('function %s is open to PUBLIC', p.oid::regprocedure) from pg_proc p
        where p.pronamespace in ('app'::regnamespace, 'jobs'::regnamespace) and p.prorettype <> 'trigger'::regtype
          and (p.proacl is null or exists (select from aclexplode(p.proacl) a where a.grantee = 0))""",
    'definer functions': """
        select format('function %s has no fixed search_path', p.oid::regprocedure) from pg_proc p
        where p.pronamespace = 'app'::regnamespace and p.prosecdef
          and not exists (select from unnest(p.proconfig) s where s like 'search_path=%pg_temp')
        union all
        select format('function %s belongs to %s, not to portal_definer', p.oid::regprocedure, r.rolname)
        from pg_proc p join pg_roles r on r.oid = p.proowner
        where p.pronamespace in ('app'::regnamespace, 'public'::regnamespace) and p.prosecdef and r.rolname <> 'portal_definer'""",
    'tenant in every key between tables': """
        select format('foreign key %s on %s does not carry the tenant', k.conname, c.relname)
        from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_class f on f.oid = k.confrelid
        where k.contype = 'f' and c.relnamespace = 'public'::regnamespace and f.relname <> 'tenant'
          and not exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and a.attnum = any (k.conkey))
        union all
        select format('foreign key %s on %s does not carry the company', k.conname, c.relname)
        from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_class f on f.oid = k.confrelid
        where k.contype = 'f' and c.relnamespace = 'public'::regnamespace
          and exists (select from pg_attribute a where a.attrelid = f.oid and a.attname = 'company_id' and a.attnotnull)
          and not exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'company_id' and a.attnum = any (k.conkey))""",
    'every id leads somewhere': """
        select format('column %s.%s has no foreign key', c.relname, a.attname)
        from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attname like '%\\_id' and a.atttypid = 'uuid'::regtype
          and not exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'f' and a.attnum = any (k.conkey))
          and (c.relname, a.attname) not in (('audit', 'subject_id'))""",
    'tenant in every unique key': """
        select format('unique key %s on %s reveals what other tenants have', i.relname, c.relname)
        from pg_index x join pg_class c on c.oid = x.indrelid join pg_class i on i.oid = x.indexrelid
        where c.relnamespace = 'public'::regnamespace and x.indisunique and not x.indisprimary
          and c.relname <> 'tenant' and i.relname <> 'file_stored_as_key'  -- a random name made by the server
          and not exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and a.attnum = any (x.indkey))""",
    'every table knows its tenant': """
        select format('table %s has no tenant_id that must be filled', c.relname) from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relname not in ('tenant', 'attempt')
          and not exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and a.attnotnull)""",
    'no way around': """
        select format('materialized view %s leaks', c.relname) from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'm'
        union all
        select format('view %s is not a security invoker', c.relname) from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'v' and not coalesce(c.reloptions @> '{security_invoker=true}', false)""",
    'powers of the roles': """
        select format('role %s has powers it must not have', rolname) from pg_roles
        where rolname in ('portal_owner', 'portal_staff', 'portal_client', 'portal_door', 'portal_worker', 'portal_backup', 'portal_definer')
          and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication or rolname = 'portal_definer' and rolcanlogin)
        union all
        select format('role %s owns %s', r.rolname, c.relname) from pg_class c join pg_roles r on r.oid = c.relowner
        where c.relnamespace in ('public'::regnamespace, 'app'::regnamespace) and r.rolname <> 'portal_owner'
        union all
        select format('role %s is a member of %s', m.rolname, g.rolname)
        from pg_auth_members x join pg_roles m on m.oid = x.member join pg_roles g on g.oid = x.roleid
        where m.rolname in ('portal_staff', 'portal_client', 'portal_door', 'portal_worker', 'portal_backup', 'portal_definer')""",
    'the backup sees every row and changes none': """
        select format('table %s is not whole in a backup', c.oid::regclass) from pg_class c
        where c.relnamespace in ('public'::regnamespace, 'app'::regnamespace, 'jobs'::regnamespace) and c.relkind in ('r', 'p')
          and not (has_table_privilege('portal_backup', c.oid, 'select') and (not c.relrowsecurity
            or exists (select from pg_policy p where p.polrelid = c.oid and p.polroles = '{portal_backup}'::regrole[]::oid[]
              and p.polcmd = 'r' and p.polpermissive and pg_get_expr(p.polqual, p.polrelid) = 'true')
            and not exists (select from pg_policy p where p.polrelid = c.oid and not p.polpermissive
              and p.polroles && array[0, 'portal_backup'::regrole::oid])))
        union all
        select format('table %s grants %s to portal_backup', c.oid::regclass, a.privilege_type)
        from pg_class c cross join lateral aclexplode(c.relacl) a
        where a.grantee = 'portal_backup'::regrole and a.privilege_type <> 'SELECT'""",
    'sides reach their own functions alone': """
        select format('%s may call %s', r.rolname, p.oid::regprocedure)
        from pg_proc p cross join lateral aclexplode(p.proacl) a join pg_roles r on r.oid = a.grantee
        where p.pronamespace = 'app'::regnamespace and p.proname in ('seal', 'set_context', 'defer', 'write_audit', 'live_session')
          and r.rolname <> 'portal_definer'""",
}


def problems(conninfo: str) -> list[str]:
    """One sentence for each fault; none is good. `conninfo` as the owner."""
    with psycopg.connect(conninfo) as connection:
        return [row[0] for check in CHECKS.values() for row in connection.execute(check).fetchall()]  # pyright: ignore
