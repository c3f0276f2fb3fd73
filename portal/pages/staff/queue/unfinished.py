"""A change of many tickets whose end nobody has seen: the process ended on the way, or whoever asked for it had left the page."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from portal.components.render import macro
from portal.components.values import Action
from portal.domain.tickets.model import BulkChange
from portal.i18n import _, _m
from portal.pages.screens import Here


def banner(bulk: BulkChange, what: str) -> Markup:
    """Above the list; the rest stands in the dialog that it opens."""
    if bulk.numbers:
        words = _m(
            '<b>A change of {n} tickets was interrupted</b> ({what}). {numbers}', n=bulk.total, what=what, numbers=tally(bulk)
        )
        action = Action(_('See and go on'), act='ask-unfinished')
    else:
        words = _m('<b>A change of {n} tickets is done</b> ({what}). {numbers}', n=bulk.total, what=what, numbers=tally(bulk))
        action = Action(_('See'), act='ask-unfinished') if bulk.failed else Action(_('Close'), act='bulk-forget')
    return macro('banner')(words, kind='wait' if bulk.numbers else 'plain', still=True, action=action)


def tally(bulk: BulkChange) -> str:
    parts = [_('Changed: {n}', n=bulk.changed)]
    if bulk.numbers:
        parts.append(_('not yet: {n}', n=len(bulk.numbers)))
    if bulk.failed:
        parts.append(_('not possible: {n}', n=len(bulk.failed)))
    return ', '.join(parts)


def refused(failed: Sequence[tuple[int, str]], here: Here) -> list[tuple[str, str, str]]:
    """Label, address and why of each ticket that could not be changed."""
    return [(*label, why) for label, (_number, why) in zip(labels((n for n, _why in failed), here), failed, strict=True)]


def labels(numbers: Iterable[int], here: Here) -> list[tuple[str, str]]:
    """Label and address."""
    return [(f'T-{number}', here.url(f'/tickets/T-{number}')) for number in numbers]
