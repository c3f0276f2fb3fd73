"""What a file is, found by looking at it, and how an image looks: never what somebody says it is.

Everything here reads files that strangers made, and blocks: call it in a thread.
"""

import io
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import puremagic
from PIL import Image, ImageOps

log = logging.getLogger('portal.files')
FORMATS = ('PNG', 'JPEG', 'WEBP', 'GIF', 'BMP', 'MPO')
#: More is not decoded: a small file can claim to be of any size, and 86 bytes become a gigabyte. Photographs are decoded at a
#: fraction of their size; everything else is screenshots and drawings (7680 × 2160 fits). Neither takes more than 350 MB.
MOST_PIXELS, MOST_WHOLE = 50_000_000, 18_000_000
LARGEST = (1600, 1600)  # pixels of a preview
HEAD = 8192  # bytes
#: Served as what they are, to be opened by the right programme; everything else as bytes, and all of it as attachments.
PLAIN_TYPES = frozenset({
    'image/png', 'image/jpeg', 'image/webp', 'image/gif', 'image/bmp', 'application/pdf', 'application/zip', 'text/plain',
    'application/msword', 'application/vnd.ms-excel', 'application/vnd.ms-outlook',
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
    'application/vnd.openxmlformats-officedocument.presentationml.presentation',
})  # fmt: skip
BYTES = 'application/octet-stream'


@dataclass(frozen=True, slots=True)
class Look:
    media_type: str
    preview: bytes | None = None  # WebP, without what the file says about itself
    size: tuple[int, int] | None = None  # of the preview


def look_at(path: Path) -> Look:
    """Never fails for what is in the file."""
    if found := _image(path):
        return found
    return Look(_media_type(path))


def _image(path: Path) -> Look | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error', Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                media_type = 'image/jpeg' if image.format == 'MPO' else Image.MIME[image.format or '']
                if image.width * image.height > (MOST_PIXELS if media_type == 'image/jpeg' else MOST_WHOLE):
                    return Look(media_type)
                image.draft('RGB', LARGEST)  # a large photo is decoded at a fraction of its size
                image.thumbnail(LARGEST)  # first, or turning it takes its memory twice
                shown = ImageOps.exif_transpose(image)
                alpha = 'A' in shown.getbands() or 'transparency' in shown.info
                out = io.BytesIO()
                shown.convert('RGBA' if alpha else 'RGB').save(
                    out, 'WEBP', quality=82, method=3, exif=b'', icc_profile=b'', xmp=b''
                )
                return Look(media_type, out.getvalue(), shown.size)
    except Exception as e:  # whatever a decoder says of a file made to break it
        log.debug('no image: %s', type(e).__name__)
        return None


def _media_type(path: Path) -> str:
    with path.open('rb') as file:
        head = file.read(HEAD)
    if not head:
        return 'text/plain'
    if _is_text(head):
        return 'text/plain'  # also HTML, SVG and scripts: as text they do nothing
    try:
        matches = puremagic.magic_file(path)
    except (puremagic.PureError, ValueError, OSError):
        matches = []
    return next((m.mime_type for m in matches if m.mime_type in PLAIN_TYPES and not m.mime_type.startswith('image/')), BYTES)


def _is_text(head: bytes) -> bool:
    if b'\x00' in head or head.startswith((b'%PDF', b'PK')):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as e:
        return len(head) == HEAD and e.start > HEAD - 4 and e.reason == 'unexpected end of data'
    return True
