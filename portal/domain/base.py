"""What every table shares."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import DateTime, Enum, Text, text

from portal.i18n import now as now


def uuid7() -> UUID:
    """Sorts by time of making (RFC 9562); ids are made by the server, never taken from outside."""
    return uuid_utils.compat.uuid7()


def as_word(kind: type[StrEnum]) -> Any:
    """A column type that stores an enum as its word.

    Text comparison is leakproof, so indexes work under row security; that of PostgreSQL's own enums is not.
    """
    return Enum(kind, native_enum=False, length=20, create_constraint=False, values_callable=lambda k: [m.value for m in k])  # pyright: ignore


Moment: Any = DateTime(timezone=True)
Words: Any = Text()
#: `tenant_id` is written by the database from the context, whatever the program says or forgets.
TENANT: Any = {'server_default': text('app.tenant()')}


class NotFound(Exception):
    """Not there, or not theirs: the answer is the same."""


class Wrong(ValueError):
    """Input that cannot be taken; `fields` says for each field, in words for the person, what to do."""

    def __init__(self, **fields: str) -> None:
        super().__init__(', '.join(fields))
        self.fields = fields


__all__ = ['TENANT', 'Moment', 'NotFound', 'Words', 'Wrong', 'as_word', 'datetime', 'now', 'uuid7']
