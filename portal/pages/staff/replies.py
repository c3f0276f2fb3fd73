"""Canned replies: one's own and the team's."""

from typing import Any
from uuid import UUID

from markupsafe import Markup
from nicegui import ui

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action, Column, MenuItem, Option
from portal.domain.access import Permission
from portal.domain.base import NotFound, Wrong
from portal.domain.canned import (
    PLACEHOLDERS,
    CannedReply,
    add_canned_reply,
    canned_replies,
    change_canned_reply,
    delete_canned_reply,
)
from portal.i18n import LANGUAGES, _
from portal.markdown import to_text
from portal.pages.screens import Here, Screen

NOTHING = {'title': '', 'body': '', 'language': '', 'shared': ''}


class Replies:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        self.replies: list[CannedReply] = []
        self.editing: UUID | None = None
        self.values, self.errors = dict(NOTHING), dict[str, str]()

    async def build(self) -> None:
        self.here.title(_('Canned replies'))
        await self._read()
        self.island = self.here.island(self._html(), self._act)
        self.dialog = ui.dialog()
        self.dialog.props['aria-labelledby'] = 'about-reply-title'
        with self.dialog:
            self.asking = self.here.island(Markup(''), self._act)
        self.here.wakes(self._again, f'canned:{self.by.tenant.id}')

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.replies = await canned_replies(db, self.by)

    async def _again(self) -> None:
        await self._read()
        self.island.set(self._html())

    # ---------- what is shown ----------

    @property
    def _draft(self) -> str:
        return f'canned:{self.editing or "new"}:{self.by.user_id}'

    def _html(self) -> Markup:
        actions = [Action(_('Save the reply') if self.editing else _('Add the reply'), type='submit', kind='primary')]
        if self.editing:
            actions.append(Action(_('Cancel'), act='cancel', kind='quiet'))
        return render(
            'staff/replies.html', lines=[self._line(reply) for reply in self.replies], actions=actions, values=self.values,
            columns=[Column(_('Reply')), Column(_('Language')), Column(_('Who has it')), Column(_('Actions'), unseen=True)],
            errors=self.errors, draft=self._draft, editing=self.editing, may_share=self.here.visit.may(Permission.DESK_TEAM),
            languages=[Option(code, name) for code, name in LANGUAGES.items()],
            placeholders=[(f'{{{word}}}', str(words)) for word, words in PLACEHOLDERS.items()],
        )  # fmt: skip

    def _line(self, reply: CannedReply) -> dict[str, Any]:
        return {
            'id': reply.id, 'title': reply.title, 'text': to_text(reply.body), 'shared': reply.is_shared,
            'language': LANGUAGES.get(reply.language or '', _('Any')),
            'menu': [
                MenuItem(_('Change'), act='edit', icon='pencil'),
                MenuItem(_('Delete'), act='ask-delete', icon='trash-2', danger=True, divided=True),
            ] if self._may_change(reply) else [],
        }  # fmt: skip

    def _may_change(self, reply: CannedReply) -> bool:
        return self.here.visit.may(Permission.DESK_TEAM) if reply.is_shared else reply.owner_id == self.by.user_id

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        match act.name:
            case 'save':
                await self._save(act)
            case 'edit':
                self._edit(self._reply(act))
            case 'cancel':
                self.island.forget_draft(self._draft)
                self._edit(None)
            case 'ask-delete':
                reply = self._reply(act)
                delete = Action(_('Delete'), act='delete', kind='danger', attrs={'data-key': str(reply.id)})
                self.asking.set(render(
                    'staff/about_reply.html', title=_('Delete “{title}”?', title=reply.title), shared=reply.is_shared,
                    actions=[Action(_('Cancel'), act='close', kind='quiet'), delete],
                ))  # fmt: skip
                self.dialog.open()
            case 'delete':
                reply = self._reply(act)
                async with self.here.visit.work() as db:
                    await delete_canned_reply(db, self.by, reply.id)
                self.dialog.close()
                if self.editing == reply.id:
                    self._edit(None)
                await self._again()
                self.here.say(_('“{title}” is deleted.', title=reply.title))
            case 'close':
                self.dialog.close()
            case _:
                pass

    def _reply(self, act: Act) -> CannedReply:
        """Of the row something was done to; raises NotFound."""
        found = next((reply for reply in self.replies if str(reply.id) == act.key), None)
        if found is None:
            self.dialog.close()
            raise NotFound
        return found

    def _edit(self, reply: CannedReply | None) -> None:
        self.editing, self.errors = reply.id if reply else None, {}
        self.values = {'title': reply.title, 'body': reply.body, 'language': reply.language or '',
                       'shared': 'on' if reply.is_shared else ''} if reply else dict(NOTHING)  # fmt: skip
        self.island.set(self._html())

    async def _save(self, act: Act) -> None:
        self.values, self.errors = {name: act.text(name) for name in NOTHING}, {}
        shared = bool(self.values['shared'])
        given: dict[str, Any] = {**self.values, 'shared': shared}
        try:
            async with self.here.visit.work() as db:
                if self.editing:
                    await change_canned_reply(db, self.by, self.editing, **given)
                else:
                    await add_canned_reply(db, self.by, **given)
        except Wrong as wrong:
            self.errors = wrong.fields
            return self.island.set(self._html())
        self.island.forget_draft(self._draft)
        title, self.editing, self.values = self.values['title'], None, dict(NOTHING)
        await self._again()
        return self.here.say(_('“{title}” is saved.', title=title))


async def replies(here: Here) -> None:
    await Replies(here).build()


SCREENS = (Screen('/replies', replies, Permission.DESK_OWN, 'replies'),)
