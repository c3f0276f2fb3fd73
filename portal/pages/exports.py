"""One's own exports, while they are kept; and the files themselves."""

from collections.abc import AsyncIterator
from typing import Any, cast
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from portal.components.island import Act
from portal.components.render import render
from portal.db.engine import SignedOut
from portal.domain.access import NotAllowed, Permission
from portal.domain.base import NotFound
from portal.domain.tickets.exporting import Export, cancel_export, exports, finished, part, see_exports
from portal.guard import CLIENT, MSP, SIGN_IN
from portal.i18n import _
from portal.pages.auth import plain
from portal.pages.screens import Here, Screen
from portal.visit import Visit

MEDIA = {'csv': 'text/csv; charset=utf-8', 'xlsx': 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'}
router = APIRouter()


class Exports:
    def __init__(self, here: Here) -> None:
        self.here = here

    async def build(self) -> None:
        self.here.title(_('Exports'))
        async with self.here.visit.work() as db:
            await see_exports(db)
        self.island = self.here.island(await self._html(), self._act)
        self.here.wakes(self._again, f'exports:{self.here.visit.by.user_id}')

    async def _html(self) -> Any:
        async with self.here.visit.work() as db:
            found = await exports(db)
        return render('shared/exports.html', exports=found, here=self.here)

    async def _again(self) -> None:
        self.island.set(await self._html())

    async def _act(self, act: Act) -> None:
        if act.name == 'cancel' and act.key:
            try:
                export_id = UUID(act.key)
            except ValueError:
                raise NotFound from None
            async with self.here.visit.work() as db:
                await cancel_export(db, self.here.visit.by, export_id)
            await self._again()


async def screen(here: Here) -> None:
    await Exports(here).build()


def screens(key: str) -> tuple[Screen, ...]:
    """`key` is the place in the navigation that is marked."""
    return (Screen('/exports', screen, Permission.TICKETS_SEE, key),)


async def download(request: Request) -> Response:
    visit: Visit = request.state.visit
    try:
        visit.by.need(Permission.TICKETS_SEE)
        async with visit.work() as db:
            export = await finished(db, UUID(request.path_params['export']))
    except SignedOut:
        return RedirectResponse(SIGN_IN[MSP if visit.by.is_staff else CLIENT] + '?why=over', 303)
    except (NotFound, NotAllowed, ValueError):
        return cast(Response, plain.not_found(request.state.arrival))
    headers = {
        'content-disposition': f'attachment; filename="{export.filename}"', 'content-length': str(export.size),
        'cache-control': 'private, no-store',
    }  # fmt: skip
    return StreamingResponse(_parts(visit, export), headers=headers, media_type=MEDIA[export.format])


async def _parts(visit: Visit, export: Export) -> AsyncIterator[bytes]:
    """Each in a unit of work of its own: whoever reads slowly holds no connection."""
    n = 0
    while True:
        async with visit.work() as db:
            found = await part(db, export.id, n)
        if found is None:
            return
        yield found
        n += 1


for root in (MSP, CLIENT + '/{company}'):
    router.add_route(root + '/exports/{export}/file', download, ['GET'])
