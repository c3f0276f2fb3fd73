"""Templates become escaped HTML here, and nowhere else.

Everything a template prints is escaped unless it is already `Markup`. The macros of `templates/macros/` are one module:
`ui.button(…)` in any template, `macro('button')(…)` from Python.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, FunctionLoader, StrictUndefined
from markupsafe import Markup

from portal import i18n
from portal.components import assets, values

TEMPLATES = Path(__file__).parent / 'templates'
MACROS = 'macros.html'


def _macros(name: str) -> str | None:
    """All of `templates/macros/` as one template, so that macros can call each other whatever file they stand in."""
    if name != MACROS:
        return None
    return '\n'.join(path.read_text('utf-8') for path in sorted((TEMPLATES / 'macros').glob('*.html')))


def _environment(*loaders: BaseLoader) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([*loaders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    words = ('_', '_n', '_p', '_m', '_mn', 'when', 'exact', 'said_at', 'day', 'long_day', 'clock', 'number', 'capped')
    environment.globals.update({word: getattr(i18n, word) for word in words})
    environment.globals.update(icons_url=assets.icons_url, asset=assets.url, languages=i18n.LANGUAGES, initials=initials)
    environment.globals['voice'] = i18n.voice
    environment.globals['file_limit'] = 25_000_000  # bytes; the setting comes with the pages
    environment.globals.update(
        Action=values.Action, Crumb=values.Crumb, Column=values.Column, Option=values.Option, Row=values.Row
    )
    return environment


def initials(name: str) -> str:
    """Two letters for the avatar: `Ada Brandt` gives `AB`, `Petra Lindemann-Czerny` gives `PL`, one word its first two."""
    words = [word for word in name.split() if word[0].isalnum()]
    if not words:
        return '?'
    return (words[0][:2] if len(words) == 1 else words[0][0] + words[-1][0]).upper()


environment = _environment(FunctionLoader(_macros), FileSystemLoader(TEMPLATES))


def add_templates(folder: Path, *, file_limit: int) -> None:
    """Pages bring templates of their own; they find the same macros and words. `file_limit`: bytes of the largest file."""
    environment.globals['file_limit'] = file_limit
    loader = environment.loader
    assert isinstance(loader, ChoiceLoader)
    loader.loaders = [*loader.loaders, FileSystemLoader(folder)]


def render(template: str, **values: Any) -> Markup:
    """The template with its values, every one of them escaped."""
    return Markup(environment.get_template(template).render(**values))  # noqa: S704  (autoescape is always on)


@cache
def macro(name: str) -> Callable[..., Markup]:
    """A macro of `templates/macros/`, to be called from Python. AttributeError if there is none."""
    return getattr(environment.globals['ui'], name)


environment.globals['ui'] = environment.get_template(MACROS).module
