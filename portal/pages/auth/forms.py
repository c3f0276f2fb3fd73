"""What forms of the door send, and the addresses they may lead to."""

import unicodedata
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

from portal.guard import CLIENT, MSP

Side = Literal['client', 'staff']
ROOT: dict[Side, str] = {'client': CLIENT, 'staff': MSP}
USER_TYPE: dict[Side, str] = {'client': 'client', 'staff': 'internal'}
INVITATION = '/auth/invitation'  # which it is about is in a cookie (invitation.py)
MOST_BYTES, MOST_FIELDS = 32_768, 40


async def typed(request: Request) -> dict[str, str]:
    """The fields of a form. Limited here, because nobody has signed in yet: Starlette would read any length into memory."""
    body = b''
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise HTTPException(413)
    try:
        pairs = parse_qsl(body.decode('ascii'), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise HTTPException(400) from None
    return {name: value.replace('\0', '') for name, value in pairs}  # PostgreSQL takes no NUL


def plain_email(address: str) -> str:
    """As addresses are kept (`people.clean_email`), but nothing is refused: an impossible address is an unknown one."""
    return unicodedata.normalize('NFKC', address).strip().lower()[:254]


def local_path(address: str | None) -> str | None:
    """The address if it leads to a page of this portal and nowhere else: a single leading slash, then no second one."""
    if not address or len(address) > 2000 or not address.startswith('/') or address.startswith('//'):
        return None
    if '\\' in address or any(unicodedata.category(c) in ('Cc', 'Cf', 'Zl', 'Zp') for c in address):
        return None
    path = unquote(urlsplit(address).path)
    climbs = any(part in ('.', '..') for part in path.replace('\\', '/').split('/'))
    return None if climbs or path.startswith(('//', '/\\')) else address


def next_for(side: Side, address: str | None) -> str | None:
    """Where to go after signing in: only to a page of the side one signs in to, or back to the invitation one came from."""
    local = local_path(address)
    if local == INVITATION:
        return local
    path = urlsplit(local).path if local else ''
    return local if path == ROOT[side] or path.startswith(ROOT[side] + '/') else None


def side_of(request: Request) -> Side:
    return 'staff' if request.url.path.startswith(('/auth/msp/', MSP)) else 'client'
