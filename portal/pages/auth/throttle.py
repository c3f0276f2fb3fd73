"""Attempts are counted before they are made, and cost a growing wait; nobody is ever locked out.

Buckets, of which the database keeps digests only: an account from devices it does not know, an account from one it knows
(so that a stranger's attempts make nobody wait at their own computer), and an address prefix for what comes from one place.
"""

import hashlib
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request

from portal import proxies, visit
from portal.i18n import _n
from portal.pages.auth.forms import Side

LETTER_AT = 100  # failures in a row: the person gets a link by mail
PROOF_LETTER_AT = 10  # proofs asked of somebody who has given one already: the person is told


class TooSoon(Exception):
    """Nothing was looked at."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    @property
    def words(self) -> str:
        return _n('Too many attempts. Try again in {n} second.', 'Too many attempts. Try again in {n} seconds.', self.seconds)


@dataclass(frozen=True, slots=True)
class Bucket:
    """`free` failures cost nothing; then the wait doubles from one second to `most`."""

    label: str
    free: int
    most: int
    forgets: bool = False
    """A success clears it. Where many people share one, it only takes its own attempt back."""

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.label.encode()).digest()


def account(tenant: UUID, side: Side, email: str) -> Bucket:
    """By what was typed, whether or not there is such an account."""
    return Bucket(f'account|{tenant}|{side}|{email}', 5, 60, forgets=True)


def known_device(tenant: UUID, user: UUID, device: str) -> Bucket:
    return Bucket(f'known|{tenant}|{user}|{device}', 5, 60, forgets=True)


def second(tenant: UUID, user: UUID, device: str) -> Bucket:
    """Proofs of somebody who has proved already that they know the password. `device`: one that knows the person, or ''."""
    return Bucket(f'second|{tenant}|{user}|{device}', 5, 900, forgets=True)


def second_known(tenant: UUID, user: UUID) -> Bucket:
    """The same proofs over all devices that know the person, so that many of them are not many times five guesses."""
    return Bucket(f'second-known|{tenant}|{user}', 20, 300, forgets=True)


def second_anywhere(tenant: UUID, user: UUID) -> Bucket:
    """Counts them all, and makes nobody wait."""
    return Bucket(f'second-anywhere|{tenant}|{user}', 2**30, 0, forgets=True)


def letters(tenant: UUID, side: Side, email: str) -> Bucket:
    """Letters asked for one address: nobody's mailbox is flooded."""
    return Bucket(f'letters|{tenant}|{side}|{email}', 3, 600)


def prefix(request: Request, what: str) -> Bucket:
    tenant = request.state.tenant
    return Bucket(f'prefix|{what}|{tenant.id if tenant else ""}|{place(request)}', 30, 30)


def place(request: Request) -> str:
    """The network somebody comes from."""
    return proxies.network(request.client.host if request.client else '')


@dataclass(frozen=True, slots=True)
class Attempt:
    """Reserved; stands as failed until it is taken back."""

    buckets: tuple[Bucket, ...]

    async def was_good(self) -> None:
        for bucket in self.buckets:
            await _take_back(bucket, forget=bucket.forgets)

    async def was_none(self) -> None:
        """Nothing was tried after all."""
        for bucket in self.buckets:
            await _take_back(bucket, forget=False)

    async def failures(self) -> int:
        """In a row, in the first bucket."""
        return (await visit.database.ask('select app.failures(:bucket)', bucket=self.buckets[0].digest))[0]


async def reserve(*buckets: Bucket) -> Attempt:
    """One attempt in each; raises TooSoon, and then counts in none."""
    for n, bucket in enumerate(buckets):
        row = await visit.database.ask(
            'select app.attempt(:bucket, :free, :most)', bucket=bucket.digest, free=bucket.free, most=bucket.most
        )
        if row[0]:
            await Attempt(buckets[:n]).was_none()
            raise TooSoon(row[0])
    return Attempt(buckets)


async def _take_back(bucket: Bucket, *, forget: bool) -> None:
    await visit.database.ask('select app.attempt_was_good(:bucket, :forget)', bucket=bucket.digest, forget=forget)
