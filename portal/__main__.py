"""`python -m portal`: what an operator does beside starting the portal, with the same settings."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from portal import audit, doctor
from portal.backup.commands import backup, backup_options, restore, restore_options
from portal.settings import Settings, WrongSetting, as_found, as_markdown, load

if TYPE_CHECKING:
    from portal.db.server import Cluster

T = TypeVar('T')

WITH_PROBLEMS, NOT_ALLOWED = 1, 2  # exit status


def main() -> int:
    arguments = vars(_parser().parse_args())
    do = arguments.pop('do')
    from portal.db.errors import CannotStart

    try:
        return do(load(), **arguments)
    except (WrongSetting, CannotStart) as e:
        print(e, file=sys.stderr)
        return WITH_PROBLEMS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m portal',
        description='What an operator does beside starting the portal.',
        epilog='Settings come from the environment, as for the portal itself. `PORTAL_DEMO=1 python -m portal …` means the demo.',
    )
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    _add(commands, 'worker', worker, 'do background jobs in this process, beside those of the portal')
    backup_options(
        _add(commands, 'backup', backup, 'keep database and files in one archive; also while the portal runs', options=True)
    )
    restore_options(
        _add(commands, 'restore', restore, 'put an archive back, into an empty data folder and database', options=True)
    )
    doctor.options(
        _add(
            commands,
            'doctor',
            doctor.doctor,
            'say what is in order, what is not, and what to do; exit with 1 if something is not',
            options=True,
        )
    )
    trail = commands.add_parser('audit', help='the audit log').add_subparsers(required=True, metavar='COMMAND')
    audit.options(
        _add(trail, 'verify', verify, 'walk the chain that seals the audit log; exit with 1 at the first break', options=True)
    )
    shown = _add(commands, 'settings', show_settings, 'show every setting as it is now; secrets are not shown')
    shown.add_argument('--markdown', action='store_true', help='print docs/settings.md instead')
    _add(commands, 'reseal', reseal, 'encrypt secret fields anew with the present PORTAL_SECRET_KEY, after it was changed')
    off = _add(commands, 'sso-off', sso_off, 'let people come in with passwords again who had to come by single sign-on')
    off.add_argument('what', help='“staff”, or the short name of a company as it stands in its address')
    off.add_argument('--tenant', help='the provider (its name or host), where several use this portal')
    db = commands.add_parser('db', help='the database').add_subparsers(required=True, metavar='COMMAND')
    _add(
        db,
        'setup',
        setup,
        'create or repair the roles; where that is not allowed, print the SQL for an administrator and exit with 2',
    )
    _add(db, 'sql', show_sql, 'print the SQL that creates the roles, for an administrator to run')
    _add(db, 'migrate', migrate, 'bring the database to the version of this portal (its start does that, too)')
    _add(db, 'lint', lint, 'check that every table is closed to those it does not concern; exit with 1 if not')
    _add(db, 'psql', psql, 'a shell on the database, as its owner; also while the portal runs')
    return parser


def _add(commands: Any, name: str, do: Callable[..., int], purpose: str, *, options: bool = False) -> argparse.ArgumentParser:
    """`do` gets the settings, and what was typed by name; with `options` all of that in one."""
    parser = commands.add_parser(name, help=purpose, description=purpose)
    parser.set_defaults(do=(lambda settings, **typed: do(settings, argparse.Namespace(**typed))) if options else do)  # pyright: ignore
    return parser


def worker(settings: Settings) -> int:
    from portal.jobs.worker import main as work

    work(settings)
    return 0


def show_settings(settings: Settings, *, markdown: bool) -> int:
    print(as_markdown() if markdown else as_found(settings), end='')
    return 0


def setup(settings: Settings) -> int:
    from portal.db.errors import RolesMissing

    try:
        where = with_cluster(settings, lambda cluster: f'PostgreSQL {cluster.server_version}, database {cluster.database}')
    except RolesMissing as e:
        print(e, file=sys.stderr)
        show_sql(settings)
        return NOT_ALLOWED
    print(f'The roles are ready ({where}).')
    return 0


def show_sql(settings: Settings) -> int:
    from psycopg.conninfo import conninfo_to_dict

    from portal.db import roles

    if not settings.database_url:
        print('DATABASE_URL is not set, and the portal’s own database needs no administrator.', file=sys.stderr)
        return NOT_ALLOWED
    parts = conninfo_to_dict(settings.database_url)
    user = str(parts['user']) if 'user' in parts else None
    print(roles.sql_for_admin(str(parts.get('dbname') or user), settings.secret, user), end='')
    return 0


def migrate(settings: Settings) -> int:
    from portal.db.migrate import NewerDatabase, upgrade

    try:
        changed = with_cluster(settings, upgrade)
    except NewerDatabase as e:
        print(e, file=sys.stderr)
        return WITH_PROBLEMS
    print('The database is up to date now.' if changed else 'The database was up to date.')
    return 0


def lint(settings: Settings) -> int:
    from portal.db.lint import problems

    found = with_cluster(settings, lambda cluster: problems(cluster.conninfo('portal_owner')))
    print('\n'.join(found) or 'No problems.')
    return WITH_PROBLEMS if found else 0


def reseal(settings: Settings) -> int:
    from portal.db import resealing
    from portal.sealing import CannotUnseal

    try:
        changed = with_cluster(settings, lambda cluster: resealing.reseal(cluster, settings))
    except CannotUnseal:
        print('Nothing was changed: there are fields that none of the keys opens. Add the one before to PORTAL_OLD_SECRET_KEYS.',
              file=sys.stderr)  # fmt: skip
        return WITH_PROBLEMS
    print(f'Encrypted anew: {changed}. No field needs an old key any more.')
    return 0


def sso_off(settings: Settings, *, what: str, tenant: str | None) -> int:
    import psycopg

    def ask(cluster: 'Cluster') -> int:
        with psycopg.connect(cluster.conninfo('portal_owner')) as connection:
            connection.execute('set local role portal_definer')  # the function is its own, and of no side
            row = connection.execute('select app.sso_off(%s, %s)', (tenant, what)).fetchone()
            return row[0] if row else 0

    if not (changed := with_cluster(settings, ask)):
        print(f'Nothing was changed: for {what} nobody has asked for single sign-on only.', file=sys.stderr)
        return WITH_PROBLEMS
    print(f'Passwords count again for {what}' + (f', at {changed} providers.' if changed > 1 else '.'))
    return 0


def verify(settings: Settings, options: argparse.Namespace) -> int:
    found = with_cluster(
        settings, lambda cluster: audit.verify_all(cluster.conninfo('portal_backup'), options.tenant, options.noted)
    )
    print('\n'.join(map(audit.as_words, found)) if found else 'There is no such tenant.')
    return WITH_PROBLEMS if not found or any(told.problems for told in found) else 0


def psql(settings: Settings) -> int:
    return with_cluster(settings, _shell)


def _shell(cluster: 'Cluster') -> int:
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    program = shutil.which('psql', path=cluster.programs) or shutil.which('psql')
    if not program:
        print('psql is not installed here: Debian has it in postgresql-client.', file=sys.stderr)
        return WITH_PROBLEMS
    parts = conninfo_to_dict(cluster.conninfo('portal_owner'))
    env = {**os.environ, 'PGPASSWORD': str(parts.pop('password'))}  # not among the arguments, which everyone on the machine sees
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for psql, which takes it back
    return subprocess.run([program, make_conninfo('', **parts)], env=env).returncode


def with_cluster(settings: Settings, use: 'Callable[[Cluster], T]') -> T:
    """A private server that no portal runs at the moment is started for that long."""
    from portal.db.server import open_cluster

    cluster = open_cluster(settings, attach=True)
    try:
        return use(cluster)
    finally:
        cluster.stop()


if __name__ == '__main__':
    sys.exit(main())
