"""What the files of a company take, and may take: a section of its page, for whoever manages companies."""

from markupsafe import Markup

from portal.components.island import Act
from portal.components.render import render
from portal.domain.base import Wrong
from portal.domain.people import company_by_slug
from portal.domain.tickets.files import bytes_of, quota_of, set_file_quota
from portal.i18n import _
from portal.pages.screens import Here
from portal.pages.shared.files import size_words


class Room:
    def __init__(self, here: Here, slug: str) -> None:
        self.here, self.slug = here, slug
        self.usual_mb: int = here.stage.client.request.state.settings.company_quota_mb
        self.error, self.typed = '', ''

    async def build(self) -> None:
        await self._read()
        self.island = self.here.island(self._html(), self._act)

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.company = await company_by_slug(db, self.slug)
            self.used = await bytes_of(db, self.company.id)

    def _html(self) -> Markup:
        quota = quota_of(self.company, self.usual_mb)
        return render(
            'staff/room.html', used=self.used, quota=quota, error=self.error, usual=self.usual_mb, full=self.used >= quota,
            used_words=_('{used} of {quota}', used=size_words(self.used), quota=size_words(quota)),
            value=self.typed or (self.company.file_quota_mb if self.company.file_quota_mb is not None else ''),
        )  # fmt: skip

    async def _act(self, act: Act) -> None:
        if act.name != 'set-quota':
            return
        self.typed, self.error = act.text('quota'), ''
        try:
            async with self.here.visit.work() as db:
                company = await company_by_slug(db, self.slug)
                await set_file_quota(db, self.here.visit.by, company, _megabytes(self.typed))
        except Wrong as wrong:
            self.error = wrong.fields['quota']
        else:
            self.typed = ''
            await self._read()
            self.here.say(_('{company} may keep {quota} of files.', company=self.company.name,
                            quota=size_words(quota_of(self.company, self.usual_mb))))  # fmt: skip
        self.island.set(self._html())


def _megabytes(typed: str) -> int | None:
    """None for nothing: as everywhere. Raises Wrong."""
    if not typed:
        return None
    if not (typed.isascii() and typed.isdigit() and len(typed) <= 8):
        raise Wrong(quota=_('A number of megabytes, please, such as 2000.'))
    return int(typed)
