"""Lists of people, on the pages of a company and of the team, and what is asked about one of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from markupsafe import Markup
from sqlalchemy import func as sql
from sqlalchemy import literal
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal import links
from portal.components.render import macro
from portal.components.values import MenuItem, Option, Text
from portal.domain.access import BUILT_IN, Permission, Principal, UserType
from portal.domain.base import Wrong, now
from portal.domain.granting import Given, offered, roles
from portal.domain.mail import Letter, LetterState
from portal.domain.people import Taken
from portal.domain.phones import dialled, shown
from portal.domain.rights import ALWAYS, labels
from portal.i18n import _, day, when
from portal.pages.screens import Here

CLIENT_ROLES = [name for name, role in BUILT_IN.items() if role.user_type is UserType.CLIENT]


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A line of such a list, ready to be shown."""

    id: UUID
    name: str
    email: str
    role: str
    state: Text
    menu: tuple[MenuItem, ...] = ()
    href: str = ''
    msp: bool = False
    note: str = ''  # in place of a menu


def role_hint(role: str) -> str:
    return {
        'ClientUser': _('Own tickets and those in copy'),
        'ClientBilling': _('The same, and everything about money'),
        'ClientAdmin': _('All tickets of the company, and money'),
    }.get(role, '')


def role_options(by: Principal, among: Sequence[Given], hint: Callable[[str], str] = role_hint) -> list[Option]:
    """Those that `by` cannot give are shown, and cannot be taken."""
    return [
        Option(role.key, role.label, (hint(role.role) if role.role else in_short(role)) if may else _('Allows more than you may yourself'),
               disabled=not may)
        for role, may in offered(by, among)
    ]  # fmt: skip


def reach_words(role: Given) -> str:
    """How far it reaches in tickets: for clients the whole company's, or own ones and those in copy."""
    if Permission.TICKETS_SEE not in role.permissions:
        return _('None')
    if role.user_type is UserType.INTERNAL:
        return _('All companies')
    return _('Whole company') if Permission.TICKETS_SEE_COMPANY in role.permissions else _('Own and in copy')


def in_short(role: Given) -> str:
    """What tells it from the others."""
    return ', '.join(labels(role.permissions - ALWAYS, role.user_type)) or _('Reading')


async def client_roles(db: AsyncSession, by: Principal) -> list[Option]:
    return role_options(by, await roles(db, UserType.CLIENT))


def ways_words(ways: Sequence[str]) -> str:
    """Beside a password, by what somebody proves who they are; '' for nothing."""
    words = {'passkey': _('Passkey'), 'totp': _('App'), 'sso': _('Company account')}
    return ', '.join(words[way] for way in words if way in ways)


@dataclass(frozen=True, slots=True)
class Presence:
    """When somebody was here last, as far as it is remembered, and whether they ever chose a password."""

    seen_at: datetime | None = None
    has_password: bool = False


async def presence(db: AsyncSession, people: list[UUID]) -> dict[UUID, Presence]:
    """Of clients, by id."""
    asked = sql.app.presence(literal(people, ARRAY(PG_UUID(as_uuid=True)))).table_valued('user_id', 'seen_at', 'has_password')
    return {
        row[0]: Presence(row[1], row[2]) for row in await db.exec(select(asked.c.user_id, asked.c.seen_at, asked.c.has_password))
    }


WELCOME = timedelta(seconds=links.AGES['welcome'])


async def welcomed(db: AsyncSession, people: Sequence[UUID]) -> dict[UUID, datetime]:
    """Until when the link of the newest welcome letter is good, by id; nobody without such a letter, or whose link is over."""
    if not people:
        return {}
    since = now() - WELCOME
    written = sql.max(sql.coalesce(col(Letter.sent_at), col(Letter.created_at)))
    asked = (
        select(Letter.to_user_id, written)
        .where(
            col(Letter.to_user_id).in_(people), Letter.kind == 'welcome',
            col(Letter.id) > UUID(int=int((since - WELCOME).timestamp() * 1000) << 80),  # where the index begins; ids are by time
            col(Letter.state).in_((LetterState.WAITING, LetterState.SENT, LetterState.KEPT)),
        )
        .group_by(col(Letter.to_user_id))
    )  # fmt: skip
    return {who: at + WELCOME for who, at in await db.exec(asked) if who and at > since}


def not_come_yet(until: datetime | None, *, again: str = '') -> Markup:
    """Of somebody without a password who never was here. `again`: their name, for whoever can send the letter again."""
    mark = macro('state')
    words = (
        mark(_('Invited, link good until {day}', day=day(until)), icon_name='mail')
        if until
        else mark(_('Not come in yet'), icon_name='circle-dashed')
    )
    if not again:
        return words
    label = (
        _('Send the welcome letter to {name} again', name=again) if until else _('Send the welcome letter to {name}', name=again)
    )
    button = macro('button')(
        _('Send again') if until else _('Send a letter'), act='welcome', small=True, attrs={'aria-label': label}
    )
    return Markup('{} {}').format(words, button)


def state_of(disabled_at: datetime | None, here: Presence, until: datetime | None = None, *, again: str = '') -> Markup:
    """Whether somebody can come in, and when they did last. `until`, `again`: see `not_come_yet`."""
    mark = macro('state')
    if disabled_at:
        return mark(_('Disabled'), icon_name='circle-slash')
    if here.seen_at:
        return Markup('<span class="faint">{}</span>').format(
            macro('moment')(here.seen_at, _('Here {when}', when=when(here.seen_at)))
        )
    if here.has_password:
        return Markup('<span class="faint">{}</span>').format(_('Not here lately'))
    return not_come_yet(until, again=again)


def phone_link(phone: str) -> Markup:
    """To be called with a click; an extension is for people."""
    return Markup('<a class="plain" href="tel:{}">{}</a>').format(dialled(phone), shown(phone))


def with_link(wrong: Wrong, here: Here) -> dict[str, Text]:
    """The words for each field; where an address is somebody's already, with the way to them."""
    fields: dict[str, Text] = dict(wrong.fields)
    if isinstance(wrong, Taken) and here.visit.by.is_staff:
        way = Markup('<a href="{}">{}</a>').format(here.url(f'/people/{wrong.person_id}'), _('Open their page'))
        fields['email'] = Markup('{} {}').format(wrong.fields['email'], way)
    return fields
