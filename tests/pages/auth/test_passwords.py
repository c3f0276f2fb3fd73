"""What a new password must be, and how many are hashed at a time."""

import asyncio
import threading

import pytest

from portal.pages.auth.passwords import HASHER, Busy, Line, hashed, is_outdated, is_right, verdict

MONA = {'email': 'mona@northwind.example', 'name': 'Mona Reyes', 'also': ('Northwind IT',)}


@pytest.mark.parametrize(
    'password',
    [
        'correct-horse-northwind',
        'salat-uhr-fenster',
        'x9!kq2Lw7vBz4Rt',
        'vier wörter ohne sinn',
        'ключ и сорок морей',
        '¡§¶•ªº–≠œ∑®†¥øπ“‘«',
        'moss lantern ' * 19,
    ],
)
async def test_long_and_hard_to_guess_is_enough(password: str) -> None:
    assert (await verdict(password[:256], **MONA)).problem == ''


@pytest.mark.parametrize(
    ('password', 'words'),
    [
        ('', 'choose'),
        ('kurz', 'At least 15 characters, please; this has 4'),
        ('a' * 257, 'At most 256'),
        ('aaaaaaaaaaaaaaaa', 'repeats'),
        ('passwordpassword', 'repeats'),
        ('Password12345678', 'Many people'),
        ('qwertyuiopasdfgh', 'Many people'),
        ('abcdefghijklmnop', 'a row such as'),
        ('pass-word-pass-word', 'repeats'),
        ('1-2-3-4-5-6-7-8-9', 'easy to guess'),
        ('mona@northwind.example', 'leave your name'),
        ('Mona.Reyes-verse-44', 'leave your name'),
        ('mona northwind portal', 'names that belong to you'),
        ('ａａａａａａａａ' + 'a' * 8, 'repeats'),
    ],
)
async def test_what_is_refused_and_why(password: str, words: str) -> None:
    assert words in (await verdict(password, **MONA)).problem


async def test_strength_is_said() -> None:
    assert (await verdict('moss-lantern-quarry-eleven', **MONA)).strength == 'strong'
    assert (await verdict('correct-horse-northwind', **MONA)).strength == 'good'
    assert (await verdict('passwordpassword', **MONA)).strength == 'very weak'


async def test_the_same_characters_however_they_are_composed() -> None:
    stored = await hashed('schöne-grüße-überall')
    assert await is_right(stored, 'schöne-grüße-überall')
    assert not await is_right(stored, 'schone-gruße-uberall')
    assert not is_outdated(stored)


async def test_nobody_has_no_password() -> None:
    assert not await is_right(None, 'correct-horse-northwind')
    assert not await is_right('no hash at all', 'correct-horse-northwind')


def test_the_hash_is_argon2id_with_46_mebibytes() -> None:
    assert HASHER.hash('x').startswith('$argon2id$v=19$m=47104,t=1,p=1$')


async def test_two_at_a_time_and_only_so_many_wait() -> None:
    """What comes when the line is full is sent away at once, and the rest is served."""
    line, going, most, may_end = Line(at_once=2, waiting=3), 0, 0, threading.Event()

    def work() -> str:
        nonlocal going, most
        going += 1
        most = max(most, going)
        may_end.wait(10)
        going -= 1
        return 'done'

    tasks = [asyncio.create_task(line.run(work)) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await line.run(work)
    may_end.set()
    assert await asyncio.gather(*tasks) == ['done'] * 5
    assert most <= 2
    assert await line.run(work) == 'done'
