"""Staff come across private tickets of clients in lists, searches and exports: a line in the log for each, once a day."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from uuid import UUID

from sqlalchemy import event
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.tickets.lists import Row
from portal.domain.tickets.model import Visibility

MOST = 20_000  # remembered; what is forgotten is asked of the database, which knows as well
_told: set[tuple[date, UUID, UUID]] = set()


async def saw_private(db: AsyncSession, person: UUID, rows: Iterable[Row], how: str) -> None:
    """`how`: list, search or export. What was told today is not asked for again."""
    today = datetime.now(UTC).date()
    new = {(today, person, row.id) for row in rows if row.visibility == Visibility.PRIVATE} - _told
    if not new:
        return
    connection = await db.connection()
    await connection.exec_driver_sql('select app.note_private(%s::uuid[], %s)', ([str(id_) for _day, _who, id_ in new], how))

    def told(_session: object) -> None:
        _remember(new)

    event.listen(db.sync_session, 'after_commit', told, once=True)


def _remember(new: set[tuple[date, UUID, UUID]]) -> None:
    if len(_told) > MOST:
        _told.clear()
    _told.update(new)
