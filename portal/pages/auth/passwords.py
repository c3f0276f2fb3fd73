"""Passwords: how they are kept, and what a new one must be.

Hashing takes 46 MiB and a tenth of a second on purpose, so only two are at work at a time and only so many wait.
"""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from portal.i18n import _

HASHER = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)  # OWASP's first choice of Argon2id
LEAST, LEAST_WITH_FACTOR, MOST = 15, 8, 256  # characters; alone, and where a second factor is asked for (NIST SP 800-63B-4)
GUESSES = 1e8  # a new password must need as many; zxcvbn calls what is below "somewhat guessable"
ZXCVBN_READS = 72  # characters; it raises ValueError for more
Args = ParamSpec('Args')
Result = TypeVar('Result')


class Busy(Exception):
    """So many wait already that one more would only wait for nothing."""


class Line:
    """Work for threads: `at_once` of them, and at most `waiting` in the queue."""

    def __init__(self, at_once: int = 2, waiting: int = 50) -> None:
        self.places, self.most, self.inside = asyncio.Semaphore(at_once), at_once + waiting, 0

    async def run(self, work: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs) -> Result:
        if self.inside >= self.most:
            raise Busy
        self.inside += 1
        try:
            async with self.places:
                return await asyncio.to_thread(work, *args, **kwargs)
        finally:
            self.inside -= 1


line = Line()


def normal(password: str) -> str:
    """The same characters, however a keyboard composes them."""
    return unicodedata.normalize('NFKC', password)


async def hashed(password: str) -> str:
    return await line.run(HASHER.hash, normal(password))


async def is_right(stored: str | None, password: str) -> bool:
    """Without a stored hash the same work is done, for the same answer: False."""
    return await line.run(_is_right, stored, normal(password))


def _is_right(stored: str | None, password: str) -> bool:
    nobody = _nobodys_hash()  # asked for in both cases, because it takes time once
    try:
        return HASHER.verify(stored or nobody, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys_hash() -> str:
    return HASHER.hash(secrets.token_urlsafe())


def is_outdated(stored: str) -> bool:
    return HASHER.check_needs_rehash(stored)


# ---------- a new one ----------


@dataclass(frozen=True, slots=True)
class Verdict:
    """`problem` says at the field what to do; empty: it may be used. `strength` in a word, for one that could be judged."""

    problem: str = ''
    strength: str = ''


async def verdict(password: str, *, email: str, name: str, also: Sequence[str] = (), least: int = LEAST) -> Verdict:
    """On a new password of this person. `also`: more words that whoever guesses would try first, such as the MSP's name."""
    return await line.run(_verdict, normal(password), email, name, tuple(also), least)


def _verdict(password: str, email: str, name: str, also: tuple[str, ...], least: int) -> Verdict:
    if not password:
        return Verdict(_('Please choose a password.'))
    if len(password) < least:
        return Verdict(_('At least {least} characters, please; this has {n}.', least=least, n=len(password)))
    if len(password) > MOST:
        return Verdict(_('At most {n} characters, please.', n=MOST))
    if _names(password, email, name):
        return Verdict(_('Please leave your name and your e-mail address out of it.'), _strength(0))
    if _only_names(password, email, name, also):
        return Verdict(_('Please do not make it of names that belong to you.'), _strength(0))
    found = _guessed(password, email, name, also)
    strength = _strength(found['score'])
    if password.casefold() in _common() or found['guesses'] < GUESSES:
        words = _('Too easy to guess. {why} Add a word or two that have nothing to do with it.', why=_why(found))
        return Verdict(words.replace('  ', ' '), strength)  # there is not always a why
    return Verdict(strength=strength)


def _names(password: str, email: str, name: str) -> bool:
    """Also where the words are only joined otherwise: `mona.reyes-mona-reyes`."""
    inside = _letters(password)
    words = (_letters(email), _letters(email.partition('@')[0]), _letters(name))
    return any(len(word) >= 6 and word in inside for word in words)


def _only_names(password: str, email: str, name: str, also: tuple[str, ...]) -> bool:
    """What is left without them would not be worth calling a password."""
    letters = rest = _letters(password)
    for word in _about(email, name, also):
        rest = rest.replace(word, '')
    return len(rest) < 8 <= len(letters) - len(rest)


def _letters(words: str) -> str:
    return ''.join(c for c in unicodedata.normalize('NFKC', words).casefold() if c.isalnum())


def _guessed(password: str, email: str, name: str, also: tuple[str, ...]) -> Any:
    """zxcvbn's opinion. Also without a sign that only parts words: it takes `pass-word-pass-word` for much better."""
    from zxcvbn import zxcvbn  # its word lists take a moment to load

    about, signs = _about(email, name, also), {c for c in password if not c.isalnum()}
    forms = {password, ''.join(c for c in password if c not in signs)} if len(signs) == 1 else {password}
    return min((zxcvbn(form[:ZXCVBN_READS], user_inputs=about) for form in forms if form), key=lambda found: found['guesses'])


def _about(email: str, name: str, also: tuple[str, ...]) -> list[str]:
    """The words that whoever guesses would try first, the longest first."""
    words = {part for words in (email, name, *also, 'portal') for part in _words(words) if len(part) > 2}
    return sorted(words, key=len, reverse=True)


def _words(words: str) -> list[str]:
    return ''.join(c if c.isalnum() else ' ' for c in words.casefold()).split()


@cache
def _common() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS['passwords'])


def _why(found: Any) -> str:
    """In words, by the longest part that zxcvbn recognised."""
    longest = max(found['sequence'], key=lambda match: len(match['token']))
    if longest['pattern'] == 'dictionary':
        return {
            'passwords': _('Many people use a password like this.'),
            'user_inputs': _('It is made of names that belong to you.'),
        }.get(longest['dictionary_name'], _('It is made of very common words.'))
    return {
        'repeat': _('It repeats itself.'),
        'sequence': _('It follows a row such as abc or 123.'),
        'spatial': _('It follows the keys of the keyboard.'),
        'date': _('It is little more than a date.'),
    }.get(longest['pattern'], '')


def _strength(score: int) -> str:
    """zxcvbn's scale from 0 to 4."""
    return (_('very weak'), _('very weak'), _('weak'), _('good'), _('strong'))[score]
