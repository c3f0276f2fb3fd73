"""Everyone of the cast goes to every screen there is: what is added later is covered unasked."""

import re
from html.parser import HTMLParser
from typing import Any

import psycopg
import pytest

from portal.db.cast import SECRET, Cast, Member
from portal.pages import client, staff
from portal.pages.screens import Screen
from portal.settings import Settings
from portal.visit import arriving
from tests.visitor import Visitor

EVERYONE = ['mona', 'tess', 'finn', 'stan', 'ada', 'ugo', 'bill', 'bea', 'mel_bolt', 'mel_acme', 'cleo']
NOT_FOUND = 'There is nothing here, or it is not yours to see.'


def screens_of(who: Member, settings: Settings) -> tuple[Screen, ...]:
    return (staff if who.side == 'staff' else client).spec(settings).screens


def addresses(screen: Screen, who: Member, cast: Cast) -> dict[str, str]:
    """Addresses of a screen that leads to something of theirs, of somebody else's, and to nothing."""
    own = {'label': (cast.scanners if who.slug == 'bolt' else cast.oven if who.tenant_id == cast.southgate.id else cast.printer).label,
           'slug': 'bakery' if who.tenant_id == cast.southgate.id else 'acme', 'id': '00000000-0000-7000-8000-000000000000'}  # fmt: skip
    if screen.path.startswith('/roles/'):
        own['id'] = 'ClientUser'
    if screen.path.startswith(('/people/', '/settings/people/')):
        own['id'] = str((cast.cleo if who.tenant_id == cast.southgate.id else cast.ugo).user_id)
    missing = {'label': 'T-999999', 'slug': 'nobody', 'id': '00000000-0000-7000-8000-000000000001'}
    return {
        kind: who.root + re.sub(r'\{(\w+)\}', lambda m: values[m[1]], screen.path)  # noqa: B023
        for kind, values in (('own', own), ('missing', missing))
    }


@pytest.mark.parametrize('name', EVERYONE)
async def test_every_screen(visitor: type[Visitor], cast: Cast, settings: Settings, name: str) -> None:
    """Without the permission a known place says so kindly; no screen fails, and none shows a note to a client."""
    who: Member = getattr(cast, name)
    arrival = await arriving(who.cookie)
    assert arrival
    visit = arrival.client(who.slug) if who.slug else arrival.staff()
    assert visit
    for screen in screens_of(who, settings):
        for kind, address in addresses(screen, who, cast).items():
            page = await visitor(who).get(address)
            if not visit.may(screen.needs):
                assert page.status == 403, address
                assert 'Your role does not include this page' in page.html
            elif kind == 'missing' and '{' in screen.path:
                assert page.status == 404, address
                assert NOT_FOUND in page.html
            else:
                assert page.status in ((200, 404) if '{' in screen.path else (200,)), (address, page.status)
            if who.side == 'client':
                assert SECRET not in page.html


@pytest.mark.parametrize('name', ['bea', 'mel_bolt', 'cleo', 'stan'])
async def test_foreign_and_missing_look_alike(visitor: type[Visitor], cast: Cast, name: str) -> None:
    """Bea finds no trace of Acme's ticket, whatever she asks for."""
    who: Member = getattr(cast, name)
    missing = await visitor(who).get(f'{who.root}/tickets/T-999999')
    for ticket in (cast.printer, cast.payroll, cast.salary):
        if ticket.number in (cast.scanners.number, cast.oven.number) and who.tenant_id == cast.southgate.id:
            continue  # numbers are a tenant's own: theirs may have the same
        foreign = await visitor(who).get(f'{who.root}/tickets/{ticket.label}')
        if who.tenant_id == cast.southgate.id and foreign.status == 200:
            continue
        assert (foreign.status, _plain(foreign.html, ticket.label)) == (missing.status, _plain(missing.html, 'T-999999'))


def _plain(html: str, label: str) -> str:
    """The words of the first paint, without what differs at every request."""
    return re.sub(r'\s+', ' ', ' '.join(words for words, _where in visible(html)).replace(label, 'T-X'))


@pytest.mark.parametrize(
    'query', ['?q=printer', '?q=Kyocera', '?company=acme', '?view=closed', '?q=1001', '?sort=number&view=all']
)
async def test_bea_finds_no_trace_by_asking(visitor: type[Visitor], cast: Cast, query: str) -> None:
    page = await visitor(cast.bea).get(f'/client-portal/bolt/tickets{query}')
    assert page.status == 200
    for word in {'Kyocera', 'payroll', 'salary', 'Marchetti', 'Acme'} - {query.partition('=')[2]}:
        assert word not in page.html, word


@pytest.mark.parametrize(
    'path', ['/client-portal/acme', '/client-portal/acme/tickets', '/client-portal/nobody', '/client-portal/bakery/tickets/new']
)
async def test_another_company_in_the_address(visitor: type[Visitor], cast: Cast, path: str) -> None:
    page = await visitor(cast.bea).get(path)
    assert page.status == 404
    assert 'Acme' not in page.html.replace(path, '')


async def test_a_person_is_sent_to_their_side(visitor: type[Visitor], cast: Cast) -> None:
    for who, path, to in (
        (cast.ada, '/msp', '/client-portal/acme'), (cast.ada, '/msp/tickets/T-1', '/client-portal/acme'), (cast.tess, '/client-portal/acme', '/msp'),
        (cast.tess, '/', '/msp'), (cast.ada, '/', '/client-portal/acme'), (cast.ada, '/client-portal', '/client-portal/acme'),
        (cast.ada, '/client-portal/tickets/T-1002?x=1', '/client-portal/acme/tickets/T-1002?x=1'),
    ):  # fmt: skip
        answer = (await visitor(who).get(path)).answer
        assert (answer.status_code, answer.headers['location']) == (303, to), path


async def test_signed_out_one_is_sent_to_the_door_and_back(visitor: type[Visitor], cast: Cast) -> None:
    for path, to in (
        ('/client-portal/acme/tickets/T-1002?x=1', '/auth/client-portal/signin?next=%2Fclient-portal%2Facme%2Ftickets%2FT-1002%3Fx%3D1'),
        ('/msp/companies', '/auth/msp/signin?next=%2Fmsp%2Fcompanies'), ('/msp', '/auth/msp/signin'), ('/', '/auth/client-portal/signin'),
        ('/anything', '/auth/client-portal/signin?next=%2Fanything'),
    ):  # fmt: skip
        for cookie in ('', 'nonsense', 'x' * 5000):
            answer = (await visitor(host=cast.northwind.host, cookie=cookie or None).get(path)).answer
            assert (answer.status_code, answer.headers['location']) == (303, to), path


async def test_a_session_is_good_at_its_own_tenant_alone(visitor: type[Visitor], cast: Cast) -> None:
    for who, host in ((cast.stan, cast.northwind.host), (cast.ada, cast.southgate.host)):
        answer = (await visitor(host=host, cookie=who.cookie).get('/msp', headers={'x-tenant-id': str(who.tenant_id)})).answer
        assert answer.headers['location'].startswith('/auth/')


# ---------- words ----------


class _Words(HTMLParser):
    """Visible words, and those of the attributes that people hear or read."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.within: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        values = dict(attrs)
        if tag not in ('br', 'hr', 'img', 'input', 'meta', 'link', 'use', 'path'):
            self.within.append(tag)
        for name in ('aria-label', 'placeholder', 'alt'):
            if values.get(name):
                self.found.append((values[name], f'{tag} {name}'))
        if values.get('title') and tag != 'time':
            self.found.append((values['title'], f'{tag} title'))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.within:
            while self.within.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if data.strip() and not {'script', 'style', 'time', 'svg', 'kbd'} & set(self.within):
            self.found.append((data.strip(), ' '.join(self.within[-3:])))


def visible(html: str) -> list[tuple[str, str]]:
    parser = _Words()
    body = html.split('<div id="ssr">', 1)[-1] if '<div id="ssr">' in html else html.split('<body', 1)[-1]
    parser.feed(body.split('<style', 1)[0] if '<div id="ssr">' in html else body)
    return parser.found


DATES = re.compile(r'(Mon|Tues?|Wednes|Thurs?|Fri|Satur|Sun)(day)? |^\d{1,2} \w+( \d{4})?$|^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d')


@pytest.mark.parametrize('name', ['mona', 'ada'])
async def test_every_word_is_translated(
    visitor: type[Visitor], cast: Cast, settings: Settings, maintenance: str, name: str
) -> None:
    """In the pseudo-locale every message stands in brackets; what is left must be somebody's name or text."""
    who: Member = getattr(cast, name)
    with psycopg.connect(maintenance) as c:
        c.execute("update users set language = 'en-XA' where tenant_id = %s", (who.tenant_id,))
        data = {row[0] for query in (
            'select name from users', 'select name from company', 'select name from tenant', 'select short_name from tenant',
            'select subject from ticket', 'select body from ticket_comment', 'select email from users', 'select email from invitation', 'select street from company_address', 'select city from company_address', 'select name from company_address', 'select device from session', 'select country from company_address', 'select name from invitation', 'select phone from tenant',
            'select phone_hours from tenant', 'select name from category', 'select coalesce(subject, kind) from mail_outbox',
            'select name from file', 'select body from company_note', 'select slug from company', 'select file_name from import_batch',
            'select name from saved_view', 'select name from role', 'select name from identity_provider', 'select title from canned_reply', 'select body from canned_reply',
        ) for row in c.execute(query).fetchall() if row[0]}  # type: ignore[arg-type]  # fmt: skip
    data |= {word for text in data for word in re.split(r'[\s*.,?!:]+', text)} | {
        'English',
        'Deutsch',
        'Ctrl',
        'K',
        'Esc',
        'PostgreSQL',
    }
    for screen in screens_of(who, settings):
        page = await visitor(who).get(addresses(screen, who, cast)['own'])
        for rest, where in untranslated(page.html):
            left = [w for w in re.split(r'[\s*.,?!:()·“”;]+', rest) if re.search(r'[A-Za-zÄ-ü]{2,}', w) and w not in data]
            if left and not DATES.search(rest) and not _known(screen, where, left):
                pytest.fail(f'{screen.path or "/"}: {rest!r} in {where} is not translated')


def untranslated(html: str) -> list[tuple[str, str]]:
    """What stands outside of the brackets; a message with markup in it begins in one node and ends in another."""
    depth, found = 0, []
    for words, where in visible(html):
        rest = ''
        for sign in words:
            if sign == '⟦':
                depth += 1
            elif sign == '⟧':
                depth -= 1
            elif not depth:
                rest += sign
        found.append((rest, where))
    return found


def _known(screen: Screen, where: str, left: list[str]) -> bool:
    """Time zones and initials are names; the gallery shows sample text; addresses of mail servers are code."""
    return 'option' in where or all(w.isupper() and len(w) <= 3 for w in left) or screen.path == '/gallery' or 'code' in where
