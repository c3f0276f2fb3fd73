"""Plain routes of the import: the file comes in, and files go out. Each asks for the permission itself."""

import asyncio
from collections.abc import AsyncGenerator
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from portal.components.values import Action
from portal.db.engine import SignedOut
from portal.domain.access import Permission
from portal.domain.base import NotFound, Wrong
from portal.domain.imports import Kind
from portal.domain.imports.doing import batch_by_id, refused_rows, upload
from portal.domain.imports.fields import fields_of
from portal.domain.imports.reading import MOST_BYTES, read, write
from portal.guard import MSP, SIGN_IN
from portal.i18n import _
from portal.pages.auth import plain
from portal.pages.staff.companies.importing import signed
from portal.visit import Visit

router = APIRouter()
AROUND = 20_000  # bytes of the form beside the file
DRAINED = 100 * 1024 * 1024  # read so far and forgotten, so that the browser hears the answer


class TooLarge(Exception):
    pass


async def take(request: Request) -> Response:
    """The file of the form, into the database; then its page. What is wrong with it is said beside the field."""
    visit: Visit = request.state.visit
    if not visit.may(Permission.COMPANIES_MANAGE):
        return await _refused(request)
    if (
        not request.headers.get('content-type', '').startswith('multipart/form-data')
        or 'boundary=' not in request.headers['content-type']
    ):
        return plain.message(request, 400, _('No file arrived'), _('Choose a CSV file on the page of imports, and send it from there.'),
                             side='staff', actions=(Action(_('To the imports'), href=f'{MSP}/import'),))  # fmt: skip
    kind = Kind.COMPANIES
    try:
        kind, name, data = await _received(request)
        table = await asyncio.to_thread(read, data)
        async with visit.work() as db:
            batch = await upload(db, visit.by, kind, name, table)
    except SignedOut:
        return RedirectResponse(SIGN_IN[MSP] + '?why=over', 303)
    except TooLarge:
        return _back(request, kind, _('At most 5 MB, please. Split the file into parts.'))
    except (Wrong, MultiPartException) as e:
        words = e.fields['file'] if isinstance(e, Wrong) else _('The file did not arrive whole. Please send it again.')
        return _back(request, kind, words)
    return RedirectResponse(f'{MSP}/import/{batch.id}', 303)


async def _received(request: Request) -> tuple[Kind, str, bytes]:
    form = await MultiPartParser(request.headers, _bounded(request), max_files=1, max_fields=4).parse()
    try:
        file, kind = form.get('file'), form.get('kind')
        if not isinstance(file, UploadFile) or not file.filename:
            raise Wrong(file=_('Choose a file.'))
        data = await file.read()
        if len(data) > MOST_BYTES:
            raise TooLarge
        return Kind.PEOPLE if kind == Kind.PEOPLE.value else Kind.COMPANIES, _name(file.filename), data
    finally:
        await form.close()


async def _bounded(request: Request) -> AsyncGenerator[bytes]:
    """No more than may be is ever kept: what comes beyond is read and forgotten."""
    received = 0
    async for part in request.stream():
        received += len(part)
        if received > DRAINED:
            break
        if received <= MOST_BYTES + AROUND:
            yield part
    if received > MOST_BYTES + AROUND:
        raise TooLarge


def _name(name: str) -> str:
    return ''.join(c for c in name.replace('\\', '/').rsplit('/', 1)[-1] if c.isprintable())[:200] or 'import.csv'


def _back(request: Request, kind: Kind, words: str) -> Response:
    """Signed, so that nobody can make a link that lets the portal say something."""
    return RedirectResponse(f'{MSP}/import?kind={kind.value}&wrong={signed(request.state.settings, words)}', 303)


async def template(request: Request) -> Response:
    """A file with nothing but the headings, which the import knows."""
    if not request.state.visit.may(Permission.COMPANIES_MANAGE):
        return await _refused(request)
    kind = Kind.PEOPLE if request.url.path.endswith('/people.csv') else Kind.COMPANIES
    columns = [str(field.label) for field in fields_of(kind)]
    return _csv(write(columns, []), _('companies') if kind is Kind.COMPANIES else _('people'))


async def refused(request: Request) -> Response:
    """The rows that were not taken, with why: to be mended and uploaded again."""
    visit: Visit = request.state.visit
    if not visit.may(Permission.COMPANIES_MANAGE):
        return await _refused(request)
    try:
        async with visit.work() as db:
            batch = await batch_by_id(db, UUID(request.path_params['id']))
            rows = await refused_rows(db, batch)
    except SignedOut:
        return RedirectResponse(SIGN_IN[MSP] + '?why=over', 303)
    except (NotFound, ValueError):
        return plain.message(request, 404, _('Not found'), _('There is nothing here, or it is not yours to see.'), side='staff', label=_('Nothing here'))  # fmt: skip
    labels = {field.name: str(field.label) for field in fields_of(batch.kind)}
    width = max([len(batch.columns), *(len(row.cells) for row in rows)])
    lines = [
        [*row.cells, *[''] * (width - len(row.cells)),
         ' '.join(f'{labels[name]}: {words}' if name in labels else words for name, words in row.problems)]
        for row in rows
    ]  # fmt: skip
    columns = [*batch.columns, *[''] * (width - len(batch.columns)), _('Why it was refused')]
    return _csv(await asyncio.to_thread(write, columns, lines, batch.delimiter), _('refused'))


def _csv(data: bytes, name: str) -> Response:
    plain_name = ''.join(c for c in name if c.isalnum() and c.isascii()) or 'import'
    return Response(
        data, media_type='text/csv; charset=utf-8', headers={'content-disposition': f'attachment; filename="{plain_name}.csv"'}
    )


async def _refused(request: Request) -> Response:
    return plain.message(
        request, 403, _('Not part of your role'),
        _('Your role does not include this page. If you need it, ask whoever manages your access.'), side='staff', label=_('No access'),
    )  # fmt: skip


router.add_route('/msp/import/upload', take, ['POST'])
for kind in Kind:
    router.add_route(f'/msp/import/template/{kind.value}.csv', template, ['GET'])
router.add_route('/msp/import/{id}/refused.csv', refused, ['GET'])
