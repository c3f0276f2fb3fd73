"""Encryption of an archive: AES-256-GCM in chunks, as in STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015).

    "portal backup, sealed 1\\n" | salt, 16 bytes | proof of the key, 16 bytes | chunks of 1 MiB and 16 bytes, the last one shorter

The key is made by scrypt (RFC 7914) from the passphrase and the salt, so that no two archives share one. The nonce of a chunk
is its number (11 bytes) and whether it is the last (1 byte): a chunk that is missing, moved, repeated or altered is noticed, and
so is an end that comes too early.
"""

import hmac
import os
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from portal.backup.errors import Unusable

MAGIC = b'portal backup, sealed 1\n'
SALT, PROOF, TAG, CHUNK = 16, 16, 16, 1 << 20  # bytes
ALTERED = 'The archive is damaged: it was cut short or altered.'


class Sealer:
    """A file to write to. What was written counts only after `close`."""

    def __init__(self, out: IO[bytes], passphrase: str) -> None:
        salt = os.urandom(SALT)
        key, proof = _keys(passphrase, salt)
        self.header = MAGIC + salt + proof
        self.out, self.cipher, self.number, self.waiting = out, AESGCM(key), 0, bytearray()
        out.write(self.header)

    def write(self, data: bytes) -> int:
        self.waiting += data
        while len(self.waiting) > CHUNK:  # never the last one: only `close` knows it
            self._chunk(bytes(self.waiting[:CHUNK]), last=False)
            del self.waiting[:CHUNK]
        return len(data)

    def close(self) -> None:
        self._chunk(bytes(self.waiting), last=True)

    def _chunk(self, plain: bytes, *, last: bool) -> None:
        self.out.write(self.cipher.encrypt(_nonce(self.number, last), plain, self.header))
        self.number += 1


class Unsealer:
    """A file to read from. Raises Unusable at the first byte that is not what was written."""

    def __init__(self, source: IO[bytes], passphrase: str) -> None:
        self.header = source.read(len(MAGIC) + SALT + PROOF)
        key, proof = _keys(passphrase, self.header[len(MAGIC) : -PROOF])
        if not hmac.compare_digest(self.header[-PROOF:], proof):
            raise Unusable('The key does not open this archive.')
        self.source, self.cipher, self.number, self.ready, self.ended = source, AESGCM(key), 0, bytearray(), False
        self.next = source.read(CHUNK + TAG)

    def read(self, size: int = -1) -> bytes:
        while not self.ended and (size < 0 or len(self.ready) < size):
            self._chunk()
        size = len(self.ready) if size < 0 else size
        found = bytes(self.ready[:size])
        del self.ready[:size]
        return found

    def _chunk(self) -> None:
        sealed, self.next = self.next, self.source.read(CHUNK + TAG)
        self.ended = not self.next
        try:
            self.ready += self.cipher.decrypt(_nonce(self.number, self.ended), sealed, self.header)
        except InvalidTag:
            raise Unusable(ALTERED) from None
        self.number += 1


def is_sealed(beginning: bytes) -> bool:
    return beginning.startswith(MAGIC)


def _keys(passphrase: str, salt: bytes) -> tuple[bytes, bytes]:
    derived = Scrypt(salt=salt, length=32 + PROOF, n=1 << 17, r=8, p=1).derive(passphrase.encode())  # 128 MiB
    return derived[:32], derived[32:]


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, 'big') + bytes([last])
