"""Dates relative to today, in working days: nobody opens tickets on a Sunday, or on one that has not come yet."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

ZONE = ZoneInfo('Europe/Berlin')
NEWS_UNTIL = time(11)  # nothing in the stories of today is later
_HOLIDAYS = {(1, 1), (5, 1), (10, 3), (12, 24), (12, 25), (12, 26), (12, 31)}  # month, day


@dataclass(frozen=True)
class Days:
    """`today` is the working day that day 0 of the stories stands for."""

    today: date

    @classmethod
    def until(cls, now: datetime) -> 'Days':
        here = now.astimezone(ZONE)
        day = here.date() if here.time() >= NEWS_UNTIL else here.date() - timedelta(days=1)
        while not _is_working(day):
            day -= timedelta(days=1)
        return cls(day)

    def day(self, ago: int) -> date:
        """`ago` working days before today; after it, if negative."""
        return _shifted(self.today, -ago)

    def moment(self, ago: int, at: time) -> datetime:
        return datetime.combine(self.day(ago), at, ZONE)

    def saturday(self, weeks: int) -> date:
        return self.today + timedelta(days=(5 - self.today.weekday()) % 7, weeks=weeks - 1)


@cache
def _shifted(day: date, by: int) -> date:
    step = timedelta(days=1 if by > 0 else -1)
    for _ in range(abs(by)):
        day += step
        while not _is_working(day):
            day += step
    return day


def _is_working(day: date) -> bool:
    return day.weekday() < 5 and (day.month, day.day) not in _HOLIDAYS
