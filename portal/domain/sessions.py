"""Where somebody is signed in, and ending it. All of it goes by functions of the database, which know sessions by ids alone:
no token leaves it, and an id of somebody else's session does nothing."""

import ipaddress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import NotAllowed, Permission, Principal, verb
from portal.domain.base import NotFound


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`network`: /24 of IPv4, /64 of IPv6; '' where it is not known. `announced`: there was a letter about a new device."""

    id: UUID
    device: str
    network: str
    proofs: tuple[str, ...]
    created_at: datetime
    last_seen_at: datetime
    announced: bool
    here: bool


async def my_sessions(db: AsyncSession) -> list[SignedIn]:
    """Those that live, of the person who asks: the present one first, then by their last use."""
    connection = await db.connection()
    rows = await connection.exec_driver_sql(
        'select id, device, network, proofs, created_at, last_seen_at, announced, here from app.my_sessions()'
    )
    return [
        SignedIn(
            row.id, row.device, row.network or '', tuple(row.proofs), row.created_at, row.last_seen_at, row.announced, row.here
        )
        for row in rows
    ]


def own_network(network: str) -> bool:
    """Whether it is one that the world outside does not see: the office, or this computer."""
    try:
        return not ipaddress.ip_network(network).is_global
    except ValueError:
        return False


@verb(Permission.PROFILE_EDIT)
async def end_session(db: AsyncSession, by: Principal, session: UUID) -> None:
    """Raises NotFound for one that is over, or somebody else's."""
    if not await _say(db, 'end_my_session', session):
        raise NotFound


@verb(Permission.PROFILE_EDIT)
async def end_other_sessions(db: AsyncSession, by: Principal) -> int:
    """All but the present one; how many there were."""
    return await _say(db, 'end_my_other_sessions')


@verb(Permission.PROFILE_EDIT, fresh=True)
async def disown_sessions(db: AsyncSession, by: Principal) -> None:
    """Somebody else was signed in: all sessions end, the password counts no more, and neither does any way in that was added
    since the oldest of the others began. The person gets a letter to set another password, and staff who decide about access hear of it.

    It asks for a proof: whoever sits at somebody's open page could take their second factor away by it."""
    await _say(db, 'disown_my_sessions')


@verb(Permission.PROFILE_EDIT)
async def sign_out_person(db: AsyncSession, by: Principal, person: UUID) -> None:
    """Ends every session of somebody else, who gets a letter; for whom, decides the database. Raises NotAllowed."""
    if not (by.may(Permission.PEOPLE_MANAGE) or by.may(Permission.ACCESS_MANAGE)):
        raise NotAllowed(Permission.PEOPLE_MANAGE)
    if not await _say(db, 'sign_out_person', person):
        raise NotFound


async def _say(db: AsyncSession, function: str, *values: Any) -> Any:
    connection = await db.connection()
    marks = ', '.join(['%s'] * len(values))
    return (await connection.exec_driver_sql(f'select app.{function}({marks})', values)).scalar()
