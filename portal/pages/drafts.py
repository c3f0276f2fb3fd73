"""What one is writing, saved and read by the script of its form (`writing.js`)."""

import json
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from portal.domain.tickets.drafts import Draft, Gone, draft_at, drop_draft, drop_earlier, needed_at, save_draft
from portal.domain.tickets.files import waiting
from portal.guard import CLIENT, MSP
from portal.i18n import _, clock, day, local, now
from portal.pages.files import answering, refusal
from portal.pages.shared.files import as_json
from portal.visit import Visit

router = APIRouter()
MOST_BYTES, MOST_NAMES = 500_000, 60


class NoDraft(ValueError):
    """Not a message of our script."""


async def read(request: Request) -> Response:
    visit: Visit = request.state.visit
    place = request.query_params.get('place', '')
    async with answering(request) as answer:
        visit.by.need(needed_at(place))
        async with visit.work() as db:
            draft = await draft_at(db, visit.by, place)
            files = await waiting(db, visit.by, place)
        answer.append(JSONResponse(_told(draft) | {'files': [as_json(f, visit.root) for f in files]}))
    return answer[0]


async def save(request: Request) -> Response:
    """`{place, content, began_with, aside, empty, drop_earlier}` → what is kept now."""
    visit: Visit = request.state.visit
    try:
        said = await _message(request)
        place, began_with, content = said['place'], said['began_with'], _content(said['content'])
    except (NoDraft, KeyError):
        return refusal(422, _('The portal cannot take this.'))
    except ClientDisconnect:
        return Response(status_code=499)
    if not isinstance(place, str) or not isinstance(began_with, int) or not 0 <= began_with < 2**31:
        return refusal(422, _('The portal cannot take this.'))
    async with answering(request) as answer:
        visit.by.need(needed_at(place))
        try:
            async with visit.work() as db:
                if said.get('drop_earlier') is True:
                    await drop_earlier(db, visit.by, place)
                if said.get('empty') is True:
                    await drop_draft(db, visit.by, place, began_with=began_with)
                    draft = await draft_at(db, visit.by, place)
                else:
                    draft = await save_draft(
                        db, visit.by, place, content, began_with=began_with, aside=said.get('aside') is True
                    )  # fmt: skip
            answer.append(JSONResponse(_told(draft)))
        except Gone:
            answer.append(JSONResponse(_told(None), 409))
    return answer[0]


async def _message(request: Request) -> dict[str, Any]:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise HTTPException(413)
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise NoDraft from None
    if not isinstance(said, dict):
        raise NoDraft
    return said


def _content(said: Any) -> dict[str, str | list[str]]:
    if not isinstance(said, dict) or len(said) > MOST_NAMES:
        raise NoDraft
    return {_text(name): [_text(v) for v in value] if isinstance(value, list) else _text(value) for name, value in said.items()}


def _text(value: Any) -> str:
    """Text that the database can hold."""
    if not isinstance(value, str):
        raise NoDraft
    return value.replace('\x00', '').encode('utf-8', 'replace').decode()


def _told(draft: Draft | None) -> dict[str, Any]:
    """With times as the person reads them."""
    if draft is None:
        return {'version': 0, 'content': {}, 'earlier': []}
    earlier = [{'content': e['content'], 'saved': _time(datetime.fromisoformat(e['saved_at']))} for e in draft.earlier]
    return {'version': draft.version, 'content': draft.content, 'earlier': earlier, 'saved': _time(draft.saved_at)}


def _time(at: datetime) -> str:
    """With the day, where it is not this one."""
    return clock(at) if local(at).date() == local(now()).date() else f'{day(at)}, {clock(at)}'


def _routes() -> None:
    for root in (MSP, CLIENT + '/{company}'):
        router.add_route(f'{root}/drafts', read, ['GET'])
        router.add_route(f'{root}/drafts', save, ['POST'])


_routes()
