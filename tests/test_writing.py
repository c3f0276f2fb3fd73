"""Who is writing is forgotten, though nobody asks."""

from uuid import uuid4

import pytest

from portal import writing


def test_who_stopped_is_forgotten() -> None:
    ticket, person = uuid4(), uuid4()
    writing.heard(f'{ticket}:{person}:reply')
    assert writing.writers(ticket) == {person: 'reply'}
    writing.heard(f'{ticket}:{person}:')
    assert str(ticket) not in writing._until  # pyright: ignore[reportPrivateUsage]


def test_who_went_away_is_forgotten_when_others_write(monkeypatch: pytest.MonkeyPatch) -> None:
    gone, ticket, person = uuid4(), uuid4(), uuid4()
    monkeypatch.setattr(writing, 'STAYS', 0.0)
    writing.heard(f'{gone}:{person}:reply')
    monkeypatch.undo()
    writing.heard(f'{ticket}:{person}:note')
    assert str(gone) not in writing._until  # pyright: ignore[reportPrivateUsage]
    writing.heard(f'{ticket}:{person}:')
