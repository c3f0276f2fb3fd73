"""Files: uploaded where one writes, sent with what one says, read by whoever reads that."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func as sql
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.audit import record
from portal.domain.base import NotFound, Wrong
from portal.domain.people import Company
from portal.domain.tickets.drafts import drop_draft, needed_at, ticket_of, touch_draft
from portal.domain.tickets.model import Comment, File, Ticket
from portal.i18n import _

MB = 1_000_000
MOST_AT_ONCE = 20  # files of one comment
LONGEST_NAME = 150  # characters: with its numbering it still fits into the 255 bytes of most file systems
#: What Windows does not take in a name, and what would be a path somewhere.
_UNWANTED = str.maketrans(dict.fromkeys('<>:"|?*', '_'))


class NoRoom(Exception):
    """The company's files may not take more."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What has arrived: the bytes are stored, and what they are was found by looking at them."""

    name: str
    media_type: str
    size: int  # bytes
    sha256: str
    stored_as: str
    preview: tuple[int, int] | None = None  # width and height


def clean_name(name: str) -> str:
    """The last part of a path, on one line, without characters that hide or turn what it says; never empty."""
    last = unicodedata.normalize('NFC', name).replace('\\', '/').rsplit('/', 1)[-1]
    shown = ''.join(' ' if c.isspace() else c for c in last if c.isspace() or unicodedata.category(c)[0] != 'C')
    plain = ' '.join(shown.translate(_UNWANTED).split()).rstrip('. ')
    stem, dot, ending = plain.rpartition('.')
    if len(plain) > LONGEST_NAME:
        kept = dot + ending if stem and len(ending) <= 20 else ''
        plain = plain[: LONGEST_NAME - len(kept)].rstrip('. ') + kept
    return plain if plain.strip('. ') else 'file'


# ---------- questions ----------


async def room_for(db: AsyncSession, company: Company, usual_mb: int) -> int:
    """Bytes that the company's files may still take; others wait with theirs until this transaction ends."""
    used = await bytes_of(db, company.id)
    return quota_of(company, usual_mb) - used


async def bytes_of(db: AsyncSession, company_id: UUID) -> int:
    """What the company's files take. Neither notes nor what staff have not sent."""
    return (await db.exec(select(sql.app.company_bytes(company_id)))).one()


def quota_of(company: Company, usual_mb: int) -> int:
    """In bytes."""
    return (usual_mb if company.file_quota_mb is None else company.file_quota_mb) * MB


async def company_at(db: AsyncSession, by: Principal, place: str) -> Company | None:
    """Whose files they are that are uploaded there; None: not known yet. Raises NotFound for somebody else's ticket."""
    by.need(needed_at(place))
    ticket_id = ticket_of(place)
    if ticket_id:
        ticket = await db.get(Ticket, ticket_id)
        if ticket is None:
            raise NotFound
        return await db.get_one(Company, ticket.company_id)
    return await db.get_one(Company, by.company.id) if by.company else None


async def waiting(db: AsyncSession, by: Principal, place: str) -> list[File]:
    """What one has uploaded there and not sent yet."""
    found = select(File).where(File.place == place, File.author_id == by.user_id, col(File.ticket_id).is_(None))
    return list(await db.exec(found.order_by(col(File.id))))


async def file_by_id(db: AsyncSession, file_id: UUID) -> File:
    """Raises NotFound for what is not there and for what is not theirs alike."""
    found = await db.get(File, file_id)
    if found is None:
        raise NotFound
    return found


async def files_of(db: AsyncSession, ticket: Ticket) -> list[File]:
    """In the order in which they came; those of notes only for staff, by row security."""
    return list(await db.exec(select(File).where(File.ticket_id == ticket.id).order_by(col(File.id))))


# ---------- verbs ----------


@verb(Permission.TICKETS_SEE)
async def add_file(db: AsyncSession, by: Principal, place: str, upload: Upload, *, usual_mb: int) -> File:
    """The row of a file whose bytes lie there already. Raises NoRoom, Wrong, and NotFound as `company_at` does."""
    company = await company_at(db, by, place)
    if len(await waiting(db, by, place)) >= MOST_AT_ONCE:
        raise _too_many()
    if company and upload.size > await room_for(db, company, usual_mb):
        raise NoRoom
    width, height = upload.preview or (None, None)
    file = File(
        company_id=company.id if company else None, place=place, author_id=by.user_id, name=upload.name,
        media_type=upload.media_type, size=upload.size, sha256=upload.sha256, stored_as=upload.stored_as, width=width, height=height,
    )  # fmt: skip
    db.add(file)
    await touch_draft(db, by, place)
    await db.flush()
    return file


@verb(Permission.TICKETS_SEE)
async def remove_file(db: AsyncSession, by: Principal, file_id: UUID) -> File:
    """One's own, before it is sent. Raises NotFound for any other."""
    file = await file_by_id(db, file_id)
    if file.ticket_id is not None or file.author_id != by.user_id:
        raise NotFound
    await db.delete(file)
    await record(db, 'file.removed', company_id=file.company_id, subject=file.id, size=file.size)
    await db.flush()
    return file


async def attach(db: AsyncSession, by: Principal, place: str, comment: Comment, files: Sequence[UUID]) -> None:
    """Puts what was uploaded at this place on the comment that was written there, and the draft is no more.

    Raises Wrong(files=…) unless all of them are there: nobody sends less than they see.
    """
    if len(set(files)) > MOST_AT_ONCE:
        raise _too_many()
    if files:
        mine = select(File.id).where(
            col(File.id).in_(files), File.place == place, File.author_id == by.user_id, col(File.ticket_id).is_(None)
        )
        if set(await db.exec(mine.with_for_update())) != set(files):
            raise Wrong(files=_('A file is not there any more. Please look at your files again, then send.'))
        await db.exec(
            update(File)
            .where(col(File.id).in_(files))
            .values(company_id=comment.company_id, ticket_id=comment.ticket_id, comment_id=comment.id, place=None)
            .execution_options(synchronize_session=False)
        )
        for file in dict.fromkeys(files):
            await record(db, 'file.sent', company_id=comment.company_id, subject=file, comment=comment.id)
    await drop_draft(db, by, place)


def _too_many() -> Wrong:
    return Wrong(files=_('At most {n} files at once, please.', n=MOST_AT_ONCE))


@verb(Permission.COMPANIES_MANAGE)
async def set_file_quota(db: AsyncSession, by: Principal, company: Company, mb: int | None) -> None:
    """What the company's files may take, in MB; None: as everywhere."""
    if mb is not None and not 0 <= mb <= 10_000_000:
        raise Wrong(quota=_('A number of megabytes, please, such as 2000.'))
    if company.file_quota_mb != mb:
        before, company.file_quota_mb = company.file_quota_mb, mb
        await record(db, 'company.file_quota', company_id=company.id, subject=company.id, before=before, after=mb)
    await db.flush()
