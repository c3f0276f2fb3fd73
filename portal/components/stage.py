"""Where the screens stand: navigation without reload, see `static/js/stage.js`."""

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui.element import Element
from nicegui.events import GenericEventArguments

LONGEST = 2_000  # characters of an address


class Stage(Element, component='static/js/stage.js'):
    """Calls `on_go(path, number)` for every link, search and step in the history below `root`.

    `path` comes from the browser and may be anything; the number is given back with `arrived`.
    """

    def __init__(self, root: str, on_go: Callable[[str, int], Awaitable[None]]) -> None:
        super().__init__()
        self._props['root'] = root
        self.classes('stage')

        async def go(event: GenericEventArguments) -> None:
            args: Any = event.args
            if not isinstance(args, dict):
                return
            path, number = args.get('path'), args.get('number')
            if isinstance(path, str) and len(path) <= LONGEST and isinstance(number, int):
                await on_go(path, number)

        self.on('go', go)

    def arrived(self, number: int) -> None:
        self.run_method('arrived', number)

    def address(self, path: str, *, replace: bool = False) -> None:
        """The screen shows something else now, and this is its address; nothing is built."""
        self.run_method('address', path, replace)

    def lead_to(self, path: str) -> None:
        """As if a link had been followed."""
        self.run_method('leadTo', path)

    def download(self, path: str) -> None:
        self.run_method('download', path)

    def say(self, words: str, *, bad: bool = False) -> None:
        """A toast."""
        self.run_method('say', words, 'bad' if bad else '')
