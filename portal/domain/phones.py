"""Telephone numbers: read as people write them, kept so that every telephone can call them, shown so that one can read them."""

import re
from functools import cache

import phonenumbers
from babel import Locale
from babel.core import get_global
from phonenumbers import NumberParseException, PhoneNumberFormat

from portal.domain.base import Wrong
from portal.i18n import _, voice

MOST = 60
_WRITTEN = re.compile(r'[\d\s+()/.,;:x#*–-]+(?:(?:ext|Ext|Durchwahl|App)\.? ?\d+)?')


def region_of(country: str | None, timezone: str = '') -> str:
    """The region whose numbers are meant without a country's code: of a country as somebody wrote it, else of a time zone."""
    if country and (found := _countries().get(country.strip().lower())):
        return found
    return str(get_global('zone_territories').get(timezone, ''))


@cache
def _countries() -> dict[str, str]:
    """Names in every language of the portal, and ISO codes."""
    known: dict[str, str] = {}
    for language in ('en', 'de', 'fr', 'it', 'es', 'nl'):
        names: dict[str, str] = dict(Locale(language).territories)
        known |= {name.lower(): code for code, name in names.items() if len(code) == 2 and code.isalpha()}
    return known | {code.lower(): code for code in known.values()}


def clean_phone(value: str, region: str = '', *, field: str = 'phone') -> str:
    """As it is kept: E.164, with `;ext=` where there is an extension (RFC 3966). What is no number of any country, such as a short
    one within a building, is kept as it was typed; raises Wrong for what is no number at all."""
    value = ' '.join(''.join(c if c.isprintable() else ' ' for c in value).split())
    if len(value) > MOST:
        raise Wrong(**{field: _('At most {n} letters, please.', n=MOST)})
    if not value:
        return ''
    if not value.isascii() and not _WRITTEN.fullmatch(value):
        raise Wrong(**{field: _('This does not look like a phone number.')})
    try:
        number = phonenumbers.parse(re.sub(r'Durchwahl|App\b', 'ext', value), region or None)
    except NumberParseException:
        number = None
    if number and re.search(r'\d', value) and _as_written(value) and phonenumbers.is_valid_number(number):
        kept = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        return f'{kept};ext={number.extension}' if number.extension else kept
    if not _WRITTEN.fullmatch(value) or not re.search(r'\d{3}|\d.*\d.*\d', value):
        raise Wrong(**{field: _('This does not look like a phone number.')})
    return value


def _as_written(value: str) -> bool:
    """Not a number with words around it, of which the library would take the digits alone."""
    return bool(re.fullmatch(r'(tel:)?[\d\s+()/.,;:x#*=–-]+(?:(?:;?ext|Ext|Durchwahl|App|x)[.=]? ?\d+)?', value))


def shown(phone: str) -> str:
    """In the way of its country, with the country's code; a number that is none of any country as it was typed."""
    try:
        number = phonenumbers.parse(phone, None)
    except NumberParseException:
        return phone
    extension, number.extension = number.extension, None
    words = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    if not extension:
        return words
    return f'{words} Durchwahl {extension}' if voice().language == 'de' else f'{words} ext. {extension}'


def dialled(phone: str) -> str:
    """For `tel:`."""
    return re.sub(r'[^\d+]', '', re.split(r'[a-zA-Z;]', phone)[0])
