"""Repeating, comparing, printing. The machine may be busy with other things: ways are compared in turn, and by their medians."""

import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Way = Callable[[], Awaitable[Any]]
Times = dict[str, list[float]]  # ms


@dataclass(frozen=True)
class Line:
    """A row of the table. `met` is None where there is nothing to be met."""

    what: str
    baseline: str = ''
    ours: str = ''
    value: str = ''
    goal: str = ''
    met: bool | None = None


def against(what: str, baseline: float, ours: float, *, factor: float, plus: float = 0, unit: str = 'ms') -> Line:
    """Ours may be `factor` times the baseline, and `plus` more."""
    goal = f'≤ {factor:g} ×' + (f' + {plus:g} {unit}' if plus else '')
    met = ours <= factor * baseline + plus
    return Line(what, f'{baseline:.1f} {unit}', f'{ours:.1f} {unit}', f'{ours / baseline:.1f} ×', goal, met)


def within(what: str, ours: float, most: float, *, unit: str, baseline: str = '', digits: int = 0, value: str = '') -> Line:
    return Line(what, baseline, f'{ours:.{digits}f} {unit}'.strip(), value, f'≤ {most:g} {unit}'.strip(), ours <= most)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def p95(values: Sequence[float]) -> float:
    return sorted(values)[max(0, round(len(values) * 0.95) - 1)]


async def in_turn(ways: Mapping[str, Way], times: int, warm_up: int = 8) -> Times:
    """Each way once, then each again; every other round the other way round."""
    taken: Times = {name: [] for name in ways}
    for n in range(-warm_up, times):
        for name in list(ways) if n % 2 else reversed(list(ways)):
            began = time.perf_counter()
            await ways[name]()
            if n >= 0:
                taken[name].append((time.perf_counter() - began) * 1000)
    return taken


HEAD = Line('', 'baseline', 'ours', 'ratio', 'goal')


def table(lines: Sequence[Line]) -> str:
    cells = [[*_cells(HEAD), 'met'], *([*_cells(line), {True: 'yes', False: 'NO', None: ''}[line.met]] for line in lines)]
    widths = [max(len(row[n]) for row in cells) for n in range(6)]
    rows = ['  '.join(cell.ljust(w) if n in (0, 4) else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True)))
            for row in cells]  # fmt: skip
    return '\n'.join([rows[0], '─' * len(rows[0]), *rows[1:]])


def _cells(line: Line) -> tuple[str, ...]:
    return line.what, line.baseline, line.ours, line.value, line.goal
