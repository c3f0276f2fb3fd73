"""Words, dates and numbers in the language and time zone of whoever is looking.

Every visible word goes through one of these, from code and from templates alike:

`_('Hello {name}', name=…)`            a sentence
`_n('{n} ticket', '{n} tickets', n)`   with a number; `n` is filled in
`_p('verb', 'Open')`                   where one English word has several meanings
`_m('<b>{name}</b> closed it', name=…)`, `_mn(…)`   with markup of ours; the values are escaped
`L_('Tickets')`                        at import time, translated each time it is shown

The language is a context variable: set at the door for a request, again for every event of an open page, and by a job
for the person it writes to. Catalogues are `locales/<language>/LC_MESSAGES/portal.po`.
"""

import gettext as gettext_module
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale, UnknownLocaleError, dates, numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import LazyProxy
from markupsafe import Markup

LOCALES = Path(__file__).parent.parent / 'locales'
LANGUAGES = {'en': 'English', 'de': 'Deutsch'}
PSEUDO = 'en-XA'  # every message in brackets and with accents: a test finds words that were not translated


@dataclass(frozen=True, slots=True)
class Voice:
    """How to speak to somebody: language (one of LANGUAGES, or PSEUDO) and time zone (IANA name)."""

    language: str = 'en'
    timezone: str = 'UTC'

    @property
    def babel(self) -> Locale:
        return _locale(self.language)

    @property
    def zone(self) -> ZoneInfo:
        return _zone(self.timezone)


@cache
def _locale(language: str) -> Locale:
    # English is written with the clock of 24 hours and the day first, as the portal's designs are
    return Locale('en', 'GB') if language in ('en', PSEUDO) else Locale.parse(language)


_voice: ContextVar[Voice] = ContextVar('voice', default=Voice())  # noqa: B039  (frozen)


def voice() -> Voice:
    return _voice.get()


def speak(to: Voice) -> None:
    """From here on in this task and those it starts."""
    _voice.set(to)


@contextmanager
def speaking(to: Voice) -> Iterator[None]:
    token = _voice.set(to)
    try:
        yield
    finally:
        _voice.reset(token)


def known_language(wanted: str | None) -> str | None:
    """The language we have for a wish such as `de-AT`, or None. Nobody can choose PSEUDO, but whoever has it keeps it."""
    if wanted == PSEUDO:
        return PSEUDO
    try:
        language = Locale.parse((wanted or '').replace('-', '_')).language if wanted else None
    except (ValueError, UnknownLocaleError):
        return None
    return language if language in LANGUAGES else None


def accepted_language(header: str) -> str | None:
    """From `Accept-Language`, the first we have, by weight (RFC 9110 §12.5.4)."""
    wishes: list[tuple[float, str]] = []
    for part in header[:500].split(','):
        tag, _sep, weight = part.partition(';')
        try:
            wishes.append((float(weight.strip().removeprefix('q=')) if weight.strip() else 1.0, tag.strip()))
        except ValueError:
            continue
    ours = (known_language(tag) for weight, tag in sorted(wishes, key=lambda w: -w[0]) if weight > 0)
    return next((found for found in ours if found in LANGUAGES), None)


def known_timezone(name: str | None) -> str | None:
    return name if name and name in _zone_names() else None


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError):
        return ZoneInfo('UTC')


# ---------- messages ----------


class _Pseudo(gettext_module.NullTranslations):
    def gettext(self, message: str) -> str:
        return pseudo(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return pseudo(msgid1 if n == 1 else msgid2)

    def pgettext(self, context: str, message: str) -> str:
        return pseudo(message)


_PLACEHOLDERS = re.compile(r'(\{[^}]*\}|<[^>]+>|&\w+;)')
_ACCENTS = str.maketrans('aeiouAEIOUncsy', 'àéîöûÀÉÎÖÛñçšý')


def pseudo(message: str) -> str:
    parts = (p if _PLACEHOLDERS.fullmatch(p) else p.translate(_ACCENTS) for p in _PLACEHOLDERS.split(message))
    return f'⟦{"".join(parts)}⟧'


@cache
def catalogue(language: str) -> gettext_module.NullTranslations:
    if language == PSEUDO:
        return _Pseudo()
    source = LOCALES / language / 'LC_MESSAGES' / 'portal.po'
    if not source.exists():
        return gettext_module.NullTranslations()
    compiled = source.with_suffix('.mo')
    if not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime:
        return _compiled(source, compiled)
    with compiled.open('rb') as f:
        return gettext_module.GNUTranslations(f)


def _compiled(source: Path, target: Path) -> gettext_module.NullTranslations:
    from io import BytesIO
    from tempfile import NamedTemporaryFile

    buffer = BytesIO()
    with source.open('rb') as f:
        write_mo(buffer, read_po(f, locale=source.parent.parent.name))
    try:
        with NamedTemporaryFile(dir=target.parent, delete=False) as f:
            f.write(buffer.getvalue())
        Path(f.name).chmod(0o644)
        Path(f.name).replace(target)
    except OSError:
        pass  # a read-only installation: compiled anew at each start
    buffer.seek(0)
    return gettext_module.GNUTranslations(buffer)


def _messages() -> gettext_module.NullTranslations:
    return catalogue(voice().language)


def _(message: str, **values: object) -> str:
    text = _messages().gettext(message)
    return text.format(**values) if values else text


def _n(one: str, many: str, n: int, **values: object) -> str:
    return _messages().ngettext(one, many, n).format(n=number(n), **values)


def _p(context: str, message: str, **values: object) -> str:
    text = _messages().pgettext(context, message)
    return text.format(**values) if values else text


def _m(message: str, **values: object) -> Markup:
    """A message with markup of ours; every value is escaped unless it is Markup itself."""
    return Markup(_messages().gettext(message)).format(**values)  # noqa: S704


def _mn(one: str, many: str, n: int, **values: object) -> Markup:
    return Markup(_messages().ngettext(one, many, n)).format(n=number(n), **values)  # noqa: S704


def L_(message: str) -> Any:
    """Translated each time it is shown, not when it is defined (a cache would freeze the first visitor's language)."""
    return LazyProxy(lambda: _messages().gettext(message), enable_cache=False)


# ---------- dates and numbers ----------


def now() -> datetime:
    return datetime.now(UTC)


def local(at: datetime) -> datetime:
    return at.astimezone(voice().zone)


def clock(at: datetime) -> str:
    """`14:05`"""
    here = local(at)
    return f'{here.hour}:{here.minute:02}'


def day(at: datetime | date, *, year: bool | None = None) -> str:
    """`Tue 17 Nov`, with the year where it is not this one."""
    here = local(at).date() if isinstance(at, datetime) else at
    with_year = here.year != local(now()).year if year is None else year
    return _day('yMMMd' if with_year else 'MMMEd', here, voice().babel).replace(',', '')


def long_day(at: datetime) -> str:
    """`Thursday 19 November`"""
    locale = voice().babel
    pattern = 'EEEE, d. MMMM' if locale.language == 'de' else 'EEEE d MMMM'
    return dates.format_date(local(at).date(), pattern, locale=locale)


def exact(at: datetime) -> str:
    """`19 November 2026, 10:42`: shown on hover beside a relative time."""
    return f'{_day("long", local(at).date(), voice().babel)}, {clock(at)}'


@lru_cache(4096)  # the same few days stand on every page
def _day(how: str, at: date, locale: Locale) -> str:
    if how == 'long':
        return dates.format_date(at, 'long', locale=locale)
    return dates.format_skeleton(how, at, locale=locale)


def when(at: datetime) -> str:
    """As people say it: `12 min ago`, `10:30`, `Yesterday`, `Tue 17 Nov`, `3 Aug 2025`."""
    passed = now() - at
    days = (local(now()).date() - local(at).date()).days
    if passed < timedelta(minutes=1):
        return _('just now')
    if passed < timedelta(hours=1):
        return _('{n} min ago', n=number(int(passed.total_seconds() // 60)))
    if days == 0:
        return clock(at)
    return _('Yesterday') if days == 1 else day(at)


def said_at(at: datetime) -> str:
    """Beside a comment: `Today, 10:30`, `Tue, 8:14`, `17 Oct, 8:14`."""
    days = (local(now()).date() - local(at).date()).days
    if days == 0:
        word = _('Today')
    elif days == 1:
        word = _('Yesterday')
    elif 0 < days < 7:
        word = dates.format_date(local(at), 'EEE', locale=voice().babel).rstrip('.')
    else:
        word = day(at)
    return f'{word}, {clock(at)}'


def number(n: int | float) -> str:
    return numbers.format_decimal(n, locale=voice().babel)


def spelled(n: int) -> str:
    """`Two`: small numbers as words, at the beginning of a sentence."""
    words = (
        _('No'), _('One'), _('Two'), _('Three'), _('Four'), _('Five'), _('Six'), _('Seven'), _('Eight'), _('Nine'), _('Ten'),
        _('Eleven'), _('Twelve'),
    )  # fmt: skip
    return words[n] if 0 <= n < len(words) else number(n)


def capped(n: int, most: int = 99) -> str:
    """A count that waits: exact up to `most`, then `99+`."""
    return number(n) if n <= most else f'{number(most)}+'
