"""Companies and people from a CSV file: the upload, and what becomes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from markupsafe import Markup
from nicegui import ui
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.components.island import Act
from portal.components.render import macro, render
from portal.components.values import Action, Column, Option, Text
from portal.domain.access import UserType
from portal.domain.base import NotFound, Wrong
from portal.domain.granting import offered, roles
from portal.domain.imports import KEPT_DAYS, Batch, Kind, Outcome, State
from portal.domain.imports.deciding import Decision
from portal.domain.imports.doing import (
    CHUNK,
    Tally,
    batch_by_id,
    batches,
    is_stuck,
    match,
    refused_rows,
    sample,
    start,
    stop,
    tally,
    throw_away,
)
from portal.domain.imports.fields import ImportField, fields_of
from portal.domain.people import User, companies
from portal.i18n import _, _n
from portal.pages.screens import Here
from portal.settings import Settings
from portal.signing import BadData, Signer, signer

SHOWN = 50  # refused rows; all of them are in the file
CELL, ROW = 40, 160  # letters of a cell and of a row that are shown


def kind_words(kind: Kind) -> str:
    return _('Companies') if kind is Kind.COMPANIES else _('People')


def state_mark(batch: Batch) -> Markup:
    word, kind, icon = {
        State.READY: (_('Not begun'), '', 'circle-dashed'),
        State.RUNNING: (_('Running'), 'wait', 'clock'),
        State.STOPPED: (_('Stopped'), '', 'circle-pause'),
        State.DONE: (_('Done'), 'ok', 'circle-check'),
        State.FAILED: (_('Broken off'), 'bad', 'triangle-alert'),
    }[batch.state]
    return macro('state')(word, kind, icon_name=icon)


def encoding_words(batch: Batch) -> str:
    """`UTF-8, semicolons`: so that one can see what went wrong with odd letters."""
    names = {
        'utf_8': 'UTF-8',
        'utf_8_sig': 'UTF-8',
        'utf_16': 'UTF-16',
        'utf_16_le': 'UTF-16',
        'utf_16_be': 'UTF-16',
        'cp1252': 'Windows-1252',
    }
    signs = {';': _('semicolons'), ',': _('commas'), '\t': _('tabs')}
    return f'{names.get(batch.encoding, batch.encoding)}, {signs.get(batch.delimiter, batch.delimiter)}'


# ---------- the beginning ----------

MINUTES = 10 * 60  # seconds that what was wrong is shown


def _serializer(settings: Settings) -> Signer:
    return signer(settings, 'import')


def signed(settings: Settings, words: str) -> str:
    """What was wrong with a file, for the address: signed, so that nobody can make a link that lets the portal say something."""
    return str(_serializer(settings).dumps(words[:150]))


def what_was_wrong(settings: Settings, signed: str) -> str:
    """'' for what we did not sign, or some minutes ago."""
    try:
        return str(_serializer(settings).loads(signed, max_age=MINUTES)) if signed else ''
    except BadData:
        return ''


async def imports(here: Here) -> None:
    async with here.visit.work() as db:
        found = await batches(db)
    here.title(_('Import'))
    here.set_primary(None)
    kind = here.query.get('kind', 'companies')
    settings = ui.context.client.request.state.settings
    here.island(render(
        'staff/imports.html', here=here, kind=kind, wrong=what_was_wrong(settings, here.query.get('wrong', '')), days=KEPT_DAYS,
        kinds=[Option('companies', _('Companies'), _('Known by their reference, else by their name')),
               Option('people', _('People'), _('Known by their e-mail address'))],
        actions=[Action(_('Upload'), type='submit', kind='primary', icon='upload'),
                 Action(_('Cancel'), href=here.url('/companies'), kind='quiet')],
        columns=[Column(_('File')), Column(_('What')), Column(_('State')), Column(_('When'), right=True)],
        batches=[(batch, name, kind_words(batch.kind), state_mark(batch)) for batch, name in found],
    ))  # fmt: skip


# ---------- one of them ----------


@dataclass(frozen=True, slots=True)
class PreviewRow:
    number: int
    cells: list[tuple[Text, str]]  # what it will be, and what is wrong with it
    mark: Markup
    note: str


class ImportPage:
    def __init__(self, here: Here) -> None:
        self.here, self.by, self.asked = here, here.visit.by, 0
        try:
            self.id = UUID(here.parts['id'])
        except ValueError:
            raise NotFound from None

    async def build(self) -> None:
        await self._read()
        self.here.title(_('Import of {file}', file=self.batch.file_name))
        self.here.set_primary(None)
        self.island = self.here.island(self._html(), self._act)
        self.here.wakes(self._again, f'import:{self.id}')

    async def _read(self) -> None:
        self.asked += 1
        mine = self.asked
        async with self.here.visit.work() as db:
            await self._read_in(db, mine)

    async def _read_in(self, db: AsyncSession, mine: int) -> None:
        batch = await batch_by_id(db, self.id)
        self.roles = await roles(db, UserType.CLIENT)
        numbers, refused = await tally(db, batch), await refused_rows(db, batch, SHOWN)
        first = await sample(db, batch) if batch.state is State.READY else []
        there = await companies(db) if batch.kind is Kind.PEOPLE and batch.state is State.READY else []
        starter = await db.get(User, batch.started_by_id) if batch.started_by_id else None
        staff = {str(u.id): u.name for u in [starter] if u}
        if mine == self.asked:  # else a later question overtook this answer
            self.batch, self.tally, self.refused, self.sample, self.companies, self.starter = (
                batch,
                numbers,
                refused,
                first,
                there,
                staff,
            )

    async def _again(self) -> None:
        await self._read()
        self.island.set(self._html())

    # ---------- what is shown ----------

    def _html(self) -> Markup:
        batch, here, numbers = self.batch, self.here, self.tally
        fields = fields_of(batch.kind)
        return render(
            'staff/import.html', here=here, batch=batch, state=batch.state.value, kind=kind_words(batch.kind), mark=state_mark(batch),
            encoding=encoding_words(batch), tally=numbers, sum=self._sum(numbers), fields=[self._field(f) for f in fields],
            is_people=batch.kind is Kind.PEOPLE, company_options=[Option(str(c.id), c.name) for c in self.companies],
            role_options=[Option(r.key, r.label, disabled=not may) for r, may in offered(self.by, self.roles)], options=batch.options,
            preview_columns=self._preview_columns(), preview=[self._preview(n, d) for n, d in self.sample], refused=self._refused(),
            more=max(0, numbers.refuse - SHOWN), refused_href=here.url(f'/import/{batch.id}/refused.csv'), chunk=CHUNK,
            refused_columns=[Column(_('Line'), right=True), Column(_('Row')), Column(_('Why it is refused'))],
            starter=self.starter.get(str(batch.started_by_id), ''), actions=self._actions(), days=KEPT_DAYS,
            list_href=here.url('/companies'),
        )  # fmt: skip

    def _sum(self, numbers: Tally) -> list[tuple[str, int]]:
        done = self.batch.state is State.DONE
        words = {
            'add': _('added') if done else _('to add'), 'change': _('changed') if done else _('to change'),
            'leave': _('left as they were') if done else _('to leave as they are'), 'refuse': _('refused'),
        }  # fmt: skip
        return [(words[name], getattr(numbers, name)) for name in words]

    def _field(self, field: ImportField) -> tuple[str, str, bool, list[Option], str, str]:
        """name, label, needed, the columns, which one, and help"""
        options = [Option(str(place), heading) for place, heading in enumerate(self.batch.columns)]
        place = self.batch.mapping.get(field.name)
        help_words = _('By its name, reference or short name') if field.name == 'company' else ''
        return f'm-{field.name}', str(field.label), field.needed, options, '' if place is None else str(place), help_words

    def _shown_fields(self) -> list[ImportField]:
        return [f for f in fields_of(self.batch.kind) if f.name in self.batch.mapping]

    def _preview_columns(self) -> list[Column]:
        return [Column(_('Line'), right=True), Column(_('What happens')), *(Column(str(f.label)) for f in self._shown_fields())]

    def _preview(self, number: int, decision: Decision) -> PreviewRow:
        shown = [(self._cell(f.name, decision), decision.problems.get(f.name, '')) for f in self._shown_fields()]
        word, kind, icon = {
            Outcome.ADD: (_('Is added'), 'ok', 'circle-plus'),
            Outcome.CHANGE: (_('Is changed'), 'ok', 'pencil'),
            Outcome.LEAVE: (_('Stays as it is'), '', 'circle'),
            Outcome.REFUSE: (_('Is refused'), 'bad', 'triangle-alert'),
        }[decision.outcome]
        labels = {f.name: str(f.label) for f in fields_of(self.batch.kind)}
        rest = [f'{labels[name]}: {words}' if name in labels else words
                for name, words in decision.problems.items() if name not in self.batch.mapping]  # fmt: skip
        changed = [labels.get(name, name) for name in decision.changes] if decision.outcome is Outcome.CHANGE else []
        return PreviewRow(number, shown, macro('state')(word, kind, icon_name=icon), ' '.join(rest) or ', '.join(changed))

    def _cell(self, name: str, decision: Decision) -> Text:
        value = decision.values.get(name, '')
        return next((r.label for r in self.roles if r.key == value), value) if name == 'role' else _cut(value, CELL)

    def _refused(self) -> list[tuple[int, str, list[tuple[str, str]]]]:
        """line, the row itself, and for each field what is wrong"""
        labels = {f.name: str(f.label) for f in fields_of(self.batch.kind)}
        return [
            (
                row.number,
                _cut(' · '.join(cell for cell in row.cells if cell), ROW),
                [(labels.get(name, ''), words) for name, words in row.problems],
            )
            for row in self.refused
        ]

    def _actions(self) -> list[Action]:
        left = self.tally.to_do - self.tally.done
        match self.batch.state:
            case State.READY:
                todo = self.tally.add + self.tally.change
                go = Action(_n('Import {n} row', 'Import {n} rows', todo), act='start', kind='primary')
                return [
                    *([go] if todo else []),
                    Action(_('Throw away'), act='throw', kind='quiet' if todo else '', icon='trash-2'),
                ]
            case State.RUNNING if not is_stuck(self.batch):
                return [Action(_('Stop'), act='stop', icon='circle-pause')]
            case State.RUNNING:
                return [Action(_n('Go on with {n} row', 'Go on with {n} rows', left), act='start', kind='primary'),
                        Action(_('Stop'), act='stop', icon='circle-pause')]  # fmt: skip
            case State.STOPPED | State.FAILED:
                return [Action(_n('Go on with {n} row', 'Go on with {n} rows', left), act='start', kind='primary'),
                        Action(_('Throw the rest away'), act='throw', kind='quiet', icon='trash-2')]  # fmt: skip
            case _:
                return [Action(_('Import another file'), href=self.here.url('/import', kind=self.batch.kind.value))]

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        match act.name:
            case 'match':
                await self._match(act)
            case 'start':
                async with self.here.visit.work() as db:
                    await start(db, self.by, self.id)
                await self._again()
            case 'stop':
                async with self.here.visit.work() as db:
                    await stop(db, self.by, self.id)
                await self._again()
            case 'throw':
                async with self.here.visit.work() as db:
                    await throw_away(db, self.by, self.id)
                self.here.say(_('The uploaded rows are gone.'))
                self.here.go(self.here.url('/import'))
            case _:
                pass

    async def _match(self, act: Act) -> None:
        mapping = {
            f.name: int(place)
            for f in fields_of(self.batch.kind)
            if (place := act.text(f'm-{f.name}')).isdecimal() and len(place) < 4
        }
        try:
            async with self.here.visit.work() as db:
                await match(db, self.by, self.id, mapping, self._options(act))
        except Wrong as wrong:
            self.here.say(' '.join(wrong.fields.values()), bad=True)
        await self._again()

    def _options(self, act: Act) -> Mapping[str, Any]:
        if self.batch.kind is not Kind.PEOPLE:
            return {}
        company, role = act.text('company'), act.text('role')
        return {
            'company': company if company in {str(c.id) for c in self.companies} else '',
            'role': role if role in {r.key for r in self.roles} else 'ClientUser', 'invite': 'invite' in act,
        }  # fmt: skip


def _cut(words: str, most: int) -> str:
    """On one line."""
    words = ' '.join(words.split())
    return words if len(words) <= most else words[: most - 1].rstrip() + '…'


async def one_import(here: Here) -> None:
    await ImportPage(here).build()
