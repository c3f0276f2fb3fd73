"""Somebody at the portal, without a browser: requests through the real guard, and what one does on an open page."""

import asyncio
import json
import re
from typing import Any
from uuid import UUID

import httpx
from nicegui import Client
from nicegui.element import Element

from portal.components.island import Island
from portal.components.stage import Stage


class Page:
    """An open page: its HTML as first painted, and its islands alive."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer, self.html, self.status = answer, answer.text, answer.status_code
        found = re.search(r'client_id.{1,12}?([0-9a-f-]{36})', self.html)
        self.client: Client | None = Client.instances.get(found[1]) if found else None

    @property
    def islands(self) -> list[Island]:
        assert self.client
        return [e for e in self.client.elements.values() if isinstance(e, Island)]

    @property
    def shown(self) -> str:
        """What the islands show now."""
        return '\n'.join(str(island.content) for island in self.islands)

    async def act(self, name: str, key: str | None = None, **values: Any) -> None:
        """As the browser sends it for something with this `data-act` (or `data-on`)."""
        island = next(i for i in self.islands if re.search(rf'data-(act|on)="{name}"', str(i.content)))
        await self.send(island, {'act': name, 'key': key, 'values': values, 'number': 1})

    async def go(self, path: str) -> None:
        """As when a link is followed within the page."""
        assert self.client
        stage = next(e for e in self.client.elements.values() if isinstance(e, Stage))
        await self._event(stage, 'go', {'path': path, 'number': 1})

    async def send(self, island: Island, message: Any) -> None:
        """Any message to an island's handler, and until it has been dealt with."""
        await self._event(island, 'act', message)

    async def _event(self, element: Element, kind: str, message: Any) -> None:
        handlers = [e for e in element._event_listeners.values() if e.type == kind]  # pyright: ignore[reportPrivateUsage]
        before = asyncio.all_tasks()
        assert self.client
        self.client.handle_event(
            {'id': element.id, 'client_id': self.client.id, 'listener_id': handlers[0].id, 'args': [json.dumps(message)]}
        )
        started = asyncio.all_tasks() - before
        if started:
            await asyncio.wait(started, timeout=10)


class Visitor:
    """`visitor(cast.ada)`, or `visitor(host=…)` for somebody who is not signed in."""

    app: Any

    def __init__(self, who: Any = None, *, host: str | None = None, cookie: str | None = None) -> None:
        host = host or who.host
        self.origin = f'http://{host}'
        cookies = {'portal': cookie or who.cookie} if (cookie or who) else {}
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url=self.origin, cookies=cookies, headers={'origin': self.origin}
        )

    async def get(self, path: str, **more: Any) -> Page:
        return Page(await self.http.get(path, **more))

    async def post(self, path: str, **values: Any) -> Page:
        return Page(await self.http.post(path, data=values))


__all__ = ['UUID', 'Page', 'Visitor']
