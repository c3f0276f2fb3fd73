"""The way back of staff who look in a client's place: a plain POST, which works without scripts."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from portal import visit
from portal.guard import MSP, SIGN_IN


async def stop(request: Request) -> Response:
    """What is looked at in this session ends."""
    arrival = request.state.arrival
    if arrival is None or arrival.side != 'staff':
        return RedirectResponse(SIGN_IN[MSP], 303)
    row = await visit.database.ask('select app.stop_viewing(:token)', token=arrival.token)
    was = row[0] if row else None
    return RedirectResponse(f'{MSP}/people/{was["user_id"]}?looked=over' if was else MSP, 303)
