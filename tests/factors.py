"""Second factors for somebody of the cast, past the screens."""

import time
from typing import Any

import psycopg
import pyotp

from portal import sealing
from portal.db.cast import Member
from portal.domain.base import uuid7
from portal.domain.factors import STEP, digest_of, new_code
from portal.settings import Settings


class Phone:
    """An authenticator app with the secret of one account."""

    def __init__(self, maintenance: str, settings: Settings, who: Member, name: str = 'Phone') -> None:
        self.secret, self.maintenance, self.id, self.who = pyotp.random_base32(), maintenance, uuid7(), who
        sealed = sealing.seal(settings, sealing.Place('totp', 'secret', who.tenant_id, self.id), self.secret.encode())
        self._do(
            """insert into totp (id, tenant_id, user_id, name, secret, confirmed_at) values (%s, %s, %s, %s, %s, now())""",
            self.id, who.tenant_id, who.user_id, name, sealed,
        )  # fmt: skip

    def code(self, steps: int = 0) -> str:
        """What it shows now, or so many steps from now."""
        return pyotp.TOTP(self.secret).at(int(time.time()) + steps * STEP)  # pyright: ignore

    def unused(self) -> None:
        """As if no code had been used."""
        self._do('update totp set last_step = 0 where id = %s', self.id)

    def recovery_codes(self, many: int = 2) -> list[str]:
        codes = [new_code() for _n in range(many)]
        for code in codes:
            digest = digest_of(self.who.tenant_id, self.who.user_id, code)
            self._do('insert into recovery_code (tenant_id, user_id, digest) values (%s, %s, %s)', self.who.tenant_id,
                     self.who.user_id, digest)  # fmt: skip
        return codes

    def _do(self, question: str, *values: Any) -> None:
        with psycopg.connect(self.maintenance, autocommit=True) as c:
            c.execute(question, values)  # pyright: ignore


def stale(maintenance: str, who: Member) -> None:
    """The person proved too long ago who they are."""
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute("update session set proved_at = now() - interval '16 minutes' where user_id = %s", (who.user_id,))
