"""What staff keep for their work: saved views and canned replies."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from portal.db.cast import Cast, Member
from portal.domain.access import NotAllowed
from portal.domain.base import NotFound, Wrong
from portal.domain.canned import (
    add_canned_reply,
    canned_replies,
    canned_reply,
    change_canned_reply,
    delete_canned_reply,
    filled,
)
from portal.domain.views import begin_with, change_view, default_view, delete_view, save_view, saved_views
from portal.visit import Visit

VisitAs = Callable[[Member], Awaitable[Visit]]


async def test_a_view_of_ones_own_and_one_of_the_team(visit_as: VisitAs, cast: Cast) -> None:
    tess, mona = await visit_as(cast.tess), await visit_as(cast.mona)
    async with tess.work() as db:
        mine = await save_view(db, tess.by, name='  Bolt,\turgent ', query={'company': 'bolt'})
        assert mine.name == 'Bolt, urgent'
        for name in ('bolt, URGENT', '', 'x' * 61):
            with pytest.raises(Wrong) as wrong:
                await save_view(db, tess.by, name=name, query={})
            assert set(wrong.value.fields) == {'name'}
        with pytest.raises(NotAllowed):
            await save_view(db, tess.by, name='For all', query={}, shared=True)
    async with mona.work() as db:
        assert 'Bolt, urgent' not in [view.name for view in await saved_views(db, mona.by)]
        with pytest.raises(NotFound):
            await delete_view(db, mona.by, mine.id)
        ours = await save_view(db, mona.by, name='Bolt, urgent', query={'priority': 'urgent'}, shared=True)
    async with tess.work() as db:
        assert [v.name for v in await saved_views(db, tess.by)].count('Bolt, urgent') == 2
        with pytest.raises(NotAllowed):
            await change_view(db, tess.by, ours.id, name='Mine now')
        await change_view(db, tess.by, mine.id, name='Bolt', query={'company': 'bolt', 'status': 'new'})


async def test_of_two_views_of_one_name_at_the_same_moment_one_is_kept(visit_as: VisitAs, cast: Cast) -> None:
    mona = await visit_as(cast.mona)

    async def second() -> None:
        async with mona.work() as db:
            await save_view(db, mona.by, name='urgent', query={}, shared=True)

    async with mona.work() as db:
        await save_view(db, mona.by, name='Urgent', query={}, shared=True)
        waiting = asyncio.create_task(second())
        await asyncio.wait({waiting}, timeout=0.3)  # until it waits for what becomes of the first
    with pytest.raises(Wrong, match='name'):
        await waiting


async def test_a_deleted_view_is_nobodys_beginning(visit_as: VisitAs, cast: Cast) -> None:
    tess, mona = await visit_as(cast.tess), await visit_as(cast.mona)
    async with mona.work() as db:
        ours = await save_view(db, mona.by, name='Ours', query={}, shared=True)
        hers = await save_view(db, mona.by, name='Hers', query={})
    async with tess.work() as db:
        await begin_with(db, tess.by, ours.id)
        assert await default_view(db, tess.by) == ours.id
        with pytest.raises(NotFound):
            await begin_with(db, tess.by, hers.id)
        await begin_with(db, tess.by, ours.id)
    async with mona.work() as db:
        assert await default_view(db, mona.by) is None
        await delete_view(db, mona.by, ours.id)
    async with tess.work() as db:
        assert await default_view(db, tess.by) is None


async def test_canned_replies_of_ones_own_and_of_the_team(visit_as: VisitAs, cast: Cast) -> None:
    tess, mona, stan = [await visit_as(w) for w in (cast.tess, cast.mona, cast.stan)]
    async with tess.work() as db:
        mine = await add_canned_reply(db, tess.by, title='Hello', body='Hello {first_name}', language='de')
        with pytest.raises(NotAllowed):
            await add_canned_reply(db, tess.by, title='Hello', body='x', shared=True)
        team = next(reply for reply in await canned_replies(db, tess.by) if reply.is_shared)
        with pytest.raises(NotAllowed):
            await delete_canned_reply(db, tess.by, team.id)
    for other in (mona, stan):
        async with other.work() as db:
            assert mine.id not in [reply.id for reply in await canned_replies(db, other.by)]
            with pytest.raises(NotFound):
                await canned_reply(db, other.by, mine.id)
    async with mona.work() as db:
        await change_canned_reply(db, mona.by, team.id, title='Restart', body='Please {me}', shared=True)
        await delete_canned_reply(db, mona.by, team.id)


@pytest.mark.parametrize(('field', 'values'), [
    ('title', {'title': ' '}), ('title', {'title': 'x' * 81}), ('body', {'body': ''}), ('body', {'body': 'x' * 10_001}),
    ('body', {'body': 'Hello {name}, {first_name}'}), ('language', {'language': 'xx'}),
])  # fmt: skip
async def test_bad_input_is_said_at_its_field(visit_as: VisitAs, cast: Cast, field: str, values: dict[str, Any]) -> None:
    tess = await visit_as(cast.tess)
    async with tess.work() as db:
        with pytest.raises(Wrong) as wrong:
            await add_canned_reply(db, tess.by, **{'title': 'Hello', 'body': 'Hello', **values})
    assert set(wrong.value.fields) == {field}
    if '{name}' in values.get('body', ''):
        assert '{name}' in wrong.value.fields['body'].split('.')[0]
        assert '{first_name}' not in wrong.value.fields['body'].split('.')[0]


def test_placeholders_are_replaced_once_and_nothing_is_evaluated() -> None:
    values = {'first_name': '{company}', 'company': 'Acme {0.__class__}', 'me': '\\1'}
    assert filled('{first_name} { company } {me} {} {x} {"a": 1}', values) == '{company} Acme {0.__class__} \\1 {} {x} {"a": 1}'
