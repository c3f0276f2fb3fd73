"""Fields that are kept encrypted: AES-256-GCM, for secrets that the portal has to know again (a digest is better where it has not).

    version, 1 byte | key id, 8 bytes | nonce, 12 bytes | ciphertext and tag

Key and key id are derived by HKDF (RFC 5869) from the portal's secret, each with an info of its own, so that the id tells nothing of
the key. What is associated is the place, `table|column|tenant|id`: a ciphertext that was moved to another row, column or tenant does
not open. What is new is sealed with the present key; PORTAL_OLD_SECRET_KEYS still open what is older, and
`python -m portal reseal` (portal/db/resealing.py) brings that to the present key.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from portal.settings import Settings

VERSION = b'\x01'
KEY_ID, NONCE, TAG = 8, 12, 16  # bytes
_HEAD = len(VERSION) + KEY_ID


class CannotUnseal(Exception):
    """Not what was sealed for this place, or sealed with a key that the portal does not have."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value stands; it opens nowhere else."""

    table: str
    column: str
    tenant: UUID
    id: UUID

    @property
    def words(self) -> bytes:
        return f'{self.table}|{self.column}|{self.tenant}|{self.id}'.encode()


def seal(settings: Settings, place: Place, plain: bytes) -> bytes:
    key_id, key = _key(settings.secret)
    nonce, head = os.urandom(NONCE), VERSION + key_id
    return head + nonce + AESGCM(key).encrypt(nonce, plain, head + place.words)


def unseal(settings: Settings, place: Place, sealed: bytes) -> bytes:
    """Raises CannotUnseal."""
    head, nonce, rest = sealed[:_HEAD], sealed[_HEAD : _HEAD + NONCE], sealed[_HEAD + NONCE :]
    key = _keys(settings).get(head[len(VERSION) :])
    if head[:1] != VERSION or key is None or len(rest) < TAG:
        raise CannotUnseal
    try:
        return AESGCM(key).decrypt(nonce, rest, head + place.words)
    except InvalidTag:
        raise CannotUnseal from None


def is_current(settings: Settings, sealed: bytes) -> bool:
    """Whether it was sealed with the present key."""
    return sealed[:_HEAD] == VERSION + _key(settings.secret)[0]


def _keys(settings: Settings) -> dict[bytes, bytes]:
    return dict(_key(secret) for secret in (*(word.encode() for word in settings.old_secret_keys or ()), settings.secret))


@lru_cache(maxsize=16)
def _key(secret: bytes) -> tuple[bytes, bytes]:
    """Its id, and the key."""
    return _derived(secret, b'portal sealed fields, key id', KEY_ID), _derived(secret, b'portal sealed fields, key', 32)


def _derived(secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)
