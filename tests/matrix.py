"""The access matrix: every route, screen, verb and function of the database, and who gets what there.

`python -m tests.matrix` writes docs/access-matrix.md anew; `tests/test_matrix.py` fails when it changes unasked.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from portal.db.cast import Cast, Member
from portal.domain.access import BUILT_IN, VERBS, role_label
from portal.pages import client, staff
from portal.pages.screens import Screen
from portal.settings import Settings
from tests.visitor import Visitor

FILE = Path(__file__).parent.parent / 'docs/access-matrix.md'
PEOPLE = {
    'mona': 'Mona, MSP admin', 'tess': 'Tess, technician', 'finn': 'Finn, finance', 'ada': 'Ada, client admin of Acme',
    'ugo': 'Ugo, user of Acme', 'bill': 'Bill, billing of Acme', 'bea': 'Bea, client admin of Bolt', 'stan': 'Stan, MSP admin of another MSP',
    'cleo': 'Cleo, client admin at another MSP',
}  # fmt: skip
NOBODY = '–'
NO_ID = '00000000-0000-7000-8000-000000000001'
HEAD = """# Access matrix

Who gets what, asked of the running portal by `tests/matrix.py` and kept by `tests/test_matrix.py`: it fails when this page is not what
the portal answers. `python -m tests.matrix` writes it anew; read what git says has changed.

The columns are the demo's people; `–` is somebody who is not signed in. Acme and Bolt are clients of the same MSP, Cleo and Stan belong
to another. A number is the status of the answer; `→` is a redirect: `door` to the sign-in, `own side` to where one belongs.
"""


def _cells(values: Iterable[object]) -> str:
    return '| ' + ' | '.join(str(value) for value in values) + ' |'


def _table(head: list[str], rows: Iterable[Sequence[object]]) -> str:
    return '\n'.join([_cells(head), _cells('---' for _ in head), *(_cells(row) for row in rows)]) + '\n'


def _answer(page: Any) -> str:
    where = page.answer.headers.get('location', '')
    if not where:
        return str(page.status)
    path = re.sub(r'^https?://[^/]+', '', where)
    if re.match(r'/auth/[a-z-]+/signin', path):
        return f'{page.status} → door'
    if re.match(r'(/msp|/client-portal)(/|$|\?)', path):
        return f'{page.status} → own side'
    return f'{page.status} → {re.sub("[?#].*", "", path) or "/"}'


# ---------- plain routes ----------


def routes_of(app: Any) -> set[tuple[str, str]]:
    """Method and path of every route of ours, but for files of the browser and the pages themselves."""
    while not hasattr(app, 'routes'):
        app = app.app

    def walk(routes: Iterable[Any], before: str = '') -> Iterator[tuple[str, str]]:
        for route in routes:
            if inner := getattr(route, 'original_router', None):
                yield from walk(inner.routes, before + getattr(getattr(route, 'include_context', None), 'prefix', ''))
            elif getattr(route, 'methods', None):
                yield from ((method, before + route.path) for method in route.methods if method in ('GET', 'POST'))

    found = set(walk(app.routes))
    assert len(found) > 10, found
    return {(method, path) for method, path in found if not path.startswith('/static/')}


def _filled(path: str, who: Member | None) -> str:
    own = (who.root if who else '/client-portal/acme').split('/')[-1]
    values = {'slug': own, 'company': own, '_company': own, 'side': 'client-portal'}
    return re.sub(r'\{_?(\w+)(?::\w+)?\}', lambda found: values.get(found[1], NO_ID), path)


async def _routes(app: Any, someone: Callable[..., Visitor], cast: Callable[[], Cast]) -> str:
    """Asked with nothing in it and for an id that is nobody's: who is let in at all. Everybody comes with a session of their own."""
    rows: list[list[object]] = []
    for method, path in sorted(routes_of(app), key=lambda route: (route[1], route[0])):
        here = cast()
        row: list[object] = [method, f'`{path}`']
        for name in (NOBODY, *PEOPLE):
            who = None if name == NOBODY else getattr(here, name)
            visitor = someone(who) if who else someone(host=here.northwind.host)
            row.append(_answer(await (visitor.get if method == 'GET' else visitor.post)(_filled(path, who))))
        rows.append(row)
    return _table(['', 'Path', NOBODY, *(name.capitalize() for name in PEOPLE)], rows)


# ---------- screens ----------


def _screen_path(screen: Screen, who: Member, cast: Cast) -> str:
    elsewhere = who.tenant_id == cast.southgate.id
    ticket = cast.scanners if who.slug == 'bolt' else cast.oven if elsewhere else cast.printer
    person = cast.cleo if elsewhere else cast.bea if who.slug == 'bolt' else cast.ugo
    ids = {'/people/': str(person.user_id), '/settings/people/': str(person.user_id), '/roles/': 'ClientUser',
           '/team/': str((cast.stan if elsewhere else cast.tess).user_id)}  # fmt: skip
    found = next((value for start, value in ids.items() if screen.path.startswith(start)), NO_ID)
    values = {'label': ticket.label, 'slug': 'bakery' if elsewhere else 'acme', 'id': found}
    return who.root + re.sub(r'\{(\w+)\}', lambda m: values.get(m[1], NO_ID), screen.path)


async def _screens(someone: Callable[..., Visitor], cast: Cast, settings: Settings) -> str:
    """Of something that is theirs, where the screen is of one thing."""
    parts: list[str] = []
    for side, title, module in (('staff', 'Staff', staff), ('client', 'Clients', client)):
        names = [name for name in PEOPLE if getattr(cast, name).side == side]
        rows: list[list[object]] = []
        for screen in module.spec(settings).screens:
            answers = [
                _answer(await someone(who).get(_screen_path(screen, who, cast))) for who in (getattr(cast, n) for n in names)
            ]
            rows.append([f'`{screen.path or "/"}`', f'`{screen.needs.value}`', *answers])
        parts += [f'### {title}\n', _table(['Screen', 'Needs', *(name.capitalize() for name in names)], rows)]
    return '\n'.join(parts)


# ---------- verbs and functions ----------


def _verbs() -> str:
    roles = list(BUILT_IN)
    rows = [[f'`{name}`', f'`{needs.value}`', *('yes' if needs in BUILT_IN[role].permissions else '' for role in roles)]
            for name, needs in sorted(VERBS.items())]  # fmt: skip
    return _table(['Verb', 'Needs', *(role_label(role) for role in roles)], rows)


def _functions(maintenance: str) -> str:
    """Of schema `app`, those that a side may call."""
    asked = """select p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', p.prosecdef,
      array_agg(distinct r.rolname::text order by r.rolname::text)
      from pg_proc p cross join lateral aclexplode(p.proacl) a join pg_roles r on r.oid = a.grantee
      where p.pronamespace = 'app'::regnamespace and r.rolname in ('portal_staff', 'portal_client', 'portal_door', 'portal_worker')
      group by p.oid order by 1"""
    with psycopg.connect(maintenance) as c:
        found = c.execute(asked).fetchall()
    sides = ('staff', 'client', 'door', 'worker')
    rows = [[f'`{name}`', 'yes' if definer else '', *('yes' if f'portal_{side}' in who else '' for side in sides)]
            for name, definer, who in found]  # fmt: skip
    return _table(['Function', 'With other rights', *(side.capitalize() for side in sides)], rows)


async def written(
    app: Any, someone: Callable[..., Visitor], cast: Callable[[], Cast], settings: Settings, maintenance: str
) -> str:
    people = '\n'.join(f'- **{name.capitalize()}**: {words}' for name, words in PEOPLE.items())
    return '\n'.join([
        HEAD, people, '\n## Screens\n', await _screens(someone, cast(), settings), '\n## Plain routes\n',
        'Asked with an empty form, and for an id that nobody has.\n', await _routes(app, someone, cast), '\n## Verbs\n',
        'Changes, by the built-in roles. What a verb asks beyond its permission (nobody gives more than they have, own tickets only, a recent proof) '
        'is told in `docs/security.md`.\n', _verbs(), '\n## Functions of the database\n', _functions(maintenance),
    ])  # fmt: skip


if __name__ == '__main__':
    import os

    os.environ['PORTAL_WRITE_MATRIX'] = '1'
    sys.exit(pytest.main(['-q', '-n', '0', '-p', 'no:cacheprovider', str(Path(__file__).parent / 'test_matrix.py')]))
