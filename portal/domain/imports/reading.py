"""From the bytes of a CSV file to a table. What comes in may be anything: everything is bounded, and said in words."""

import codecs
import csv
import io
from dataclasses import dataclass

from charset_normalizer import from_bytes

from portal.domain.base import Wrong
from portal.i18n import _, number

MOST_BYTES = 5 * 1024 * 1024
MOST_ROWS, MOST_COLUMNS, MOST_SIGNS = 10_000, 100, 10_000
DELIMITERS = ';,\t'
_BOMS = (
    (codecs.BOM_UTF8, 'utf_8_sig'), (codecs.BOM_UTF16_LE, 'utf_16'), (codecs.BOM_UTF16_BE, 'utf_16'),
)  # fmt: skip
#: A cell that begins so is a formula to a spreadsheet.
FORMULA = ('=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠')


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` are pairs of the number of the line in the file, and its cells: as many as there are columns."""

    columns: list[str]
    rows: list[tuple[int, list[str]]]
    encoding: str
    delimiter: str


def read(data: bytes) -> Table:
    """Raises Wrong(file=…) for what is no such table."""
    if len(data) > MOST_BYTES:
        raise Wrong(file=_('At most 5 MB, please. Split the file into parts.'))
    if data.startswith((b'PK\x03\x04', b'\xd0\xcf\x11\xe0')):
        raise Wrong(file=_('This is a spreadsheet. Save it as CSV in your spreadsheet program, then upload that.'))
    text, encoding = _decoded(data)
    if '\x00' in text:
        raise Wrong(file=_('Line {n} has a character that no text has. This is no CSV file, or it is damaged.', n=number(text.count('\n', 0, text.index('\x00')) + 1)))  # fmt: skip
    if not text.strip():
        raise Wrong(file=_('There is nothing in this file.'))
    text = text.replace('\r\n', '\n').replace('\r', '\n')
    delimiter = _delimiter(text)
    columns, rows = _cells(text, delimiter)
    return Table(columns, rows, encoding, delimiter)


def _decoded(data: bytes) -> tuple[str, str]:
    """As its first bytes say, or UTF-8 if it can be; else what older programs write."""
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return data.decode(encoding, 'replace'), encoding
    half = data[: len(data) // 2 * 2][:2000]
    if half and (half[1::2].count(0) > len(half) * 0.3 or half[0::2].count(0) > len(half) * 0.3):
        encoding = 'utf_16_le' if half[1::2].count(0) >= half[0::2].count(0) else 'utf_16_be'
        return data.decode(encoding, 'replace'), encoding
    try:
        return data.decode('utf_8'), 'utf_8'
    except UnicodeDecodeError:
        return _old(data)


def _old(data: bytes) -> tuple[str, str]:
    """As Windows writes it, unless there are signs in it that Windows does not know."""
    try:
        return data.decode('cp1252'), 'cp1252'
    except UnicodeDecodeError:
        best = from_bytes(data[:100_000], cp_isolation=['cp850', 'mac_roman', 'iso8859_15']).best()
        encoding = best.encoding if best else 'iso8859_15'
        return data.decode(encoding, 'replace'), encoding


def _delimiter(text: str) -> str:
    """The one that stands in the first line; if there are several, whichever makes the lines alike."""
    lines = text.lstrip('\n').split('\n', 12)[:12]
    there = [sign for sign in DELIMITERS if sign in lines[0]]
    if len(there) < 2:
        return there[0] if there else ';'
    try:
        return csv.Sniffer().sniff('\n'.join(line[:300] for line in lines), ''.join(there)).delimiter
    except csv.Error:
        return max(there, key=lines[0].count)


def _cells(text: str, delimiter: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    columns: list[str] = []
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text, newline=''), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            begins, line = line, reader.line_num + 1
            if len(cells) > MOST_COLUMNS and any(cell.strip() for cell in cells[MOST_COLUMNS:]):
                raise Wrong(file=_('Line {line} has more than {n} columns.', line=number(begins), n=MOST_COLUMNS))
            if any(len(cell) > MOST_SIGNS for cell in cells):
                raise Wrong(file=_too_long(begins))
            cells = [_plain(cell) for cell in cells[:MOST_COLUMNS]]
            if not any(cells):
                continue
            if not columns:
                columns = _headings(cells)
                continue
            if len(rows) >= MOST_ROWS:
                raise Wrong(file=_('At most {n} rows, please. Split the file into parts.', n=number(MOST_ROWS)))
            rows.append((begins, cells))
    except csv.Error as e:
        if 'field limit' in str(e):
            raise Wrong(file=_too_long(line)) from None
        raise Wrong(file=_('From line {line} on the quotes do not fit. Is one left open there?', line=number(line))) from None
    if not rows:
        raise Wrong(file=_('There is a heading, but no row below it.') if columns else _('There is nothing in this file.'))
    return columns, rows


def _too_long(line: int) -> str:
    return _(
        'Line {line} has a cell of more than {n} letters. Is a quote left open there?', line=number(line), n=number(MOST_SIGNS)
    )


def _plain(cell: str) -> str:
    """Without the apostrophe that keeps a spreadsheet from reading a formula (as in the files one downloads here)."""
    cell = cell.strip()
    return cell[1:] if len(cell) > 1 and cell[0] == "'" and cell[1] in FORMULA else cell


def _headings(cells: list[str]) -> list[str]:
    while cells and not cells[-1]:
        cells.pop()
    return [' '.join(cell.split())[:100] or _('Column {n}', n=n) for n, cell in enumerate(cells, 1)]


def neutral(cell: str) -> str:
    """As it can be opened in a spreadsheet: no cell is a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def write(columns: list[str], rows: list[list[str]], delimiter: str = ';') -> bytes:
    """A CSV file that spreadsheets open with the right letters."""
    out = io.StringIO(newline='')
    writer = csv.writer(out, delimiter=delimiter, lineterminator='\r\n')
    writer.writerows([neutral(cell) for cell in row] for row in [columns, *rows])
    return codecs.BOM_UTF8 + out.getvalue().encode()
