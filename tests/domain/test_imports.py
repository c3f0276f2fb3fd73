"""Companies and people from files, told with the named cast."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlmodel import col, select

from portal.db.cast import Cast, Member
from portal.domain.access import NotAllowed, Permission, ProofNeeded, UserType
from portal.domain.base import Wrong, uuid7
from portal.domain.imports import Kind, Outcome, State
from portal.domain.imports.deciding import known_companies
from portal.domain.imports.doing import batch_by_id, match, refused_rows, start, stop, take_chunk, tally, upload
from portal.domain.imports.model import ImportRow
from portal.domain.imports.reading import MOST_ROWS, neutral, read, write
from portal.domain.mail import Letter
from portal.domain.people import Company, Membership, User
from portal.domain.roles import add_role
from portal.visit import Visit

VisitAs = Callable[[Member], Awaitable[Visit]]
COMPANIES = 'Kundennr.;Firma;Straße;PLZ;Ort;Telefon\n'


class Importing:
    """Somebody with a file, step by step as the pages do it."""

    def __init__(self, visit: Visit) -> None:
        self.visit, self.by, self.id = visit, visit.by, UUID(int=0)

    async def upload(self, kind: Kind, text: str | bytes) -> 'Importing':
        table = read(text if isinstance(text, bytes) else text.encode())
        async with self.visit.work() as db:
            self.id = (await upload(db, self.by, kind, 'clients.csv', table)).id
        return self

    async def options(self, **options: Any) -> 'Importing':
        async with self.visit.work() as db:
            batch = await batch_by_id(db, self.id)
            await match(db, self.by, self.id, batch.mapping, options)
        return self

    async def run(self) -> 'Importing':
        async with self.visit.work() as db:
            await start(db, self.by, self.id)
        while await self.chunk():
            pass
        return self

    async def chunk(self) -> bool:
        async with self.visit.work() as db:
            return await take_chunk(db, self.by, self.id)

    async def numbers(self) -> tuple[int, int, int, int]:
        """Added, changed, left, refused."""
        async with self.visit.work() as db:
            t = await tally(db, await batch_by_id(db, self.id))
        return t.add, t.change, t.leave, t.refuse

    async def problems(self) -> dict[int, dict[str, str]]:
        async with self.visit.work() as db:
            return {row.number: dict(row.problems) for row in await refused_rows(db, await batch_by_id(db, self.id))}  # type: ignore[arg-type]

    async def all(self, question: Any) -> list[Any]:
        async with self.visit.work() as db:
            return list(await db.exec(question))


@pytest.fixture
def mona(visit_as: VisitAs, cast: Cast) -> Callable[[], Awaitable[Importing]]:
    async def make() -> Importing:
        return Importing(await visit_as(cast.mona))

    return make


Mona = Callable[[], Awaitable[Importing]]


# ---------- companies ----------


async def test_companies_are_added_and_changed_and_left(mona: Mona) -> None:
    text = (
        COMPANIES
        + 'K-1;Garden Florist;Gartenweg 3;30161;Hannover;0511 / 44 55 66\n;Acme Dental;Lister Meile 31;;Hannover;\nK-2;Bolt Logistics;;;;\n'
    )
    importing = await (await mona()).upload(Kind.COMPANIES, text)
    assert await importing.numbers() == (1, 2, 0, 0)
    await importing.run()
    assert await importing.numbers() == (1, 2, 0, 0)
    companies = {c.name: c for c in await importing.all(select(Company))}
    florist = companies['Garden Florist']
    assert (florist.slug, florist.outside_ref, florist.city, florist.phone) == (
        'garden-florist',
        'K-1',
        'Hannover',
        '0511 / 44 55 66',
    )
    assert (companies['Acme Dental'].street, companies['Acme Dental'].postal_code) == ('Lister Meile 31', None)
    again = await (await (await mona()).upload(Kind.COMPANIES, text)).run()
    assert await again.numbers() == (0, 0, 3, 0)
    assert len(await importing.all(select(Company))) == 3


async def test_a_reference_finds_the_company_whatever_it_is_called(mona: Mona) -> None:
    await (await (await mona()).upload(Kind.COMPANIES, 'Name;Reference\nAcme Dental;A-1\n')).run()
    importing = await (await (await mona()).upload(Kind.COMPANIES, 'Name;Reference\nAcme Dental Group;A-1\n')).run()
    assert await importing.numbers() == (0, 1, 0, 0)
    assert sorted(await importing.all(select(Company.name))) == ['Acme Dental Group', 'Bolt Logistics']


async def test_only_companies_that_rows_name_are_read(mona: Mona, cast: Cast) -> None:
    """However many there are: by name in any case, by address, by reference, or chosen for all rows."""
    importing = await (await mona()).upload(Kind.COMPANIES, 'Name;Reference\nÖlmühle Süd;A-1\n')
    await importing.run()
    mill = (await importing.all(select(Company.id).where(Company.outside_ref == 'A-1')))[0]
    asked = {
        'BOLT Logistics': cast.bolt.id, 'bolt': cast.bolt.id, 'A-1': mill, 'ÖLMÜHLE süd': mill, 'OLMUHLE-sud': mill,
    }  # fmt: skip
    async with importing.visit.work() as db:
        for words, company in asked.items():
            known = await known_companies(db, [words, 'Nobody knows it'])
            assert list(known.by_id) == [company], words
            assert known.named(words) is known.by_id[company], words
        assert list((await known_companies(db, [], str(cast.acme.id))).by_id) == [cast.acme.id]
        assert not (await known_companies(db, ['Corner Bakery', 'bakery'])).by_id


async def test_every_fault_of_every_row_is_said_at_once(mona: Mona) -> None:
    text = (
        'Name,Reference,Phone,Website,Account manager\n'
        'Twin,T-1,,,\n'
        'Twin two,T-1,,,\n'
        ',,not a number,javascript:alert(1),ada@acme.example\n'
        'Good,,,,mona@northwind.example\n'
        'Good,,,,,surplus\n'
    )
    importing = await (await mona()).upload(Kind.COMPANIES, text)
    assert await importing.problems() == {
        3: {'outside_ref': 'This company stands in line 2 already.'},
        4: {'name': 'Please enter a name.', 'phone': 'This does not look like a phone number.',
            'website': 'This does not look like an address of the web.', 'manager': 'Nobody on your staff has this address.'},
        6: {'': 'This row has more cells than there are headings.'},
    }  # fmt: skip
    await importing.run()
    assert await importing.numbers() == (2, 0, 0, 3)


# ---------- people ----------


async def test_people_come_with_their_companies_and_nobody_is_written_to_unasked(mona: Mona, cast: Cast) -> None:
    text = 'E-Mail;Name;Firma;Rolle;Telefon\nflo@acme.example;Flo Winter;Acme Dental;Client admin;0511 1234\nflo@acme.example;Flo Winter;bolt;;\nugo@acme.example;Ugo Marchetti;acme;billing;\n'
    importing = await (await mona()).upload(Kind.PEOPLE, text)
    assert await importing.numbers() == (2, 1, 0, 0)
    await importing.run()
    flo = next(u for u in await importing.all(select(User)) if u.email == 'flo@acme.example')
    roles = {m.company_id: m.role for m in await importing.all(select(Membership).where(Membership.user_id == flo.id))}
    assert roles == {cast.acme.id: 'ClientAdmin', cast.bolt.id: 'ClientUser'}
    assert flo.phone == '+495111234'
    ugo = await importing.all(select(Membership.role).where(Membership.user_id == cast.ugo.user_id))
    assert ugo == ['ClientBilling']
    assert await importing.all(select(Letter).where(Letter.to_user_id == flo.id)) == []


async def test_invitations_go_out_if_wanted_and_once(mona: Mona) -> None:
    text = 'Email,Name,Company\nflo@acme.example,Flo Winter,Acme Dental\n'
    importing = await mona()
    for _time in range(2):
        await importing.upload(Kind.PEOPLE, text)
        await (await importing.options(invite=True)).run()
    flo = select(User.id).where(User.email == 'flo@acme.example')
    assert [letter.kind for letter in await importing.all(select(Letter).where(col(Letter.to_user_id).in_(flo)))] == ['welcome']


async def test_addresses_that_cannot_be_taken(mona: Mona, cast: Cast) -> None:
    text = (
        'Email,Name,Company\n'
        'tess@northwind.example,Tess,Acme Dental\n'
        'cleo@bakery.example,Cleo Haddad,Acme Dental\n'  # another tenant's: nothing of it may be told
        'flo at acme,Flo,Acme Dental\n'
        'x@acme.example,X,Corner Bakery\n'
        'y@acme.example,Y,Acme Dental\n'
        'Y@acme.example,Y,acme\n'
        'y@acme.example,Why,Bolt Logistics\n'
        'z@acme.example,Z,\n'
    )
    importing = await (await mona()).upload(Kind.PEOPLE, text)
    assert await importing.problems() == {
        2: {'email': 'This is the address of somebody on your staff.'},
        4: {'email': 'This does not look like an e-mail address.'},
        5: {'company': 'There is no such company.'},
        7: {'email': 'This address stands in line 6 already, for the same company.'},
        8: {'name': 'In line 6 the same address has another name.'},
        9: {'company': 'No company stands here, and none is chosen for all.'},
    }
    await importing.options(company=str(cast.acme.id), role='ClientBilling')
    assert 9 not in await importing.problems()
    await importing.run()
    assert await importing.numbers() == (3, 0, 0, 5)


async def own_role(mona: Importing, name: str, permissions: set[Permission]) -> UUID:
    async with mona.visit.work() as db:
        made = await add_role(db, mona.by, name=name, user_type=UserType.CLIENT, based_on='ClientUser', permissions=permissions)
        return made.id


async def test_own_roles_are_known_by_their_name(mona: Mona, cast: Cast) -> None:
    importing = await mona()
    lead = await own_role(importing, 'Practice lead', {Permission.TICKETS_SEE_COMPANY})
    text = 'Email,Name,Company,Role\nflo@acme.example,Flo Winter,acme,practice LEAD\nugo@acme.example,Ugo Marchetti,acme,Practice lead\n'
    await (await importing.upload(Kind.PEOPLE, text)).run()
    assert await importing.numbers() == (1, 1, 0, 0)
    who = select(User.id).where(col(User.email).in_(['flo@acme.example', 'ugo@acme.example']))
    got = select(Membership.role, Membership.role_id).where(col(Membership.user_id).in_(who))
    assert await importing.all(got) == [(None, lead), (None, lead)]


async def test_nobody_imports_more_than_they_may_themselves(mona: Mona, visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    """Tess manages companies and people, and sees no money: a role with it is refused, row by row."""
    await own_role(await mona(), 'Bookkeeper', {Permission.MONEY_SEE})
    with psycopg.connect(maintenance) as c:
        c.execute("""insert into role (id, tenant_id, name, user_type, permissions) values (%s, %s, 'Office', 'internal', %s)""",
                  (office := uuid7(), cast.northwind.id, ['tickets.see', 'tickets.open', 'tickets.reply', 'tickets.close',
                   'companies.see', 'companies.manage', 'people.manage', 'profile.edit']))  # fmt: skip
        c.execute('update users set staff_role = null, staff_role_id = %s where id = %s', (office, cast.tess.user_id))
    tess = Importing(await visit_as(cast.tess))
    text = (
        'Email,Name,Company,Role\nflo@acme.example,Flo,acme,Bookkeeper\nada2@acme.example,Ada,acme,Client admin\n'
        'ugo@acme.example,Ugo Marchetti,acme,Bookkeeper\nbill@acme.example,Bill Novak,acme,Client user\n'
        'jo@acme.example,Jo,acme,Client user\n'
    )
    await (await tess.upload(Kind.PEOPLE, text)).run()
    problems = await tess.problems()
    assert set(problems) == {2, 3, 4, 5}
    assert all('role' in problem for problem in problems.values())
    assert await tess.numbers() == (1, 0, 0, 4)
    addresses = ['flo@acme.example', 'ada2@acme.example', 'jo@acme.example']
    assert await tess.all(select(User.email).where(col(User.email).in_(addresses))) == ['jo@acme.example']
    roles = select(User.email, Membership.role).join(Membership, col(Membership.user_id) == User.id)
    before = await tess.all(roles.where(col(User.email).in_([cast.ugo.email, cast.bill.email])))
    assert sorted(before) == [(cast.bill.email, 'ClientBilling'), (cast.ugo.email, 'ClientUser')]


async def test_the_start_asks_for_a_proof_and_the_worker_does_not(mona: Mona, maintenance: str) -> None:
    importing = await (await mona()).upload(Kind.PEOPLE, 'Email,Name,Company\nflo@acme.example,Flo Winter,acme\n')
    older = "update session set proved_at = now() - interval '16 minutes' where user_id = %s"
    async with importing.visit.work() as db:
        await start(db, importing.by, importing.id)
    with psycopg.connect(maintenance) as c:
        c.execute(older, (importing.by.user_id,))
    while await importing.chunk():
        pass
    assert await importing.numbers() == (1, 0, 0, 0)
    await importing.upload(Kind.PEOPLE, 'Email,Name,Company\njo@acme.example,Jo,acme\n')
    with pytest.raises(ProofNeeded):
        async with importing.visit.work() as db:
            await start(db, importing.by, importing.id)


# ---------- stopping, going on, rights ----------


async def test_it_stops_and_goes_on_without_doing_anything_twice(mona: Mona) -> None:
    importing = await (await mona()).upload(Kind.COMPANIES, 'Name\n' + ''.join(f'Client {n:03}\n' for n in range(250)))
    async with importing.visit.work() as db:
        await start(db, importing.by, importing.id)
    assert await importing.chunk()
    async with importing.visit.work() as db:
        await stop(db, importing.by, importing.id)
    assert not await importing.chunk()
    assert len(await importing.all(select(Company.id))) == 102
    await importing.run()
    assert len(await importing.all(select(Company.id))) == 252
    [state] = await importing.all(select(ImportRow.outcome).where(ImportRow.batch_id == importing.id).distinct())
    assert state is Outcome.ADD
    async with importing.visit.work() as db:
        assert (await batch_by_id(db, importing.id)).state is State.DONE


async def test_what_changed_since_the_trial_is_seen(mona: Mona, cast: Cast) -> None:
    importing = await (await mona()).upload(Kind.PEOPLE, 'Email,Name,Company\nflo@acme.example,Flo,Acme Dental\n')
    other = await (await mona()).upload(Kind.PEOPLE, 'Email,Name,Company\nflo@acme.example,Flo,Acme Dental\n')
    await other.run()
    await importing.run()
    assert await importing.numbers() == (0, 0, 1, 0)


@pytest.mark.parametrize('name', ['tess', 'finn', 'ada'])
async def test_only_who_manages_companies_imports(visit_as: VisitAs, cast: Cast, name: str) -> None:
    with pytest.raises(NotAllowed):
        await Importing(await visit_as(getattr(cast, name))).upload(Kind.COMPANIES, 'Name\nEve Ltd\n')


# ---------- files as they come ----------


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be', 'cp1252'])
@pytest.mark.parametrize('sign', [';', ',', '\t'])
def test_letters_and_signs_are_recognised(encoding: str, sign: str) -> None:
    lines = ['Firma;Straße;Ort', 'Müller & Söhne;Große Straße 1;Köln', '"Bäckerei; Café, Süd";Am Weg 2;Düren']
    text = '\r\n'.join(
        [lines[0].replace(';', sign), lines[1].replace(';', sign), f'"Bäckerei; Café, Süd"{sign}Am Weg 2{sign}Düren']
    )
    table = read(text.encode(encoding))
    assert table.columns == ['Firma', 'Straße', 'Ort']
    assert [cells for _n, cells in table.rows] == [
        ['Müller & Söhne', 'Große Straße 1', 'Köln'], ['Bäckerei; Café, Süd', 'Am Weg 2', 'Düren']
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('data', 'words'),
    [
        (b'', 'nothing in this file'), (b' \n\n', 'nothing in this file'), (b'Name;City', 'no row below'),
        (b'Name\nA\x00B\n', 'Line 2 has a character'), (b'PK\x03\x04rest', 'spreadsheet'),
        (b'Name;City\nA;"B\nC;D\n' * 3, 'quotes do not fit'), (b'Name\n' + b'x' * 1_000_000, 'a cell of more than'),
        (b'Name\n"' + b'x' * 20_000 + b'"\n', 'a cell of more than'),
        (b';'.join([b'c'] * 10_000) + b'\nA\n', 'more than 100 columns'), (b'Name\n' + b'A\n' * (MOST_ROWS + 1), 'At most 10,000 rows'),
        (b'x' * (5 * 1024 * 1024 + 1), 'At most 5 MB'),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(Wrong) as wrong:
        read(data)
    assert words in wrong.value.fields['file']


def test_a_row_is_named_by_its_line_whatever_stands_in_the_cells_before() -> None:
    table = read(b'Name;Note\nA;"two\nlines"\n\nB;one\n')
    assert [n for n, _cells in table.rows] == [2, 5]


def test_formulas_do_not_leave_and_come_back_as_they_were() -> None:
    cells = ['=1+1', '＝1+1', '\n=1', '+49 511 1', '-x', '@x', "'quoted'", 'plain', '"; drop']
    assert all(neutral(cell)[0] not in '=+-@\t\r\n＝' for cell in cells)
    assert read(write(['Name'] * len(cells), [cells])).rows == [(2, cells)]
