"""A sentence for every kind of line in the audit log. A test asks for one for each action that the code records."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from portal.domain.access import Permission, UserType, role_label
from portal.domain.audit import Audit
from portal.domain.rights import label_of
from portal.domain.trail import Trail
from portal.i18n import _, _n  # pyright: ignore[reportPrivateUsage]


@dataclass(frozen=True)
class Said:
    """What a sentence may speak of."""

    line: Audit
    trail: Trail

    @property
    def whom(self) -> str:
        """The person it is about."""
        return self.trail.name(self.line.subject_id) or _('somebody')

    @property
    def ticket(self) -> str:
        for id_ in (self.line.subject_id, self.get('ticket')):
            if number := self.trail.tickets.get(_id(id_)):
                return f'T-{number}'
        return _('a ticket')

    @property
    def file(self) -> str:
        return self.trail.files.get(_id(self.line.subject_id), '') or _('a file')

    @property
    def company(self) -> str:
        found = self.trail.companies.get(_id(self.line.company_id or self.line.subject_id))
        return found.name if found else _('a company')

    @property
    def category(self) -> str:
        return str(self.get('name') or self.trail.categories.get(_id(self.line.subject_id), ''))

    def get(self, key: str) -> Any:
        return self.line.detail.get(key)

    def person(self, key: str) -> str:
        return self.trail.name(_id(self.get(key))) or _('somebody')

    def number(self, key: str) -> int:
        value = self.get(key)
        return value if isinstance(value, int) else 0


def _id(value: object) -> UUID:
    if isinstance(value, UUID):
        return value
    try:
        return UUID(str(value))
    except ValueError:
        return UUID(int=0)


def proof_words(proof: str) -> str:
    return {
        'password': _('a password'), 'totp': _('a code'), 'passkey': _('a passkey'), 'recovery': _('a recovery code'),
        'sso': _('the company account'),
    }.get(proof, proof)  # fmt: skip


def screen_words(path: str) -> str:
    return {
        '': _('Home'), '/tickets': _('Tickets'), '/tickets/{label}': _('a ticket'), '/tickets/new': _('New ticket'),
        '/settings/log': _('Log'), '/people': _('People'), '/exports': _('Exports'),
    }.get(path, path)  # fmt: skip


def _signed_in(s: Said) -> str:
    proofs: Any = s.get('proofs')
    if isinstance(proofs, list) and proofs:
        return _('Signed in with {how}', how=', '.join(map(proof_words, cast(list[str], proofs))))
    return _('Signed in')


def _screen(s: Said) -> str:
    what = s.ticket if s.get('ticket') else screen_words(str(s.get('screen') or ''))
    return _('Looked at {screen} as {name}', screen=what, name=s.whom)


def _removed(s: Said) -> str:
    return _n('{n} line was removed: its time was over', '{n} lines were removed: their time was over', s.number('lines'))


def _exported(s: Said) -> str:
    return _n('Exported tickets, {n} row', 'Exported tickets, {n} rows', s.number('rows'))


def _role(s: Said) -> str:
    return role_label(str(s.get('after') or s.get('role') or ''))


def _named(s: Said) -> str:
    return str(s.get('name') or '')


def _provider(s: Said) -> str:
    return str(s.get('provider') or s.get('name') or '')


def _email(s: Said) -> str:
    return str(s.get('email') or s.get('after') or '')


def _ended(s: Said) -> str:
    return _n('Ended {n} other session', 'Ended {n} other sessions', s.number('number'))


def _linked(s: Said) -> str:
    if s.line.actor_id != s.line.subject_id:
        return _('Linked the account of {name} with {provider}', name=s.whom, provider=_provider(s))
    return _('Linked their account with {provider}', provider=_provider(s))


def _unlinked(s: Said) -> str:
    if s.line.actor_id != s.line.subject_id:
        return _('Unlinked the account of {name} from {provider}', name=s.whom, provider=_provider(s))
    return _('Unlinked their account from {provider}', provider=_provider(s))


SENTENCES: dict[str, Callable[[Said], str]] = {
    'session.opened': _signed_in,
    'session.refused': lambda s: _('Sign-in refused'),
    'session.ended': lambda s: _('Signed out'),
    'session.all_ended': lambda s: _('Signed {name} out everywhere', name=s.whom),
    'session.others_ended': _ended,
    'session.disowned': lambda s: _('Said of a sign-in: that was not me'),
    'session.proved': lambda s: _('Proved again who they are, with {how}', how=proof_words(str(s.get('by') or ''))),
    'proof.refused': lambda s: _('A proof was refused: {how}', how=proof_words(str(s.get('method') or ''))),
    'password.set': lambda s: _('Chose a password'),
    'password.changed': lambda s: _('Changed their password'),
    'factor.added': lambda s: _('Added an authenticator app'),
    'factor.removed': lambda s: _('Removed an authenticator app'),
    'passkey.added': lambda s: _('Added a passkey'),
    'passkey.renamed': lambda s: _('Renamed a passkey'),
    'passkey.removed': lambda s: _('Removed a passkey'),
    'passkey.cloned': lambda s: _('A passkey may have been copied, and was refused'),
    'recovery_code.used': lambda s: _('Used a recovery code'),
    'recovery_codes.made': lambda s: _('Made new recovery codes'),
    'recovery.started': lambda s: _('Began to help {name}, who lost their second factor', name=s.whom),
    'recovery.hurried': lambda s: _('Spoke to {name}, and sent the link for a new second factor at once', name=s.whom),
    'recovery.stopped': lambda s: _('Stopped the recovery of {name}', name=s.whom),
    'recovery.refused': lambda s: _('Refused the help with a second factor: it was not asked for'),
    'recovery.finished': lambda s: _('Set up a new second factor after losing the old one'),
    'identity.linked': _linked,
    'identity.unlinked': _unlinked,
    'sso.added': lambda s: _('Set up single sign-on with {provider}', provider=_provider(s)),
    'sso.changed': lambda s: _('Changed single sign-on with {provider}', provider=_provider(s)),
    'sso.secret': lambda s: _('Changed the client secret of {provider}', provider=_provider(s)),
    'sso.on': lambda s: _('Switched on single sign-on with {provider}', provider=_provider(s)),
    'sso.off': lambda s: _('Switched off single sign-on with {provider}', provider=_provider(s)),
    'sso.removed': lambda s: _('Removed single sign-on with {provider}', provider=_provider(s)),
    'sso.only': lambda s: _('Made single sign-on the only way in'),
    'sso.no_longer_only': lambda s: _('Allowed passwords beside single sign-on again'),
    'sso.refused': lambda s: _('Sign-in by {provider} refused', provider=_provider(s)),
    'factor_rule.added': lambda s: _('Asked for a second factor by a rule'),
    'factor_rule.removed': lambda s: _('Removed a rule about second factors'),
    'limits.changed': lambda s: _('Changed how long sessions last'),
    'limits.company': lambda s: _('Changed how long sessions last at {name}', name=s.company),
    'tenant.recovery_hours': lambda s: _('Changed how long a recovery waits'),
    'access.denied': lambda s: _('Asked for what is not theirs'),
    'ticket.opened': lambda s: _('Opened {ticket}', ticket=s.ticket),
    'ticket.status': lambda s: _('Changed the status of {ticket}', ticket=s.ticket),
    'ticket.shared': lambda s: _('Shared {ticket} with {name}', ticket=s.ticket, name=s.person('with_user')),
    'ticket.unshared': lambda s: _('Took {name} out of {ticket}', ticket=s.ticket, name=s.person('with_user')),
    'ticket.requester': lambda s: _('Gave {ticket} to {name}', ticket=s.ticket, name=s.person('after')),
    'ticket.visibility': lambda s: (
        _('Made {ticket} private', ticket=s.ticket)
        if s.get('after') == 'private'
        else _('Showed {ticket} to the company', ticket=s.ticket)
    ),
    'ticket.private_read': lambda s: _('Read {ticket}, which is private', ticket=s.ticket),
    'tickets.private_listed': lambda s: _('Had {ticket}, which is private, in a list', ticket=s.ticket),
    'tickets.exported': _exported,
    'file.sent': lambda s: _('Sent {file}', file=s.file),
    'file.removed': lambda s: _('Removed a file before it was sent'),
    'file.downloaded': lambda s: _('Downloaded {file}', file=s.file),
    'files.downloaded': lambda s: _('Downloaded all files of {ticket}', ticket=s.ticket),
    'category.added': lambda s: _('Added the category {name}', name=s.category),
    'category.renamed': lambda s: _('Renamed a category to {name}', name=s.get('after')),
    'category.archived': lambda s: _('Archived the category {name}', name=s.category),
    'category.restored': lambda s: _('Restored the category {name}', name=s.category),
    'company.added': lambda s: _('Added the company {name}', name=s.company),
    'company.changed': lambda s: _('Changed the details of {name}', name=s.company),
    'company.archived': lambda s: _('Archived {name}', name=s.company),
    'company.restored': lambda s: _('Restored {name}', name=s.company),
    'company.file_quota': lambda s: _('Changed how much {name} may keep', name=s.company),
    'invitation.sent': lambda s: _('Invited {email} as {role}', email=_email(s), role=_role(s)),
    'invitation.sent_again': lambda s: _('Sent the invitation to {email} again', email=_email(s)),
    'invitation.withdrawn': lambda s: _('Withdrew the invitation to {email}', email=_email(s)),
    'invitation.accepted': lambda s: _('Accepted the invitation to {email} as {role}', email=_email(s), role=_role(s)),
    'invitation.declined': lambda s: _('The invitation to {email} was declined', email=_email(s)),
    'review.confirmed': lambda s: _('Confirmed who still works at {name}', name=s.company),
    'email.asked': lambda s: _('Asked to change their address to {email}', email=_email(s)),
    'email.cancelled': lambda s: _('Gave up the change of an address'),
    'role.added': lambda s: _('Added the role {name}', name=_named(s)),
    'role.edited': lambda s: _('Changed the role {name}', name=s.get('after') or _named(s)),
    'role.removed': lambda s: _('Removed the role {name}', name=_named(s)),
    'person.created': lambda s: _('Came in by {provider} for the first time, as {role}', provider=_provider(s), role=_role(s)),
    'person.added': lambda s: _('Added {name} as {role}', name=s.whom, role=_role(s)),
    'person.removed': lambda s: _('Removed {name} from the company', name=s.whom),
    'person.welcomed': lambda s: _('Sent the welcome letter to {name} again', name=s.whom),
    'person.changed': lambda s: _('Changed the name or phone of {name}', name=s.whom),
    'person.email': lambda s: _('Changed the address of {name}', name=s.whom),
    'person.disabled': lambda s: _('Disabled {name}', name=s.whom),
    'person.enabled': lambda s: _('Let {name} in again', name=s.whom),
    'role.changed': lambda s: _('Changed the role of {name} to {role}', name=s.whom, role=_role(s)),
    'staff.added': lambda s: _('Added {name} to the team as {role}', name=s.whom, role=_role(s)),
    'staff.role': lambda s: _('Changed the role of {name} to {role}', name=s.whom, role=_role(s)),
    'staff.disabled': lambda s: _('Disabled {name}', name=s.whom),
    'staff.enabled': lambda s: _('Let {name} in again', name=s.whom),
    'staff.welcomed': lambda s: _('Sent the welcome letter to {name} again', name=s.whom),
    'import.uploaded': lambda s: _('Uploaded {file} to import it', file=s.get('file') or _('a file')),
    'import.started': lambda s: _('Started an import'),
    'import.stopped': lambda s: _('Stopped an import'),
    'import.forgotten': lambda s: _('Discarded an import'),
    'import.done': lambda s: _('An import is done'),
    'job.repeated': lambda s: _('Tried a failed job again'),
    'letter.read': lambda s: _('Read a letter to {name} that opens an account', name=s.whom),
    'tenant.founded': lambda s: _('Set up the portal'),
    'tenant.changed': lambda s: _('Changed the settings of the portal'),
    'audit.exported': lambda s: _('Exported the log'),
    'audit.retention': lambda s: _('Changed how long the log is kept'),
    'audit.removed': _removed,
    'viewing.begun': lambda s: _('Began to look as {name}', name=s.whom),
    'viewing.screen': _screen,
    'viewing.downloaded': lambda s: _('Downloaded a file while looking as {name}', name=s.whom),
    'viewing.ended': lambda s: _('Stopped looking as {name}', name=s.whom),
}


def sentence(line: Audit, trail: Trail) -> str:
    """The action itself for one that has no words."""
    words = SENTENCES.get(line.action)
    return words(Said(line, trail)) if words else line.action


def note(line: Audit) -> str:
    """A second line: what somebody gave as a reason, or asked for."""
    detail = line.detail
    match line.action:
        case 'viewing.begun' | 'recovery.started':
            return str(detail.get('reason', ''))
        case 'access.denied':
            return str(detail.get('what', '')) + (' · ' + _('and more within the hour') if detail.get('more') else '')
        case 'viewing.ended':
            return {'time': _('The half hour was over'), 'another': _('Looked as somebody else'),
                    'signed out': _('Signed out')}.get(str(detail.get('why')), '')  # fmt: skip
        case _:
            return ''


#: Of `detail`, what is told with its value, and how it is called. To clients nothing else is shown.
_NAMES: dict[str, Any] = {
    'role': lambda: _('Role'), 'status': lambda: _('Status'), 'visibility': lambda: _('Visible to'), 'name': lambda: _('Name'),
    'email': lambda: _('E-mail'), 'phone': lambda: _('Phone'), 'street': lambda: _('Street'), 'postcode': lambda: _('Postcode'),
    'city': lambda: _('City'), 'country': lambda: _('Country'), 'website': lambda: _('Website'), 'format': lambda: _('Format'),
    'rows': lambda: _('Rows'), 'reason': lambda: _('Reason'),
    'issuer': lambda: _('Issuer'), 'domains': lambda: _('Domains'), 'provider': lambda: _('Provider'),
    'given': lambda: _('Given'), 'taken': lambda: _('Taken'), 'kept': lambda: _('Still there'), 'removed': lambda: _('Removed'),
    'instead': lambda: _('Instead'), 'left': lambda: _('Left'), 'count': lambda: _('Number'), 'grace_days': lambda: _('Days of grace'),
    'from_on': lambda: _('From'), 'idle_minutes': lambda: _('Idle, minutes'), 'hours': lambda: _('Hours'),
    'keep_signins_days': lambda: _('Signing in, days'), 'keep_reading_days': lambda: _('Who looked, days'),
    'keep_changes_days': lambda: _('Everything else, days'),
}  # fmt: skip
_ONE_VALUE = {'role.changed': 'role', 'staff.role': 'role', 'ticket.status': 'status', 'ticket.visibility': 'visibility',
              'person.email': 'email', 'category.renamed': 'name', 'role.edited': 'name', 'email.asked': 'email',
              'tenant.recovery_hours': 'hours'}  # fmt: skip


def changes(line: Audit, trail: Trail) -> list[tuple[str, str, str]]:
    """What it was before and after: name, before, after."""
    before: Any = line.detail.get('before')
    after: Any = line.detail.get('after')
    if isinstance(before, dict) or isinstance(after, dict):
        old = cast(dict[str, Any], before) if isinstance(before, dict) else {}
        new = cast(dict[str, Any], after) if isinstance(after, dict) else {}
        return [
            (_name(key), _value(key, old.get(key), trail), _value(key, new.get(key), trail))
            for key in dict.fromkeys((*old, *new))
            if key in _NAMES
        ]
    if 'before' in line.detail or 'after' in line.detail:
        key = _ONE_VALUE.get(line.action, '')
        return [(_name(key) if key else '', _value(key, before, trail), _value(key, after, trail))]
    return []


def facts(line: Audit, *, staff: bool) -> list[tuple[str, str]]:
    """The rest of `detail`: all of it for staff, for clients what has a name here. What the sentence says is not told again."""
    if not staff and line.action.startswith(_THEIR_OWN):  # what somebody calls a device, and how they come in, is theirs
        return []
    left = {key: value for key, value in line.detail.items() if key not in _IN_WORDS and (staff or key in _NAMES)}
    return [(_name(key), _plain(value)) for key, value in left.items() if value not in (None, '', [], {})]


_THEIR_OWN = ('factor.', 'passkey.', 'session.', 'proof.', 'recovery_')
_IN_WORDS = ('before', 'after', 'reason', 'what', 'more', 'why', 'proofs', 'ticket', 'screen', 'lines')


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ', '.join(map(_permission, cast(list[Any], value)))
    if isinstance(value, dict):
        pairs = cast(dict[str, Any], value).items()
        return ', '.join(f'{key} {_plain(each)}' for key, each in pairs if each not in (None, '', [], {}, False))
    return str(value)


def _permission(value: Any) -> str:
    """In words, if it is one: what a role gives."""
    if value not in {p.value for p in Permission}:
        return str(value)
    found = label_of(Permission(value), UserType.CLIENT)
    return found if found != value else label_of(Permission(value), UserType.INTERNAL)


def _name(key: str) -> str:
    return str(_NAMES[key]()) if key in _NAMES else key


def _value(key: str, value: object, trail: Trail) -> str:
    if value in (None, ''):
        return '–'
    if key == 'role':
        return role_label(str(value))
    person = trail.name(_id(value)) if isinstance(value, str) and len(value) == 36 else ''
    return person or str(value)
