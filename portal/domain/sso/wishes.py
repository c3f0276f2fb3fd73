"""A provider as it stands in a form, and what can stand in its fields."""

import re
from dataclasses import dataclass
from typing import Any

from portal.domain.base import Wrong
from portal.domain.people import clean_name
from portal.domain.sso.model import Provider
from portal.i18n import _

MICROSOFT, GOOGLE = 'https://login.microsoftonline.com', 'https://accounts.google.com'
KINDS = ('microsoft', 'google', 'other')
#: Roles that a provider may give to people it creates: none that gives rights over others.
CREATED_AS = {'staff': ('Technician', 'Finance'), 'client': ('ClientUser', 'ClientBilling')}
MOST_DOMAINS = 50
#: Of addresses that anybody can have: no company speaks for them.
PUBLIC_MAIL = frozenset((
    'gmail.com', 'googlemail.com', 'outlook.com', 'hotmail.com', 'live.com', 'msn.com', 'yahoo.com', 'icloud.com', 'me.com', 'gmx.de',
    'gmx.net', 'gmx.com', 'web.de', 't-online.de', 'freenet.de', 'proton.me', 'protonmail.com', 'aol.com', 'mail.com', 'posteo.de',
))  # fmt: skip


_GUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
_DOMAIN = re.compile(r'(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?')


@dataclass(frozen=True, slots=True)
class Wish:
    """A provider as it stands in a form; `whose`: 'staff', 'client' (all of them), or the id of a company."""

    whose: str = 'client'
    kind: str = 'microsoft'
    name: str = ''
    directory: str = ''  # of Microsoft: the tenant id
    issuer: str = ''
    client_id: str = ''
    domains: str = ''
    default_role: str = ''

    @property
    def side(self) -> str:
        return 'staff' if self.whose == 'staff' else 'client'


def wish_of(provider: Provider) -> Wish:
    whose = str(provider.company_id) if provider.company_id else provider.side
    directory = provider.issuer.removeprefix(f'{MICROSOFT}/').removesuffix('/v2.0') if provider.kind == 'microsoft' else ''
    return Wish(whose, provider.kind, provider.name, directory, provider.issuer if provider.kind == 'other' else '',
                provider.client_id, '\n'.join(provider.domains), provider.default_role or '')  # fmt: skip


def issuer_of(wish: Wish) -> str:
    """Raises Wrong. Microsoft's shared addresses (common, organizations) are refused: everybody in the world has an account there,
    with an address of their own choosing."""
    if wish.kind == 'google':
        return GOOGLE
    if wish.kind == 'microsoft':
        directory = wish.directory.strip().lower()
        if not _GUID.fullmatch(directory):
            raise Wrong(directory=_('The tenant id has 36 signs, such as 8f2c…-…: Microsoft Entra shows it under Overview.'))
        return f'{MICROSOFT}/{directory}/v2.0'
    issuer = wish.issuer.strip()
    good = re.fullmatch(r'https?://[A-Za-z0-9.:\[\]-]+(/[\x21-\x7e]*)?', issuer) and len(issuer) <= 300
    if not good or '?' in issuer or '#' in issuer or '\\' in issuer:
        raise Wrong(issuer=_('An address such as https://login.example.com/realms/us, as the provider calls itself.'))
    if issuer.startswith(MICROSOFT):
        raise Wrong(issuer=_('Add Microsoft 365 instead, and enter the tenant id.'))
    return issuer


def domains_of(text: str) -> list[str]:
    """One for each line, comma or space. Raises Wrong."""
    found = sorted({word.lstrip('@').rstrip('.').lower() for word in re.split(r'[\s,;]+', text) if word.strip('@.')})
    for domain in found:
        try:
            plain = domain.encode('idna').decode()
        except UnicodeError:
            plain = ''
        if not _DOMAIN.fullmatch(plain):
            raise Wrong(domains=_('“{domain}” is no domain. Write example.com, one on each line.', domain=domain[:60]))
        if plain in PUBLIC_MAIL:
            raise Wrong(domains=_('Anybody can have an address of {domain}: nobody can speak for it.', domain=domain))
    if len(found) > MOST_DOMAINS:
        raise Wrong(domains=_('At most {n} domains, please.', n=MOST_DOMAINS))
    return [domain.encode('idna').decode() for domain in found]


def cleaned(wish: Wish) -> dict[str, Any]:
    """As it is kept; raises Wrong with the words for every field."""
    wrong: dict[str, str] = {}
    good: dict[str, Any] = {'side': wish.side, 'kind': wish.kind}
    if wish.kind not in KINDS:
        wrong['kind'] = _('Choose one.')
    for field, clean in (
        ('name', lambda: clean_name(wish.name, most=60)),
        ('issuer', lambda: issuer_of(wish)),
        ('domains', lambda: domains_of(wish.domains)),
        ('client_id', lambda: _client_id(wish.client_id)),
        ('default_role', lambda: _default_role(wish)),
    ):
        try:
            good[field] = clean()
        except Wrong as e:
            wrong |= e.fields
    if good.get('default_role') and not good.get('domains', [1]):
        wrong['domains'] = _('For which addresses may people be created? Name the domains.')
    if wrong:
        raise Wrong(**wrong)
    return good


def _client_id(text: str) -> str:
    text = text.strip()
    if not text or len(text) > 300 or not re.fullmatch(r'[\x21-\x7e]+', text):
        raise Wrong(client_id=_('The provider shows it where you registered the portal.'))
    return text


def _default_role(wish: Wish) -> str | None:
    if not wish.default_role:
        return None
    if wish.whose == 'client':
        raise Wrong(default_role=_('For all clients nobody can be created: it would not be known for which company.'))
    if wish.default_role not in CREATED_AS[wish.side]:
        raise Wrong(default_role=_('Choose a role.'))
    return wish.default_role
