"""docs/access-matrix.md is what the portal answers. `python -m tests.matrix` writes it anew."""

import difflib
import importlib
import os
import pkgutil

import portal.domain
from portal.db import cast as casting
from portal.settings import Settings
from portal.tenants import forget
from tests import matrix
from tests.visitor import Visitor


async def test_nothing_changed_unasked(pages: object, settings: Settings, maintenance: str) -> None:
    for module in pkgutil.walk_packages(portal.domain.__path__, 'portal.domain.'):
        importlib.import_module(module.name)
    forget()

    class Someone(Visitor):
        app = pages

    found = await matrix.written(pages, Someone, lambda: casting.make(maintenance), settings, maintenance)
    if os.environ.get('PORTAL_WRITE_MATRIX'):
        matrix.FILE.write_text(found)
    kept = matrix.FILE.read_text()
    changed = '\n'.join(difflib.unified_diff(kept.splitlines(), found.splitlines(), 'kept', 'found', lineterm='', n=0))
    assert not changed, f'who gets what has changed; if that is meant: python -m tests.matrix\n{changed}'
