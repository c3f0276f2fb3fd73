"""What people of the demo sent along: drawn here, so that nothing of it is anybody's. Stories name them (`with error.png`)."""

import hashlib
import io
from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw, ImageFont

from portal.demo.telling import Rows
from portal.looking import look_at
from portal.storage import Store

INK, SOFT, LINE, GROUND, PAPER, BLUE, RED = '#1f1f1f', '#5f5f5f', '#c8c8c8', '#eceff3', '#ffffff', '#0f5fb4', '#b3261e'


def keep(rows: Rows, store: Store) -> None:
    """Puts the bytes into the store, and into the rows what is known of them by looking."""
    for row in rows.get('file', ()):
        content = FILES[row['name']]()
        with store.incoming() as incoming:
            incoming.write(content)
            stored_as = incoming.keep()
        look = look_at(store.path(stored_as))
        if look.preview:
            store.keep_preview(stored_as, look.preview)
        width, height = look.size or (None, None)
        row |= {
            'stored_as': stored_as, 'media_type': look.media_type, 'size': len(content), 'width': width, 'height': height,
            'sha256': hashlib.sha256(content).hexdigest(),
        }  # fmt: skip


def _window(title: str, lines: Sequence[tuple[str, str]], button: str) -> bytes:
    """A picture of a small window, as PNG. `lines`: words and colour; ASCII, the font that Pillow brings has nothing else."""
    image = Image.new('RGB', (680, 150 + 34 * len(lines)), GROUND)
    draw, width, height = ImageDraw.Draw(image), image.width, image.height
    draw.rectangle((16, 16, width - 17, height - 17), PAPER, LINE)
    draw.rectangle((17, 17, width - 18, 52), BLUE)
    draw.text((32, 34), title, PAPER, ImageFont.load_default(17), anchor='lm')
    draw.text((width - 36, 34), 'x', PAPER, ImageFont.load_default(18), anchor='mm')
    for n, (words, colour) in enumerate(lines):
        draw.text((40, 84 + 34 * n), words, colour, ImageFont.load_default(18), anchor='lm')
    draw.rectangle((width - 150, height - 66, width - 40, height - 34), GROUND, LINE)
    draw.text((width - 95, height - 50), button, INK, ImageFont.load_default(16), anchor='mm')
    out = io.BytesIO()
    image.save(out, 'PNG')
    return out.getvalue()


def _print_queue() -> bytes:
    rows = [('Kyocera Empfang: 3 documents', SOFT), ('HKP_Schneider.pdf: error, printing', RED), ('HKP_Aydin.pdf: waiting', INK),
            ('Test page: waiting', INK)]  # fmt: skip
    return _window('Print queue', rows, 'Close')


def _password() -> bytes:
    rows = [('Neues Kennwort: ugo', SOFT), ('Kennwort entspricht nicht den Richtlinien.', RED), ('Fehler 4417', INK)]
    return _window('Praxissoftware 11.4', rows, 'OK')


def _cabling() -> bytes:
    """One page, A4, as PDF."""
    image = Image.new('L', (827, 1169), 'white')
    draw = ImageDraw.Draw(image)
    draw.text((70, 90), 'Verkabelungsplan', 0, ImageFont.load_default(34), anchor='ls')
    draw.text((70, 128), 'Bolt Logistics, neues Verwaltungsgebäude', 80, ImageFont.load_default(19), anchor='ls')
    sockets = [('Leitstelle', 'L-01 bis L-12', '12'), ('Westen', 'W-01 bis W-14', '14'), ('Osten', 'O-01 bis O-10', '10'),
               ('Altbau', 'LWL 1, LWL 2 (Reserve)', '2')]  # fmt: skip
    for n, row in enumerate([('Raum', 'Dosen', 'Anzahl'), *sockets]):
        for x, words in zip((80, 320, 660), row, strict=True):
            draw.text((x, 200 + 44 * n), words, 0 if n else 90, ImageFont.load_default(18), anchor='lm')
        draw.line((70, 222 + 44 * n, 757, 222 + 44 * n), 170)
    draw.rectangle((90, 480, 737, 900), outline=0, width=3)
    for x in (300, 520):
        draw.line((x, 480, x, 900), 0, 3)
    for x, words in ((195, 'Leitstelle'), (410, 'Westen'), (628, 'Osten')):
        draw.text((x, 690), words, 0, ImageFont.load_default(20), anchor='mm')
    out = io.BytesIO()
    image.save(out, 'PDF', resolution=100)
    return out.getvalue()


def _ups_log() -> bytes:
    lines = ['# RBC7, Halle 4, firmware 2.18']
    for n, volts in enumerate((231, 198, 229, 196, 230, 201, 228, 197, 230)):
        state = 'mains' if volts > 220 else 'battery'
        lines.append(f'07:{33 + n:02}:{(17 * n) % 60:02} input {volts} V  {state}')
    lines += ['07:45:03 input 196 V  battery', '07:45:10 self test failed, output off', '07:45:41 input 229 V  restart']
    return ('\n'.join(lines) + '\n').encode()


FILES: dict[str, Callable[[], bytes]] = {
    'print-queue.png': _print_queue, 'Kennwort.png': _password, 'Verkabelungsplan.pdf': _cabling, 'ups-halle-4.log': _ups_log,
}  # fmt: skip
