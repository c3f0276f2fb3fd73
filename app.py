"""Starts the portal: settings → database → pages → serve."""

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import NoReturn

from portal import logs
from portal.db import migrate, server
from portal.settings import Settings, WrongSetting, load


def main() -> None:
    began = time.perf_counter()
    try:
        settings = prepared(load())
        logs.install(settings)
        _free_port(settings)
        cluster = server.open_cluster(settings)
    except (WrongSetting, server.CannotStart) as e:
        _give_up(str(e))
    try:
        bring_up(cluster, settings)
        serve(cluster, settings, began)
    except (server.CannotStart, migrate.NewerDatabase) as e:
        cluster.stop()
        _give_up(str(e))
    except BaseException:
        cluster.stop()
        raise


def prepared(settings: Settings) -> Settings:
    """In the demo, whoever comes to an address that no tenant claims is with Northwind."""
    from portal.demo import NORTHWIND

    return replace(settings, tenant=settings.tenant or NORTHWIND) if settings.demo else settings


def bring_up(cluster: server.Cluster, settings: Settings) -> None:
    """The database to the present, checked, and with the demo's stories if it is to have them."""
    from portal import demo
    from portal.db import lint

    if settings.database_url:
        demo.refuse_mixing(cluster, settings)
    migrate.upgrade(cluster)
    if problems := lint.problems(cluster.conninfo('portal_owner')):
        raise server.CannotStart('The database does not keep people apart as it must: ' + '; '.join(problems[:3]) + '.')
    if settings.demo:
        demo.load(cluster, settings)


def serve(cluster: server.Cluster, settings: Settings, began: float) -> None:
    import uvicorn

    from portal.ending import Server

    app = build(cluster, settings, stop_cluster=True)
    _greet(cluster, settings, began)
    with contextlib.suppress(KeyboardInterrupt):
        config = uvicorn.Config(
            app, host=settings.host, port=settings.port, log_level='warning', log_config=None, ws_max_size=1_000_000, access_log=False,
            timeout_graceful_shutdown=5, server_header=False, proxy_headers=False,
        )  # fmt: skip
        Server(config).run()


def build(cluster: server.Cluster, settings: Settings, *, stop_cluster: bool):
    """The application, with its listener and worker; whoever serves it runs its lifespan."""
    from fastapi import FastAPI
    from nicegui import core, ui
    from starlette.middleware.gzip import GZipMiddleware

    from portal import guard, live, pages, proxies, swift, visit
    from portal.components import assets
    from portal.db import engine
    from portal.jobs import queue
    from portal.storage import Store

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        """After NiceGUI's own start, before the first request; leaves in reverse."""
        visit.database = engine.connect(cluster, pool_size=settings.pool_size)
        await asyncio.to_thread(Store(settings).sweep_incoming)  # what was being received when the portal died
        helpers = [
            asyncio.create_task(live.listen(visit.database.conninfo('worker'))),
        ]
        if settings.worker:
            helpers.append(asyncio.create_task(queue.run(visit.database, settings)))
        swift.settle()
        try:
            yield
        finally:
            for task in helpers:
                task.cancel()
            await asyncio.wait(helpers, timeout=8)
            await visit.database.close()
            if stop_cluster:  # here, not after uvicorn.run(): on SIGTERM that never returns
                await asyncio.to_thread(cluster.stop)

    swift.install()
    api = FastAPI(lifespan=lifespan, openapi_url=None)
    api.router.routes.extend(assets.routes())
    pages.register(api, settings)
    ui.run_with(
        api, title='Portal', tailwind=False, reconnect_timeout=30, show_welcome_message=False, language='en-US',
        binding_refresh_interval=None, message_history_length=200, gzip_middleware_factory=None,
    )  # fmt: skip
    guard.install()
    core.app.config.quasar_config['loadingBar']['skipHijack'] = True  # it has no name for screen readers
    core.app.config.socket_io_js_transports = ['websocket']
    fenced = guard.Guard(assets.Static(api), settings)
    return proxies.Proxies(GZipMiddleware(fenced, minimum_size=1000, compresslevel=5), settings)


def _free_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ':' in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as e:
            raise WrongSetting(f'PORTAL_PORT {settings.port} on {settings.host} cannot be used: {e.strerror}.') from None


def _greet(cluster: server.Cluster, settings: Settings, began: float) -> None:
    print(f'\nThe portal is ready after {time.perf_counter() - began:.1f} s: {settings.origin}', flush=True)
    if settings.demo:
        from portal import demo

        print(demo.greeting(settings), flush=True)
    else:
        from portal import setup

        if code := setup.code_if_open(cluster, settings):
            print(f'It is empty. Set it up at {settings.origin}/setup with the code  {code}\n', flush=True)


def _give_up(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    sys.exit(2)


if __name__ == '__main__':
    main()
