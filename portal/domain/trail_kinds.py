"""What the filter "What" of the audit log tells apart. A test asks for a kind for each action that has words."""

from typing import Any

from portal.i18n import L_


def _all(noun: str, *happened: str) -> tuple[str, ...]:
    return tuple(f'{noun}.{each}' for each in happened)


#: Actions by name, since an index leads to each: an action that is rare is found without a walk through the others.
KINDS: dict[str, tuple[Any, tuple[str, ...]]] = {
    'signin': (L_('Signing in'), (
        *_all('session', 'opened', 'refused', 'ended', 'all_ended', 'others_ended', 'disowned', 'proved'), 'proof.refused',
        *_all('password', 'set', 'changed'), *_all('factor', 'added', 'removed'),
        *_all('passkey', 'added', 'renamed', 'removed', 'cloned'), 'recovery_code.used', 'recovery_codes.made',
        *_all('recovery', 'started', 'hurried', 'stopped', 'refused', 'finished'), *_all('identity', 'linked', 'unlinked'), 'sso.refused',
    )),
    'people': (L_('People and roles'), (
        *_all('person', 'added', 'created', 'removed', 'welcomed', 'changed', 'email', 'disabled', 'enabled'),
        *_all('role', 'changed', 'added', 'edited', 'removed'), *_all('staff', 'added', 'role', 'disabled', 'enabled', 'welcomed'),
        *_all('invitation', 'sent', 'sent_again', 'withdrawn', 'accepted', 'declined'), 'review.confirmed',
        *_all('email', 'asked', 'cancelled'),
    )),
    'companies': (L_('Companies'), (
        *_all('company', 'added', 'changed', 'archived', 'restored', 'file_quota'),
        *_all('import', 'uploaded', 'started', 'stopped', 'forgotten', 'done'),
    )),
    'tickets': (L_('Tickets and files'), (
        *_all('ticket', 'opened', 'status', 'shared', 'unshared', 'requester', 'visibility', 'private_read'),
        *_all('tickets', 'private_listed', 'exported'), *_all('file', 'sent', 'removed', 'downloaded'), 'files.downloaded',
        *_all('category', 'added', 'renamed', 'archived', 'restored'),
    )),
    'reading': (L_('Who looked'), (
        *_all('viewing', 'begun', 'screen', 'downloaded', 'ended'), 'ticket.private_read', 'tickets.private_listed', 'letter.read',
        'file.downloaded', 'files.downloaded',
    )),
    'exports': (L_('Exports'), ('tickets.exported', 'audit.exported')),
    'denied': (L_('Refused'), ('access.denied', 'session.refused', 'proof.refused', 'sso.refused', 'recovery.refused')),
    'settings': (L_('The portal itself'), (
        *_all('tenant', 'founded', 'changed', 'recovery_hours'), *_all('audit', 'exported', 'retention', 'removed'), 'job.repeated',
        *_all('limits', 'changed', 'company'), *_all('factor_rule', 'added', 'removed'),
        *_all('sso', 'added', 'changed', 'secret', 'on', 'off', 'removed', 'only', 'no_longer_only'),
    )),
}  # fmt: skip
