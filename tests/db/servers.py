"""PostgreSQL servers as an operator has them: reached by an address, with an administrator of their own."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from portal.db import embedded
from portal.db.account import account_for
from portal.db.roles import DEFINER, LOGINS
from tests.peers import postgres_15

PROGRAMS = {'18': embedded.installed(), **({'15': folder} if (folder := postgres_15()) else {})}


@dataclass(frozen=True)
class Operator:
    """A server with the superuser `postgres`, and `boss`, who may create roles and owns the database `support`."""

    socket: Path

    def url(self, user: str = 'boss', database: str = 'support', password: str = 'pw') -> str:
        return f'postgresql://{user}:{password}@/{database}?host={self.socket}&port=5432'

    def forget(self) -> None:
        """As before the portal came."""
        with psycopg.connect(self.url('postgres', 'postgres'), autocommit=True) as admin:
            admin.execute('drop database if exists support with (force)')
            for role in (*LOGINS, DEFINER, 'boss', 'plain'):
                if admin.execute('select 1 from pg_roles where rolname = %s', (role,)).fetchone():
                    admin.execute(f'drop owned by {role}'.encode())
                    admin.execute(f'drop role {role}'.encode())
            admin.execute("create role boss login createrole password 'pw'")
            admin.execute("create role plain login password 'pw'")
            admin.execute('create database support owner boss')


@contextmanager
def operator(programs: Path) -> Iterator[Operator]:
    folder = Path(tempfile.mkdtemp(prefix='test-'))
    account = account_for(folder)
    (folder / 'password').write_text('pw')
    account.own(folder, folder / 'password')

    def run(program: str, *arguments: str) -> None:
        # no pipe: the server would keep it open
        subprocess.run(
            [str(programs / program), '-D', 'pg', *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL, **as_it
        )

    as_it = account.for_subprocess
    run('initdb', '-U', 'postgres', '--auth=scram-sha-256', '--pwfile=password', '--encoding=UTF8', '--locale=C', '--no-sync')
    run('pg_ctl', '-l', 'log', '-o', "-c listen_addresses='' -k .. -p 5432 -F", '-w', 'start')
    try:
        yield Operator(folder)
    finally:
        run('pg_ctl', '-m', 'immediate', '-w', 'stop')
        shutil.rmtree(folder)
