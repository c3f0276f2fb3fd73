"""/metrics: what Prometheus asks for, with the token."""

import asyncio
import hmac
from typing import Any

from nicegui import Client
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from portal import live, metrics, visit
from portal.room import room
from portal.settings import Settings

PATIENCE = 2.0  # seconds that the database has for its part


async def scrape(request: Request) -> Response:
    """404 where there are none, 401 without the token."""
    settings: Settings = request.state.settings
    if not settings.metrics_token:
        return PlainTextResponse('not found', 404)
    given = request.headers.get('authorization', '')
    if not hmac.compare_digest(given.encode(), f'Bearer {settings.metrics_token}'.encode()):
        return PlainTextResponse('unauthorized', 401, headers={'www-authenticate': 'Bearer'})
    await _look(settings)
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


async def _look(settings: Settings) -> None:
    clients = list(Client.instances.values())
    metrics.pages.set(len(clients))
    metrics.sockets.set(sum(client.has_socket_connection for client in clients))
    metrics.subscriptions.set(live.subscribers())
    for role, engine in visit.database.engines.items():
        of_role: Any = engine.pool
        metrics.pool.labels(role, 'used').set(of_role.checkedout())
        metrics.pool.labels(role, 'idle').set(of_role.checkedin())
    metrics.disk.set(room(settings.data)[0])
    try:
        found = await asyncio.wait_for(_gauges(), PATIENCE)
    except Exception:  # the scrape goes on: that the database is away is what it has to say
        metrics.database_up.set(0)
        found = {}
    else:
        metrics.database_up.set(1)
    for name, gauge in metrics.FROM_DATABASE.items():
        gauge.set(found[name] if found.get(name) is not None else float('nan'))


async def _gauges() -> dict[str, Any]:
    async with visit.database.engines['worker'].connect() as connection:
        return (
            await connection.execute(
                text("select app.gauges() || jsonb_build_object('database_bytes', pg_database_size(current_database()))")
            )
        ).scalar_one()
