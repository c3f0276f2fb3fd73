"""The MSP's own settings: how it is called and found, its colour, and what holds for everybody unless they chose otherwise."""

import re
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.audit import record
from portal.domain.base import Wrong
from portal.domain.people import Tenant, clean_name
from portal.i18n import L_, LANGUAGES, _, known_timezone

REOPEN_DAYS = (0, 365)
REVIEW_DAYS = (14, 730)  # or 0: never
_HOST = re.compile(r'(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*')
_FOUND_BY = {'host': L_('This address is taken. Choose another.'), 'name': L_('This name is taken. Choose another.')}
_ACCENT = re.compile(r'#[0-9a-f]{6}')


@verb(Permission.TENANT_MANAGE)
async def change_tenant(db: AsyncSession, by: Principal, *, taken: Collection[str] = (), **wanted: Any) -> None:
    """Changes what is named, and nothing else: `name`, `short_name`, `host`, `phone`, `phone_hours`, `accent`, `language`,
    `timezone`, `reopen_days`, `review_days`. Raises Wrong with every field that cannot be taken.

    `taken` are names and hosts at which another tenant answers: nobody gets in front of it.
    """
    tenant = await db.get_one(Tenant, by.tenant.id, with_for_update={'key_share': True}, populate_existing=True)
    good, wrong = clean_details(wanted)
    wrong |= {name: str(words) for name, words in _FOUND_BY.items() if name in good and good[name] in taken}
    changed = [name for name, value in good.items() if value != getattr(tenant, name)]
    for name in changed:
        setattr(tenant, name, good[name])
    if wrong:
        raise Wrong(**wrong)
    if not changed:
        return
    try:
        await db.flush()
    except IntegrityError:
        raise Wrong(host=str(_FOUND_BY['host'])) from None
    await record(db, 'tenant.changed', subject=tenant.id, fields=sorted(changed))


def clean_details(wanted: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """What can be taken, as it is kept, and what is wrong, by field; of the fields that `change_tenant` names."""
    good: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, value in wanted.items():
        try:
            good[name] = _CLEAN[name](value)
        except Wrong as e:
            wrong |= e.fields
    return good, wrong


def _host(text: str) -> str | None:
    """As a browser sends it: international names in their ASCII form."""
    typed = text.strip().rstrip('.').lower()
    if not typed:
        return None
    try:
        plain = typed.encode('idna').decode()
    except UnicodeError:
        plain = ''
    if not _HOST.fullmatch(plain):
        raise Wrong(host=_('A name alone, such as portal.example.com: without https:// and without a path.'))
    return plain


def _accent(text: str) -> str | None:
    typed = text.strip().lower()
    if typed and not _ACCENT.fullmatch(typed):
        raise Wrong(accent=_('A colour is written like #1e53bc.'))
    return typed or None


def _language(wanted: str) -> str:
    if wanted not in LANGUAGES:
        raise Wrong(language=_('Choose a language.'))
    return wanted


def _timezone(wanted: str) -> str:
    if not known_timezone(wanted):
        raise Wrong(timezone=_('Choose a time zone.'))
    return wanted


def _line(field: str, most: int) -> Any:
    """A line that may be empty."""

    def clean(text: str) -> str | None:
        return clean_name(text, field=field, most=most) if text.strip() else None

    return clean


def whole_number(field: str, least: int, most: int) -> Any:
    """Makes of what was typed a number within these bounds, or raises Wrong."""

    def clean(text: str | int) -> int:
        typed = str(text).strip()
        if not (typed.isascii() and typed.isdigit() and len(typed) < 9 and least <= int(typed) <= most):
            raise Wrong(**{field: _('A whole number from {least} to {most}, please.', least=least, most=most)})
        return int(typed)

    return clean


def _review_days(text: str | int) -> int:
    if str(text).strip() == '0':
        return 0
    days: int = whole_number('review_days', *REVIEW_DAYS)(text)
    return days


_CLEAN: dict[str, Any] = {
    'name': clean_name,
    'short_name': partial(clean_name, field='short_name', most=60),
    'host': _host,
    'phone': _line('phone', 40),
    'phone_hours': _line('phone_hours', 80),
    'accent': _accent,
    'language': _language,
    'timezone': _timezone,
    'reopen_days': whole_number('reopen_days', *REOPEN_DAYS),
    'review_days': _review_days,
}
