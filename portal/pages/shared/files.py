"""How files look, and where they are."""

from typing import Any
from uuid import UUID

from portal.components import values
from portal.components.island import Act
from portal.domain.tickets import File
from portal.i18n import _, _n, number

LARGEST = (360, 260)  # pixels of a picture in the conversation
_ICONS = {'application/pdf': 'file-text', 'text/plain': 'file-text', 'application/zip': 'archive'}


def size_words(size: int) -> str:
    """As people say it: `1.8 MB`."""
    if size < 1000:
        return _n('{n} byte', '{n} bytes', size)
    if size < 1_000_000:
        return _('{n} KB', n=number(round(size / 1000)))
    if size < 1_000_000_000:
        return _('{n} MB', n=number(round(size / 1_000_000, 1)))
    return _('{n} GB', n=number(round(size / 1_000_000_000, 1)))


def shown(file: File, root: str) -> values.File:
    """`root`: where the side begins in the address."""
    href = f'{root}/files/{file.id}'
    icon = 'image' if file.media_type.startswith('image/') else _ICONS.get(file.media_type, 'paperclip')
    preview = values.Preview(f'{href}/preview', *_fitting(file.width, file.height)) if file.width and file.height else None
    return values.File(file.name, href, size_words(file.size), icon, preview)


def _fitting(width: int, height: int) -> tuple[int, int]:
    """As large as a picture is shown in the conversation, so that nothing moves when it arrives."""
    share = min(1, LARGEST[0] / width, LARGEST[1] / height)
    return max(1, round(width * share)), max(1, round(height * share))


def chosen_files(act: Act) -> list[UUID]:
    """The files that a form sends along. What is no id belongs to no file of theirs, and is refused like one."""
    return [_id(word) for word in act.all('file')]


def _id(word: str) -> UUID:
    try:
        return UUID(word)
    except ValueError:
        return UUID(int=0)


def as_json(file: File, root: str) -> dict[str, Any]:
    """For the list below a form."""
    look = shown(file, root)
    return {'id': str(file.id), 'name': file.name, 'size': look.size, 'preview': look.preview.href if look.preview else None}
