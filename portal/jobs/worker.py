"""`python -m portal worker`: jobs in a process of their own, beside the one that serves."""

import asyncio
import signal

from portal import logs
from portal.db import engine, server
from portal.jobs import queue
from portal.settings import Settings


def main(settings: Settings) -> None:
    logs.install(settings)
    cluster = server.open_cluster(settings, attach=True)
    try:
        asyncio.run(_work(cluster, settings))
    finally:
        cluster.stop()


async def _work(cluster: server.Cluster, settings: Settings) -> None:
    database = engine.connect(cluster, pool_size=settings.pool_size)
    working = asyncio.create_task(queue.run(database, settings))
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, working.cancel)
    await asyncio.wait([working])
    await database.close()
