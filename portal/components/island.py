"""Islands: HTML from our templates that stays alive in a NiceGUI page.

An island is one element on the server, whatever it shows. What one clicks, types or sends in it comes back as an `Act`; what the
server sets is morphed into the page, so that focus, selection, what is being typed and what was opened stay as they are.
`static/js/island.js` describes the attributes it listens to.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape
from nicegui.element import Element
from nicegui.events import GenericEventArguments

Value = str | list[str]
MOST_NAMES = 500
MOST_SIGNS = 200_000


@dataclass(frozen=True)
class Act:
    """What somebody did: the name of the action, the key of the row it was done to, and the values of the form or button."""

    name: str
    key: str | None
    values: Mapping[str, Value]

    def text(self, name: str, most: int | None = None) -> str:
        """The value, stripped; '' if there is none. ValueError if it is longer than `most` signs."""
        value = self.values.get(name, '')
        text = (value if isinstance(value, str) else value[0] if value else '').strip()
        if most is not None and len(text) > most:
            raise ValueError(f'{name} is longer than {most} signs')
        return text

    def all(self, name: str) -> list[str]:
        """Every value of a name that may come more than once, such as ticked boxes."""
        value = self.values.get(name, [])
        return [value] if isinstance(value, str) else list(value)

    def __contains__(self, name: object) -> bool:
        return name in self.values


def act_from(message: Any) -> Act:
    """An Act from what the browser sent, which may be anything. ValueError if it is not one."""
    if not isinstance(message, dict) or not isinstance(message.get('act'), str):
        raise ValueError('not an act')
    key, values = message.get('key'), message.get('values') or {}
    if key is not None and not isinstance(key, str):
        raise ValueError('a key is a text')
    if not isinstance(values, dict) or len(values) > MOST_NAMES:
        raise ValueError('values are a small table')
    return Act(message['act'], key, {str(name): _value(value) for name, value in values.items()})


def _value(value: Any) -> Value:
    if isinstance(value, list):
        return [_text(item) for item in value[:MOST_NAMES]]
    return _text(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MOST_SIGNS:
        raise ValueError('a value is a text of reasonable length')
    text = value.replace('\r\n', '\n').replace('\x00', '')
    return text.encode('utf-8', 'replace').decode()  # half a sign is no text: neither pages nor the database can hold it


class Island(Element, component='static/js/island.js'):
    """Shows `html` and tells `on_act` what is done in it.

    The html must be Markup, so that only templates and escaped text can become HTML; anything else is a TypeError.
    """

    def __init__(self, html: Markup, on_act: Callable[[Act], Any] | None = None, *, tag: str = 'div', classes: str = '') -> None:
        super().__init__()
        self._content = _markup(html).encode()
        self._shown_as = tag
        self._on_act = on_act
        self._props['island'] = str(self.id)
        self._props['as'] = tag
        self._props['html'] = str(html)
        if classes:
            self.classes(classes)
        if on_act:
            self.on('act', self._handle)

    @property
    def content(self) -> Markup:
        return Markup(self._content.decode())  # noqa: S704  (it came as Markup)

    @property
    def shown_as(self) -> str:
        """The tag it has in the page."""
        return self._shown_as

    def set(self, html: Markup) -> None:
        """Morph to this. Nothing is sent when nothing changes, or when the screen was left meanwhile."""
        content = _markup(html).encode()
        if content == self._content or self.is_deleted:
            return
        self._content = content
        self._props['html'] = str(html)
        self.update()

    def add(self, html: Markup, piece: Markup, follows: Mapping[str, str] | None = None) -> None:
        """Shows `html`: what it shows already, with `piece` at the end of the element that carries `data-grows`. Sends the piece,
        and values for the hidden fields of the page's composer, which may stand in another island."""
        if self.is_deleted:
            return
        self._content = _markup(html).encode()
        self._props.pop('html', None)
        self.run_method('add', str(_markup(piece)), dict(follows or {}))

    def adopt(self) -> None:
        """The page already carries the content (see `static_html`): do not send it a second time."""
        self._props.pop('html', None)

    def forget_draft(self, key: str | None = None) -> None:
        """What was sent has arrived: empty the form that was sent last, and drop its draft, or the draft of this key."""
        self.run_method('forget', key)

    def insert(self, text: str) -> None:
        """Into the composer that stands in it, where the cursor is."""
        self.run_method('insert', text)

    def _handle_delete(self) -> None:
        """Lets go of the page behind it, which names its islands: a ring would stay in memory until the collector comes."""
        super()._handle_delete()
        self._on_act = None
        with self._props.suspend_updates():
            self._props.clear()

    async def _handle(self, event: GenericEventArguments) -> None:
        if self._on_act is None:  # the screen was left before its turn came
            return
        number = event.args.get('number') if isinstance(event.args, dict) else None
        try:
            result = self._on_act(act_from(event.args))
            if inspect.isawaitable(result):
                await result
        finally:
            # Always, or the button that was pressed would stay busy for ever
            if isinstance(number, int) and not self.is_deleted:
                self.run_method('done', number)


def _markup(html: object) -> Markup:
    if not isinstance(html, Markup):
        raise TypeError(f'an island shows Markup, not {type(html).__name__}')
    return html


def static_html(island: Island, others: Sequence[str] = ()) -> Markup:
    """The island exactly as it looks live: for the first paint, inside `#ssr`, and for tests."""
    classes = escape(' '.join([*island.classes, *others]))
    attributes = Markup(' class="{}"').format(classes) if classes else ''
    return Markup('<{tag}{attributes} data-island="{id}">{content}</{tag}>').format(
        tag=island.shown_as, attributes=attributes, id=island.id, content=island.content
    )
