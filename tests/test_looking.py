"""What a file is says its content, not its name; and what is shown of it carries nothing else along."""

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from portal.looking import BYTES, PLAIN_TYPES, look_at

PHOTO_OF_A_PHONE = 6  # EXIF: turned by a quarter
ORIENTATION, MAKE, GPS = 0x0112, 0x010F, 0x8825


def saved(image: Image.Image, kind: str, **more: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


def png_of(width: int, height: int) -> bytes:
    """Says that it is so large; a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(b'\0' * 1000)) + chunk(b'IEND', b'')


@pytest.mark.parametrize(
    ('content', 'media_type'),
    [
        (b'', 'text/plain'),
        (b'hello', 'text/plain'),
        ('Grüße '.encode() * 3000, 'text/plain'),
        (b'<html><script>alert(1)</script>', 'text/plain'),
        (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', 'text/plain'),
        (b'%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj', 'application/pdf'),
        (b'MZ\x90\x00\x03\x00\x00\x00', BYTES),
        (b'\x00\x01\x02\x03', BYTES),
        (b'\x89PNG\r\n\x1a\nnothing more', BYTES),
    ],
)
def test_types_come_from_content(tmp_path: Path, content: bytes, media_type: str) -> None:
    path = tmp_path / 'x'
    path.write_bytes(content)
    look = look_at(path)
    assert look.media_type == media_type
    assert look.preview is None


def test_a_preview_is_small_and_says_nothing_of_the_photographer(tmp_path: Path) -> None:
    image = Image.new('RGB', (4000, 1000), '#24527a')
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = PHOTO_OF_A_PHONE, 'Secret Phone'
    exif[GPS] = {1: 'N', 2: (52.0, 31.0, 0.0)}
    path = tmp_path / 'x'
    path.write_bytes(saved(image, 'JPEG', exif=exif, comment=b'taken at home'))
    look = look_at(path)
    assert look.media_type == 'image/jpeg'
    assert look.preview
    assert b'Secret' not in look.preview
    assert b'home' not in look.preview
    with Image.open(io.BytesIO(look.preview)) as shown:
        assert not shown.getexif()
        assert shown.size == look.size == (400, 1600)  # upright


def test_what_is_transparent_stays_so(tmp_path: Path) -> None:
    path = tmp_path / 'x'
    path.write_bytes(saved(Image.new('RGBA', (10, 10), (0, 0, 0, 0)), 'PNG'))
    look = look_at(path)
    assert look.preview
    with Image.open(io.BytesIO(look.preview)) as shown:
        assert shown.convert('RGBA').getpixel((5, 5))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize('size', [(60_000, 60_000), (9000, 9000)])
def test_a_bomb_is_not_opened(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / 'x'
    path.write_bytes(png_of(*size))
    assert look_at(path).preview is None


def test_only_a_photograph_is_decoded_from_so_many_pixels(tmp_path: Path) -> None:
    """Of 86 bytes of WebP, decoding makes a gigabyte."""
    small, wide = Image.new('L', (5000, 4000)), Image.new('L', (7680, 2160))
    for image, kind, shown in (
        (small, 'JPEG', (1600, 1280)),
        (small, 'WEBP', None),
        (small, 'PNG', None),
        (wide, 'PNG', (1600, 450)),
    ):
        path = tmp_path / kind
        image.save(path, kind)
        look = look_at(path)
        assert (look.media_type, look.size) == (f'image/{kind.lower()}', shown)


def test_a_picture_that_is_also_a_page_is_shown_as_a_new_picture(tmp_path: Path) -> None:
    path = tmp_path / 'x'
    path.write_bytes(saved(Image.new('RGB', (20, 20)), 'GIF') + b'<script>alert(1)</script>')
    look = look_at(path)
    assert look.media_type == 'image/gif'
    assert look.preview
    assert b'script' not in look.preview


def test_nothing_that_a_browser_would_run_is_served_as_what_it_is() -> None:
    assert not {t for t in PLAIN_TYPES if 'html' in t or 'svg' in t or 'script' in t or 'xml' in t.split('.')[0]}
