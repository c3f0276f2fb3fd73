"""The audit log as a file: asked for anew, page by page, each as the person who asks; the line about it is written first."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import IO, Any, cast
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from portal.db.engine import ReadingOnly, SignedOut
from portal.domain.access import NotAllowed, OnlyLooking, ProofNeeded
from portal.domain.audit import Audit
from portal.domain.base import Wrong
from portal.domain.tickets.sheets import FORMATS, Column
from portal.domain.trail import EXPORT_MOST, Asked, Trail, begin_export, trail
from portal.domain.trail_words import changes, note, sentence
from portal.guard import CLIENT, MSP, SIGN_IN
from portal.i18n import _, now, number
from portal.pages.auth import plain
from portal.pages.exports import MEDIA
from portal.pages.screens import CONFIRM
from portal.pages.shared.trail import asked_in
from portal.visit import Visit

PART, PAGE = 256 * 1024, 1000  # bytes, lines
router = APIRouter()
Told = tuple[Audit, Trail]


async def export(request: Request) -> Response:
    visit: Visit = request.state.visit
    kind = request.path_params['kind']
    path = '/audit' if visit.by.is_staff else '/settings/log'
    asked = replace(asked_in(dict(request.query_params)), older=None, newer=None)
    try:
        async with visit.work() as db:
            await begin_export(db, visit.by, asked, kind)
        file = tempfile.TemporaryFile()  # noqa: SIM115  (closed when it was sent)
        try:
            await _write(visit, asked, kind, file)
        except BaseException:
            file.close()
            raise
    except SignedOut:
        return RedirectResponse(SIGN_IN[MSP if visit.by.is_staff else CLIENT] + '?why=over', 303)
    except ProofNeeded:
        return RedirectResponse(f'{CONFIRM}?next={quote(visit.root + path, safe="")}', 303)
    except (OnlyLooking, ReadingOnly):
        return cast(Response, plain.only_looking())
    except (NotAllowed, Wrong):
        return cast(Response, plain.not_found(request.state.arrival))
    headers = {
        'content-disposition': f'attachment; filename="audit-{now():%Y-%m-%d}.{kind}"', 'content-length': str(file.tell()),
        'cache-control': 'private, no-store',
    }  # fmt: skip
    return StreamingResponse(_parts(file), headers=headers, media_type=MEDIA[kind])


async def _write(visit: Visit, asked: Asked, kind: str, file: IO[bytes]) -> None:
    sheet = FORMATS[kind](
        file, cast(Any, columns(staff=visit.by.is_staff)), **({'title': _('Audit log')} if kind == 'xlsx' else {})
    )
    done, page = 0, Trail([])
    while done < EXPORT_MOST:
        async with visit.work() as db:
            page = await trail(db, visit.by, asked, PAGE)
        await asyncio.to_thread(sheet.add, cast(Any, [(line, page) for line in page.lines]))
        done += len(page.lines)
        if not page.older:
            break
        asked = replace(asked, older=page.older)
    else:
        words = _(
            'The file ends here, after {n} lines. There are older ones: choose a time, or filter, for those.', n=number(done)
        )
        last = page.lines[-1]
        end = Audit(id=last.id, tenant_id=last.tenant_id, at=last.at, action=words, detail={})  # has no sentence but itself
        await asyncio.to_thread(sheet.add, cast(Any, [(end, page)]))
    await asyncio.to_thread(sheet.close)
    file.seek(0, 2)


def columns(*, staff: bool) -> list[Column]:
    def of(title: str, value: Any, width: int = 18) -> Column:
        return Column(title, value, width)

    shared = [
        of(_('When'), lambda t: _when(t[0])), of(_('Who'), lambda t: t[1].name(t[0].actor_id) or _('Portal'), 24),
        of(_('As'), lambda t: t[1].name(t[0].as_user_id), 24), of(_('Did what'), lambda t: sentence(t[0], t[1]), 60),
        of(_('Note'), lambda t: note(t[0]), 40),
        of(_('Changed'), lambda t: '; '.join(f'{name}: {before} → {after}'.lstrip(': ') for name, before, after in changes(*t)), 50),
    ]  # fmt: skip
    if staff:
        shared += [
            of(_('Company'), _company, 24),
            of(_('From'), lambda t: t[0].network or ''),
            of(_('Action'), lambda t: t[0].action, 22),
        ]
    return shared


def _when(line: Audit) -> datetime:
    return line.at


def _company(told: Told) -> str:
    line, found = told
    company = found.companies.get(line.company_id) if line.company_id else None
    return company.name if company else ''


async def _parts(file: IO[bytes]) -> AsyncIterator[bytes]:
    try:
        file.seek(0)
        while part := await asyncio.to_thread(file.read, PART):
            yield part
    finally:
        file.close()


router.add_route(MSP + '/audit/export.{kind}', export, ['GET'])
router.add_route(CLIENT + '/{company}/settings/log/export.{kind}', export, ['GET'])
