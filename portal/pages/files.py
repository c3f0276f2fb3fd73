"""Files come and go by plain requests, with the same check as everywhere: a transaction as the person who asks.

Uploads are streamed to the disk while they are counted; nothing of them is believed, neither name nor type nor length.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from urllib.parse import quote
from uuid import UUID

import zipstream
from fastapi import APIRouter
from starlette.concurrency import iterate_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse

from portal.db.engine import SignedOut
from portal.domain.access import NotAllowed, Permission
from portal.domain.audit import record
from portal.domain.base import NotFound, Wrong
from portal.domain.tickets import File, ticket_by_number
from portal.domain.tickets.files import (
    MB,
    NoRoom,
    Upload,
    add_file,
    clean_name,
    company_at,
    file_by_id,
    files_of,
    remove_file,
    room_for,
)
from portal.guard import CLIENT, MSP, SIGN_IN
from portal.i18n import _
from portal.looking import BYTES, PLAIN_TYPES, Look, look_at
from portal.pages.shared.files import as_json, size_words
from portal.pages.shared.tickets import number_of
from portal.settings import Settings
from portal.storage import Full, Incoming, Store
from portal.visit import Visit

log = logging.getLogger('portal.files')
router = APIRouter()
PATIENCE = 60  # seconds without a byte: the line is dead
CHUNK = 256 * 1024  # bytes written at once
_looking = asyncio.Semaphore(2)  # images decoded at the same time: each may take 350 MB


class TooLarge(Exception):
    """More bytes than are taken."""


def refusal(status: int, words: str) -> JSONResponse:
    return JSONResponse({'error': words}, status)


@asynccontextmanager
async def answering(request: Request) -> AsyncIterator[list[Response]]:
    """What goes wrong becomes words in the one response of the list."""
    answer: list[Response] = []
    visit: Visit = request.state.visit
    try:
        yield answer
    except SignedOut:
        answer[:] = [refusal(401, _('You are signed out. What you wrote stays in this tab; sign in again in another one.'))]
    except NotAllowed:
        answer[:] = [refusal(403, _('Your role does not include this.'))]
    except NotFound:
        answer[:] = [refusal(404, _('It is not there any more.'))]
    except TooLarge:
        limit = request.state.settings.file_limit_mb * MB
        answer[:] = [refusal(413, _('This file is larger than {size}, the most that can be sent.', size=size_words(limit)))]
    except Wrong as e:
        answer[:] = [refusal(422, next(iter(e.fields.values())))]
    except NoRoom:
        words = _('There is no room left for files of your company. Please tell {msp}.', msp=visit.by.tenant.short_name)
        if visit.by.is_staff:
            words = _('The files of this company are at their limit. It can be raised on the company’s page.')
        answer[:] = [refusal(413, words)]
    except Full as e:
        log.error('no room left for files: %s', e.__cause__)
        words = _('The portal has no room left for files at the moment. What you wrote is kept; please try again later.')
        answer[:] = [refusal(507, words)]
    except TimeoutError:
        answer[:] = [refusal(408, _('The connection was too slow. Please try again.'))]


# ---------- upload ----------


async def upload(request: Request) -> Response:
    """The body is the file. `place` says where it is written for, `name` what it is called."""
    visit: Visit = request.state.visit
    settings: Settings = request.state.settings
    place, name = request.query_params.get('place', ''), clean_name(request.query_params.get('name', '')[:1000])
    try:
        async with answering(request) as answer:
            with ExitStack() as held:
                incoming, most = await _begun(request, visit, place, held)
                try:
                    size, digest = await _receive(request, incoming, most)
                except TooLarge:
                    raise TooLarge if most == settings.file_limit_mb * MB else NoRoom from None
                answer.append(await _kept(visit, incoming, place, name, size, digest, settings))
    except ClientDisconnect:
        return Response(status_code=499)  # nobody hears it
    if answer[0].status_code >= 400:
        await _drain(request, settings.file_limit_mb * MB)
    return answer[0]


async def _begun(request: Request, visit: Visit, place: str, held: ExitStack) -> tuple[Incoming, int]:
    """Where the bytes go, and how many are taken at most. Asked before, so that nobody sends for minutes what has no room; and
    held for it until it has arrived, so that several at once do not fill the disk before the last of them is refused.

    Clients do not learn from it what staff are sending: that may be for a note.
    """
    settings: Settings = request.state.settings
    store, limit = Store(settings), settings.file_limit_mb * MB
    announced = int(length) if (length := request.headers.get('content-length', '')).isdecimal() else 0
    async with visit.work() as db:
        company = await company_at(db, visit.by, place)
        whose, room = f'{visit.by.side}-{company.id}' if company else '', limit
        if company:  # others wait meanwhile, see `room_for`
            room = await room_for(db, company, settings.company_quota_mb)
            room -= await asyncio.to_thread(store.arriving, whose)
        if announced > limit:
            raise TooLarge
        if room <= 0 or announced > room:
            raise NoRoom
        most = min(limit, room)
        return held.enter_context(store.incoming(whose, announced or most)), announced or most


async def _receive(request: Request, incoming: Incoming, most: int) -> tuple[int, str]:
    """Bytes and SHA-256 of what came. Raises TooLarge as soon as it is more, whatever was announced."""
    size, digest, buffer = 0, hashlib.sha256(), bytearray()

    async def flush() -> None:
        data = bytes(buffer)
        buffer.clear()
        digest.update(data)
        await asyncio.to_thread(incoming.write, data)

    parts = request.stream()
    while True:
        async with asyncio.timeout(PATIENCE):
            part = await anext(parts, None)
        if part is None:
            break
        size += len(part)
        if size > most:
            raise TooLarge
        buffer += part
        if len(buffer) >= CHUNK:
            await flush()
    await flush()
    return size, digest.hexdigest()


async def _kept(
    visit: Visit, incoming: Incoming, place: str, name: str, size: int, digest: str, settings: Settings
) -> Response:  # fmt: skip
    """First the bytes in their place, then the row; without the row the bytes go again."""
    store = Store(settings)
    async with _looking:
        look: Look = await asyncio.to_thread(look_at, incoming.path)
    stored_as = await asyncio.to_thread(incoming.keep)
    try:
        if look.preview:
            await asyncio.to_thread(store.keep_preview, stored_as, look.preview)
        upload = Upload(name, look.media_type, size, digest, stored_as, look.size)
        async with visit.work() as db:
            file = await add_file(db, visit.by, place, upload, usual_mb=settings.company_quota_mb)
    except BaseException:
        await asyncio.to_thread(store.remove, stored_as)
        raise
    return JSONResponse(as_json(file, visit.root), 201)


async def _drain(request: Request, most: int) -> None:
    """Hears the rest of what was refused: a browser that is still sending would not hear why."""
    drained = 0
    try:
        async with asyncio.timeout(PATIENCE):
            async for part in request.stream():
                drained += len(part)
                if drained > most:
                    return
    except (ClientDisconnect, RuntimeError, TimeoutError):
        return


async def remove(request: Request) -> Response:
    visit: Visit = request.state.visit
    async with answering(request) as answer:
        async with visit.work() as db:
            file = await remove_file(db, visit.by, _id_in(request))
        await asyncio.to_thread(Store(request.state.settings).remove, file.stored_as)
        answer.append(Response(status_code=204))
    return answer[0]


# ---------- download ----------


async def download(request: Request) -> Response:
    """Always as an attachment: nothing that somebody sent is ever run in the portal's own name."""
    visit: Visit = request.state.visit
    store = Store(request.state.settings)
    file = await _asked_for(request)
    if isinstance(file, Response):
        return file
    path = store.path(file.stored_as)
    if not path.is_file():
        log.error('the bytes of file %s are missing', file.id)
        raise HTTPException(404)
    if request.method != 'HEAD' and file.ticket_id:
        async with visit.work() as db:
            if not visit.viewing:
                await record(db, 'file.downloaded', company_id=file.company_id, subject=file.id, ticket=file.ticket_id)
        if visit.viewing:
            await visit.note('viewing.downloaded', file=file.id, ticket=file.ticket_id)
    media_type = file.media_type if file.media_type in PLAIN_TYPES else BYTES
    return FileResponse(path, media_type=media_type, headers=_headers(disposition(file.name)))


async def preview(request: Request) -> Response:
    """A picture made by the portal itself, so it may be shown in the page."""
    file = await _asked_for(request)
    if isinstance(file, Response):
        return file
    if not file.width:
        raise HTTPException(404)
    etag = f'"{file.sha256[:32]}"'
    headers = {'etag': etag, 'cache-control': 'private, no-cache'}  # the browser may keep it, but has to ask each time
    if request.headers.get('if-none-match') == etag:
        return Response(status_code=304, headers=headers)
    store = Store(request.state.settings)
    path = store.preview_path(file.stored_as)
    if not path.is_file() and not await _made_again(store, file):
        raise HTTPException(404)
    return FileResponse(path, media_type='image/webp', headers=headers | _headers('inline'))


async def all_files(request: Request) -> Response:
    """Every file of a ticket that the person may read, streamed as one archive."""
    visit: Visit = request.state.visit
    store = Store(request.state.settings)
    try:
        visit.by.need(Permission.TICKETS_SEE)
        async with visit.work() as db:
            ticket = await ticket_by_number(db, number_of(request.path_params['label']))
            files = [f for f in await files_of(db, ticket) if store.path(f.stored_as).is_file()]
            if not files:
                raise NotFound
            if not visit.viewing:
                await record(db, 'files.downloaded', company_id=ticket.company_id, subject=ticket.id, files=len(files))
        if visit.viewing:
            await visit.note('viewing.downloaded', ticket=ticket.id, files=len(files))
    except SignedOut:
        return _signed_out(visit)
    except (NotFound, NotAllowed) as e:
        raise HTTPException(404 if isinstance(e, NotFound) else 403) from None
    archive = zipstream.ZipStream(sized=True)
    for file, name in zip(files, numbered([f.name for f in files]), strict=True):
        archive.add_path(store.path(file.stored_as), name)
    headers = _headers(disposition(f'{ticket.label}.zip')) | {'content-length': str(len(archive))}
    return StreamingResponse(iterate_in_threadpool(iter(archive)), media_type='application/zip', headers=headers)


async def _asked_for(request: Request) -> File | Response:
    visit: Visit = request.state.visit
    try:
        visit.by.need(Permission.TICKETS_SEE)
        async with visit.work() as db:
            return await file_by_id(db, _id_in(request))
    except SignedOut:
        return _signed_out(visit)
    except (NotFound, NotAllowed) as e:
        raise HTTPException(404 if isinstance(e, NotFound) else 403) from None


async def _made_again(store: Store, file: File) -> bool:
    """Previews are no part of a backup."""
    path = store.path(file.stored_as)
    if not path.is_file():
        return False
    async with _looking:
        look = await asyncio.to_thread(look_at, path)
    if look.preview:
        await asyncio.to_thread(store.keep_preview, file.stored_as, look.preview)
    return bool(look.preview)


def _signed_out(visit: Visit) -> Response:
    return RedirectResponse(SIGN_IN[MSP if visit.by.is_staff else CLIENT] + '?why=over', 303)


def _id_in(request: Request) -> UUID:
    try:
        return UUID(request.path_params['id'])
    except ValueError:
        raise NotFound from None


def _headers(disposition: str) -> dict[str, str]:
    """As it is: compressed once more it could not be asked for in parts. And should it be opened after all, it can do nothing."""
    return {
        'content-disposition': disposition, 'content-encoding': 'identity', 'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'none'; sandbox",
    }  # fmt: skip


def disposition(name: str) -> str:
    """RFC 6266, with the name by RFC 8187, and in ASCII for who does not know that."""
    plain = ''.join(c if c.isascii() and c.isprintable() and c not in '"\\%' else '_' for c in name)
    return f'attachment; filename="{plain}"; filename*=UTF-8\'\'{quote(name, safe="")}'


def numbered(names: list[str]) -> list[str]:
    """`page.txt`, `page (2).txt`: no two the same, also where capitals do not count."""
    taken: set[str] = set()
    result: list[str] = []
    for name in names:
        stem, dot, ending = name.rpartition('.')
        stem, ending = (stem, dot + ending) if stem else (name, '')
        chosen, n = name, 1
        while chosen.casefold() in taken:
            n += 1
            chosen = f'{stem} ({n}){ending}'
        taken.add(chosen.casefold())
        result.append(chosen)
    return result


def _routes() -> None:
    for root in (MSP, CLIENT + '/{company}'):
        router.add_route(f'{root}/files', upload, ['POST'])
        router.add_route(f'{root}/files/{{id}}', download, ['GET'])
        router.add_route(f'{root}/files/{{id}}/remove', remove, ['POST'])
        router.add_route(f'{root}/files/{{id}}/preview', preview, ['GET'])
        router.add_route(f'{root}/tickets/{{label}}/files.zip', all_files, ['GET'])


_routes()
