"""By what somebody can prove who they are, each in a module of its own: `METHOD` in it is one of `kinds.Method`.

Another one is a module, and a line here.
"""

from portal.pages.auth.methods import passkey, password, recovery, sso, totp
from portal.pages.auth.methods.kinds import Method, Person

#: Second factors, the best first. They are asked for after the password, and before a delicate action.
SECOND: tuple[Method, ...] = (passkey.METHOD, totp.METHOD, recovery.METHOD)
#: What is asked for before a delicate action of somebody who has no second factor, the best first.
FIRST: tuple[Method, ...] = (sso.METHOD, password.METHOD)


async def second_of(person: Person) -> list[Method]:
    return [method for method in SECOND if await method.offered(person)]


async def strongest_of(person: Person) -> list[Method]:
    """What the person has of the strongest kind they have."""
    return await second_of(person) or [method for method in FIRST if await method.offered(person)]
