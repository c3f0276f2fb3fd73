"""The end of a process that others stand in for: nobody new comes in, what is under way is done and answered, then pages leave."""

import asyncio
import socket

import uvicorn

from portal import visit

PATIENCE = 5.0  # seconds for what is under way
QUIET = 0.3  # seconds without work, in which answers reach their pages


class Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """On SIGTERM. A page whose socket is closed afterwards loads anew, from the process that the proxy now leads to."""
        for server in self.servers:
            server.close()
        await _settled()
        await super().shutdown(sockets)


async def _settled() -> None:
    clock = asyncio.get_running_loop().time
    ends, quiet_since = clock() + PATIENCE, clock()
    while clock() < ends and clock() - quiet_since < QUIET:
        await asyncio.sleep(0.02)
        if visit.database.at_work:
            quiet_since = clock()
