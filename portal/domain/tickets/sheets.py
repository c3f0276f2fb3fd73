"""Tickets as a table in a file: CSV that Excel opens, or XLSX. Row by row, so that a long one takes no more memory than a short."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import IO, Any, Protocol

from xlsxwriter import Workbook  # pyright: ignore[reportMissingTypeStubs]

from portal.domain.access import Side
from portal.domain.tickets.lists import Row
from portal.domain.tickets.words import priority_words, status_words
from portal.i18n import _, local, voice

#: Spreadsheets take what begins so for a formula, some of them also the wide signs (OWASP, CSV injection).
_FORMULA = ('=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠')
DATE, TIME = 'yyyy-mm-dd', 'yyyy-mm-dd hh:mm'


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    value: Callable[[Row], str | datetime | date | None]
    width: int = 18  # characters


def columns(side: Side, msp: str) -> list[Column]:
    """What a side may know of its tickets; titles and words in the language that is spoken."""
    staff = side == 'staff'
    shared = [
        Column(_('Ticket'), lambda row: f'T-{row.number}', 10),
        Column(_('Subject'), lambda row: row.subject, 60),
        Column(_('Status'), lambda row: str(status_words(row.status, side, msp))),
        Column(_('Priority'), lambda row: str(priority_words(row.priority)), 12),
        Column(_('Category'), lambda row: row.category, 24),
        Column(_('Visible to'), lambda row: _('People in it') if row.visibility == 'private' else _('Company')),
        Column(_('Requester'), lambda row: row.requester, 24),
        Column(_('Opened'), lambda row: row.created_at),
        Column(_('Changed'), lambda row: row.changed_at),
        Column(_('Closed'), lambda row: row.closed_at),
    ]
    if staff:
        shared[6:6] = [Column(_('Company'), lambda row: row.company, 24), Column(_('Assigned'), lambda row: row.assignee, 24)]
        shared.append(Column(_('Due'), lambda row: row.due_on))
    return shared


def harmless(text: str) -> str:
    return "'" + text if text.startswith(_FORMULA) else text


class Sheet(Protocol):
    def add(self, rows: Sequence[Row]) -> None: ...

    def close(self) -> None: ...


class Csv:
    """RFC 4180, in UTF-8 with a mark that tells Excel so; separated as Excel in this language expects."""

    def __init__(self, file: IO[bytes], of: list[Column]) -> None:
        self.of, self.file = of, io.TextIOWrapper(file, 'utf-8-sig', newline='', write_through=True)
        self.writer = csv.writer(self.file, delimiter=';' if voice().language == 'de' else ',', lineterminator='\r\n')
        self.writer.writerow([column.title for column in of])

    def add(self, rows: Sequence[Row]) -> None:
        self.writer.writerows([_in_csv(column.value(row)) for column in self.of] for row in rows)

    def close(self) -> None:
        self.file.flush()
        self.file.detach()


def _in_csv(value: str | datetime | date | None) -> str:
    if isinstance(value, datetime):
        return f'{local(value):%Y-%m-%d %H:%M}'
    return value.isoformat() if isinstance(value, date) else harmless(value or '')


class Xlsx:
    """Real dates, a head that stays and filters; rows that are done go to disk."""

    def __init__(self, file: IO[bytes], of: list[Column], title: str = '') -> None:
        self.of, self.at = of, 0
        options = {'constant_memory': True, 'strings_to_formulas': False, 'strings_to_urls': False, 'strings_to_numbers': False}
        self.book: Any = Workbook(file, options)
        self.sheet: Any = self.book.add_worksheet(title or _('Tickets'))
        self.date, self.time = (self.book.add_format({'num_format': words, 'align': 'left'}) for words in (DATE, TIME))
        head = self.book.add_format({'bold': True})
        for n, column in enumerate(of):
            self.sheet.set_column(n, n, column.width)
        self.sheet.freeze_panes(1, 0)
        for n, column in enumerate(of):
            self.sheet.write_string(0, n, column.title, head)

    def add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self.at += 1
            for n, column in enumerate(self.of):
                value = column.value(row)
                if isinstance(value, datetime):
                    self.sheet.write_datetime(self.at, n, local(value).replace(tzinfo=None), self.time)
                elif isinstance(value, date):
                    self.sheet.write_datetime(self.at, n, value, self.date)
                elif value:
                    self.sheet.write_string(self.at, n, harmless(value))

    def close(self) -> None:
        self.sheet.autofilter(0, 0, self.at, len(self.of) - 1)
        self.book.close()


FORMATS: dict[str, type[Csv] | type[Xlsx]] = {'csv': Csv, 'xlsx': Xlsx}
