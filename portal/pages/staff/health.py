"""How the portal is doing, in words and colour: what has to be done, by whom, and what can be done here."""

from dataclasses import dataclass
from datetime import timedelta

from markupsafe import Markup
from nicegui import Client, ui

from portal import __version__
from portal.components.island import Act
from portal.components.render import macro, render
from portal.components.values import Action, Column, Fact, Text
from portal.domain.access import Permission
from portal.domain.operations import Health, health, run_again
from portal.i18n import _, _m, _n, exact, now, number
from portal.pages.screens import Here, Screen
from portal.room import room
from portal.visit import visit_of

GIGABYTE = 1024**3
SILENT = timedelta(seconds=60)  # a worker is heard of every ten
CLOCK = timedelta(seconds=2)
BACKUP_DUE, BACKUP_OLD = timedelta(hours=26), timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Line:
    """One thing, how it stands (`ok`, `wait`: soon, `bad`: now), and what to do about it."""

    name: str
    kind: str
    word: Text
    note: Text = ''
    href: str = ''
    link: str = ''

    @property
    def mark(self) -> Markup:
        return macro('state')(self.word, self.kind)


def lines(found: Health, *, free: int, total: int, mail_href: str) -> list[Line]:
    """What is judged; `free` and `total` are bytes of the disk that holds the data folder."""
    return [_worker(found), _jobs(found), _letters(found, mail_href), _backup(found), _disk(found, free, total), _clock(found)]


def _worker(found: Health) -> Line:
    if found.worker_silence is None or found.worker_silence > SILENT:
        return Line(_('Background work'), 'bad', _('Nobody does it'),
                    _('Letters wait and nothing is tidied up. Whoever runs the portal starts it again, or its worker.'))  # fmt: skip
    return Line(_('Background work'), 'ok', _('Goes on'))


def _jobs(found: Health) -> Line:
    name, waiting = _('Jobs'), _n('{n} waits', '{n} wait', found.waiting) if found.waiting else _('None waits')
    if found.failed:
        return Line(name, 'bad', _n('{n} failed', '{n} failed', len(found.failed)), _('They stand below, and can be run again.'))
    if found.late:
        return Line(
            name, 'wait', _n('{n} is late', '{n} are late', found.late), _('They have waited for more than five minutes.')
        )
    return Line(name, 'ok', waiting)


def _letters(found: Health, href: str) -> Line:
    name = _('Letters')
    if found.letters_failed:
        words = _n('{n} failed', '{n} failed', found.letters_failed)
        return Line(name, 'bad', words, _('In the last seven days. Mail says why.'), href, _('Mail'))
    if found.letters_stuck:
        words = _n('{n} is stuck', '{n} are stuck', found.letters_stuck)
        return Line(name, 'wait', words, _('For more than 15 minutes. They are tried again; Mail says why.'), href, _('Mail'))
    return Line(name, 'ok', _('None is stuck'))


def _backup(found: Health) -> Line:
    name = _('Last backup')
    due = _m('Whoever runs the portal makes one with <code class="nowrap">python -m portal backup</code>, every night.')
    if found.last_backup is None:
        return Line(name, 'wait', _('None is known of'), due)
    age, at = now() - found.last_backup, macro('moment')(found.last_backup, exact(found.last_backup))
    if age > BACKUP_OLD:
        return Line(name, 'bad', at, _('That is more than a week ago.') + ' ' + due)
    if age > BACKUP_DUE:
        return Line(name, 'wait', at, _('That is more than a day ago.') + ' ' + due)
    return Line(name, 'ok', at)


def _disk(found: Health, free: int, total: int) -> Line:
    """How much is used is everybody's: with other tenants the word has to do."""
    name = _('Room on the disk')
    amount = _('{n} GB free', n=number(round(free / GIGABYTE, 1)))
    if free < GIGABYTE // 2:
        return Line(
            name, 'bad', amount if found.alone else _('Nearly none'), _('Files and letters will soon be refused. Make room now.')
        )
    if free < 5 * GIGABYTE and free < total / 10:
        return Line(name, 'wait', amount if found.alone else _('Not much'), _('Make room soon.'))
    return Line(name, 'ok', amount if found.alone else _('Enough'))


def _clock(found: Health) -> Line:
    name, off = _('Clocks'), abs(found.clock)
    if off > CLOCK:
        words = _('{n} seconds apart', n=number(round(off.total_seconds(), 1)))
        return Line(name, 'wait', words, _('Portal and database should have the same time: check NTP on both machines.'))
    return Line(name, 'ok', _('Agree'))


def task_words(task: str) -> str:
    return {
        'send_letter': _('Send a letter'),
        'send_letters': _('Send letters'),
        'reset_asked': _('Write a link for a new password'),
        'make_export': _('Export'),
        'run_import': _('Import'),
    }.get(task, task)


class HealthPage:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by

    async def build(self) -> None:
        self.here.title(_('Health'))
        self.island = self.here.island(await self._html(), self._act)
        self.here.wakes(self._again, f'mail:{self.by.tenant.id}')

    async def _again(self) -> None:
        self.island.set(await self._html())

    async def _html(self) -> Markup:
        async with self.here.visit.work() as db:
            found = await health(db, self.by)
        settings = ui.context.client.request.state.settings
        free, total = room(settings.data)
        judged = lines(found, free=free, total=total, mail_href=self.here.url('/mail'))
        return render(
            'staff/health.html', lines=judged, statement=_statement(judged), failed=found.failed, task_words=task_words,
            columns=[Column(_('What')), Column(_('How it stands')), Column(_('What to do'))],
            job_columns=[Column(_('Job')), Column(_('Failed'), right=True), Column(_('Actions'), unseen=True)],
            facts=self._facts(found), at=now(),
            again=Action(_('Look again'), act='look', icon='refresh-cw'),
        )  # fmt: skip

    def _facts(self, found: Health) -> list[Fact]:
        facts = [
            Fact(_('Portal'), __version__),
            Fact(_('Database'), f'PostgreSQL {found.server.split()[0]}'),
            Fact(_('Open pages of yours'), number(self._open_pages()), note=_('staff and clients, in this process')),
        ]
        if found.database_bytes is not None:
            facts.insert(2, Fact(_('Size of the database'), _('{n} MB', n=number(round(found.database_bytes / 1024**2)))))
        return facts

    def _open_pages(self) -> int:
        """Of this tenant alone: how much others do is theirs."""
        owners = [visit_of(client) for client in Client.instances.values()]
        return sum(owner is not None and owner.by.tenant.id == self.by.tenant.id for owner in owners)

    async def _act(self, act: Act) -> None:
        if act.name == 'run-again' and act.key and act.key.isascii() and act.key.isdigit() and len(act.key) < 19:
            async with self.here.visit.work() as db:
                await run_again(db, self.by, int(act.key))
            self.here.say(_('It is run again.'))
        await self._again()


def _statement(judged: list[Line]) -> str:
    bad, wait = (sum(line.kind == kind for line in judged) for kind in ('bad', 'wait'))
    if bad:
        return _n('One thing needs somebody now.', '{n} things need somebody now.', bad)
    if wait:
        return _n('One thing needs somebody soon.', '{n} things need somebody soon.', wait)
    return _('Nothing has to be done.')


async def show(here: Here) -> None:
    await HealthPage(here).build()


SCREENS = (Screen('/health', show, Permission.TENANT_MANAGE, 'health'),)
