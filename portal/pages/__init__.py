"""The screens of the portal. `register` puts them on the application."""

from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from nicegui import core

from portal.components.render import add_templates
from portal.settings import Settings


def register(api: FastAPI, settings: Settings) -> None:
    """A function, so that a test can register the pages anew."""
    from portal.guard import forget
    from portal.pages import client, drafts, exports, files, import_files, me, own_passkeys, staff, trail_files
    from portal.pages.auth import doors, faults
    from portal.pages.frame import Page, page

    faults.install(api)
    core.app.on_delete(forget)
    add_templates(Path(__file__).parent / 'templates', file_limit=settings.file_limit_mb * 1_000_000)
    for router in (
        doors.router,
        me.router,
        files.router,
        drafts.router,
        exports.router,
        import_files.router,
        own_passkeys.router,
        trail_files.router,
    ):
        api.include_router(router)
    client_side, staff_side = client.spec(settings), staff.spec(settings)

    @page('/msp/{_:path}')
    @page('/msp')
    async def staff_page() -> None:
        await Page(staff_side).show()

    @page('/client-portal/{_company}/{_:path}')
    @page('/client-portal/{_company}')
    async def client_page() -> None:
        await Page(client_side).show()

    _ = staff_page, client_page, core, RedirectResponse, urlsplit
