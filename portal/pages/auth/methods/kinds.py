"""What a way to prove who one is has to answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from markupsafe import Markup
from starlette.requests import Request

from portal.pages.auth.forms import Side
from portal.pages.auth.sessions import Proof


@dataclass(frozen=True, slots=True)
class Person:
    """Who is asked."""

    tenant: UUID
    user: UUID
    name: str
    email: str
    side: Side


class Method(Protocol):
    @property
    def key(self) -> str:
        """In the address: `?with=totp`."""
        ...

    @property
    def proof(self) -> Proof:
        """What it is called in a session."""
        ...

    @property
    def icon(self) -> str: ...

    def label(self) -> str:
        """Of the button that leads to it: `Use a recovery code`."""
        ...

    async def offered(self, person: Person) -> bool:
        """Whether the person has it. Only asked after the password was right, or of who is signed in."""
        ...

    async def form(self, request: Request, person: Person, wrong: str) -> Markup:
        """What stands inside the form, with its button."""
        ...

    def missing(self, fields: Mapping[str, str]) -> str:
        """What has to be filled in, in words, before anything is tried; '' when it can be tried."""
        ...

    async def is_right(self, request: Request, person: Person, fields: Mapping[str, str]) -> bool:
        """Asked once for an attempt that was counted; uses up what works once."""
        ...

    def wrong(self) -> str:
        """What to say of one that was not right."""
        ...
