"""Addresses that are built from settings and the tenant, never from a request; and the signed links that letters carry."""

from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from portal.settings import Settings
from portal.signing import BadData, Signer, signer

Kind = Literal['reset', 'welcome']
AGES: dict[str, int] = {'reset': 30 * 60, 'welcome': 7 * 24 * 3600}  # seconds

RECOVERY = 15 * 24 * 3600  # seconds: the longest wait, and the week after it


def origin_of(host: str | None, settings: Settings) -> str:
    """scheme://host[:port] at which people find the tenant of this host name."""
    ours = urlsplit(settings.origin)
    if not host:
        return settings.origin
    port = f':{ours.port}' if ours.port else ''
    return f'{ours.scheme}://{host}{port}'


def _serializer(settings: Settings, mark: str) -> Signer:
    return signer(settings, f'password|{mark}')


def password_token(settings: Settings, tenant: UUID, user: UUID, kind: Kind, mark: str) -> str:
    """For a link to set a password. `mark` is a digest of the present one, so that the link dies when it was used."""
    return str(_serializer(settings, mark).dumps([str(tenant), str(user), kind]))


def read_unproven(settings: Settings, token: str) -> tuple[UUID, UUID] | None:
    """Whose token it claims to be: to look up the mark with which it can be proven."""
    try:
        _ok, payload = _serializer(settings, '').loads_unsafe(token[:2000])
        tenant, user, _kind = payload
        return UUID(tenant), UUID(user)
    except (TypeError, ValueError, AttributeError):
        return None


def is_good(settings: Settings, token: str, mark: str) -> bool:
    """Made by us, for this mark, and not too old."""
    try:
        serializer = _serializer(settings, mark)
        payload: Any = serializer.loads(token)
        serializer.loads(token, max_age=AGES[payload[2]])
    except (BadData, KeyError, IndexError, TypeError):
        return False
    return True


def recovery_token(settings: Settings, recovery: UUID, what: Literal['stop', 'use']) -> str:
    """For the letters to somebody who has lost a factor. What it does is asked of the recovery's row; it only says which one."""
    return str(signer(settings, f'recovery|{what}').dumps(str(recovery)))


def recovery_of(settings: Settings, token: str, what: Literal['stop', 'use']) -> UUID | None:
    try:
        return UUID(signer(settings, f'recovery|{what}').loads(token[:2000], max_age=RECOVERY))
    except (BadData, ValueError, TypeError, AttributeError):
        return None


# ---------- invitations, and a change of address ----------

INVITATION, ADDRESS = 7 * 24 * 3600, 24 * 3600  # seconds
Mailbox = Literal['old', 'new']


def invitation_token(settings: Settings, tenant: UUID, invitation: UUID, number: int) -> str:
    """Good while this is the number of its newest letter."""
    return str(signer(settings, 'invitation').dumps([str(tenant), str(invitation), number]))


def read_invitation(settings: Settings, token: str) -> tuple[UUID, UUID, int] | None:
    """Tenant, invitation and number, of a token that we made and that is not too old."""
    try:
        serializer = signer(settings, 'invitation')
        tenant, invitation, number = serializer.loads(token[:2000], max_age=INVITATION)
        return UUID(tenant), UUID(invitation), int(number)
    except (BadData, TypeError, ValueError, AttributeError):
        return None


def address_token(settings: Settings, tenant: UUID, change: UUID, mailbox: Mailbox) -> str:
    """Says that whoever has it reads what goes to the old, or the new address."""
    return str(signer(settings, 'address').dumps([str(tenant), str(change), mailbox]))


def read_address(settings: Settings, token: str) -> tuple[UUID, UUID, Mailbox] | None:
    try:
        serializer = signer(settings, 'address')
        tenant, change, mailbox = serializer.loads(token[:2000], max_age=ADDRESS)
        return (UUID(tenant), UUID(change), 'old' if mailbox == 'old' else 'new')
    except (BadData, TypeError, ValueError, AttributeError):
        return None
