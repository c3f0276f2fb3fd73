"""What somebody can see and do, and why: of a client at one of their companies, and of a colleague."""

from uuid import UUID

from markupsafe import Markup
from sqlmodel import select

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Crumb, Tab
from portal.domain.access import Permission, UserType
from portal.domain.base import NotFound
from portal.domain.clients import client, memberships
from portal.domain.explaining import about_ticket, role_of_membership, role_of_staff, tickets_seen
from portal.domain.granting import roles
from portal.domain.people import User
from portal.i18n import _
from portal.pages.screens import Here, Screen
from portal.pages.shared.explained import explained, statement


def _id(here: Here) -> UUID:
    try:
        return UUID(here.parts['id'])
    except ValueError:
        raise NotFound from None


async def of_client(here: Here) -> None:
    user_id, by, asked = _id(here), here.visit.by, ''

    async def read() -> Markup:
        async with here.visit.work() as db:
            person, places, among = await client(db, user_id), await memberships(db, user_id), await roles(db, UserType.CLIENT)
            place = next(((m, c) for m, c in places if c.slug == here.query.get('company')), places[0] if places else None)
            held = role_of_membership(place[0], among) if place else None
            reaches = bool(held and Permission.TICKETS_SEE_COMPANY in held.permissions)
            seen = await tickets_seen(db, place[1].id, user_id, reaches=reaches) if place else 0
            about = await about_ticket(db, asked, user_id, person.name) if asked else None
        here.title(person.name)
        tabs = [
            Tab(c.name, here.url(here.path, company=c.slug), current=place is not None and c.id == place[1].id)
            for _m, c in places
        ]
        return render(
            'staff/explaining.html', title=person.name, lead=f'{held.label} · {place[1].name}' if held and place else '',
            crumbs=[Crumb(_('Companies'), here.url('/companies')), Crumb(person.name, here.url(f'/people/{user_id}')), Crumb(_('What they can see and do'))],
            tabs=tabs if len(tabs) > 1 else [], statement=statement(person.name, held, seen),
            explained=explained(person.name, held, among, UserType.CLIENT, asked=asked, about=about),
        )  # fmt: skip

    async def act(what: Act) -> None:
        nonlocal asked
        if what.name == 'why':
            asked = what.text('ticket')[:20]
            island.set(await read())

    async def again() -> None:
        island.set(await read())

    here.set_primary(None)
    island = here.island(await read(), act)
    here.wakes(again, f'companies:{by.tenant.id}')


async def of_colleague(here: Here) -> None:
    user_id = _id(here)

    async def read() -> Markup:
        async with here.visit.work() as db:
            asked = select(User).where(User.id == user_id, User.user_type == UserType.INTERNAL.value)
            person = (await db.exec(asked)).first()
            if person is None:
                raise NotFound
            among = await roles(db, UserType.INTERNAL)
        held = role_of_staff(person.staff_role, person.staff_role_id, among)
        here.title(person.name)
        return render(
            'staff/explaining.html', title=person.name, lead=f'{held.label} · {person.email}' if held else person.email,
            crumbs=[Crumb(_('Team'), here.url('/team')), Crumb(person.name)], tabs=[], statement=statement(person.name, held, None),
            explained=explained(person.name, held, among, UserType.INTERNAL),
        )  # fmt: skip

    async def again() -> None:
        island.set(await read())

    here.set_primary(None)
    island = here.island(await read())
    here.wakes(again, f'roles:{here.visit.by.tenant.id}')


SCREENS = (
    Screen('/people/{id}/access', of_client, Permission.COMPANIES_SEE, 'companies'),
    Screen('/team/{id}', of_colleague, Permission.STAFF_MANAGE, 'team'),
)
