"""The first paint: the page as plain HTML, so that it is seen before any script runs.

Most of a page is islands, whose HTML is known; around them stand plain elements. Both are written into the body as `#ssr`;
when the live page is mounted, each island takes its part over from there (with what was typed meanwhile), and `#ssr` goes.
"""

from markupsafe import Markup, escape
from nicegui.element import Element

from portal.components.island import Island, static_html
from portal.components.stage import Stage

FIRST_PAINT_OPENS, FIRST_PAINT_CLOSES = '<div id="ssr">', '<!-- first paint -->'
_VOID = {'br', 'hr', 'img', 'input'}


def first_paint(*roots: Element) -> Markup:
    """What `roots` look like now; their islands will adopt it."""
    html = Markup('').join(_html(root) for root in roots)
    return Markup(FIRST_PAINT_OPENS) + html + Markup('</div>' + FIRST_PAINT_CLOSES)  # noqa: S704  (fixed words)


def _html(element: Element) -> Markup:
    if isinstance(element, Island):
        element.adopt()
        return static_html(element)
    tag = 'div' if isinstance(element, Stage) else element.tag
    if tag.startswith(('q-', 'nicegui-')) or not element.visible:
        return Markup('')  # dialogs and the like: nothing that is seen at first
    attributes = Markup('').join(
        Markup(' {}="{}"').format(name, value)
        for name, value in [('class', ' '.join(element.classes)), *element.props.items()]
        if isinstance(value, str | int) and value != '' and name not in ('html', 'island', 'as')
    )
    if tag in _VOID:
        return Markup('<{}{}>').format(tag, attributes)
    children = Markup('').join(_html(child) for child in element.default_slot.children)
    return Markup('<{0}{1}>{2}{3}</{0}>').format(tag, attributes, escape(getattr(element, 'text', '') or ''), children)
