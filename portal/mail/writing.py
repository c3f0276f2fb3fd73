"""A letter in words: subject, text and HTML, in the language of whoever gets it."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from portal import i18n
from portal.domain.people import Company, Tenant, User
from portal.domain.tickets import Comment, Status, Ticket
from portal.domain.tickets.words import status_words
from portal.i18n import _, _m, exact
from portal.mail import access

#: What has changed in how the person signs in.
OF_ACCOUNT = (
    'factor_added', 'factor_removed', 'recovery_codes_made', 'recovery_code_used', 'password_changed', 'proof_refused',
)  # fmt: skip
TEMPLATES = Path(__file__).parent / 'templates'


def _environment(*, autoescape: bool) -> Environment:
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=autoescape,  # noqa: S701  (off for plain text alone)
                              undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    environment.globals.update(_=_, _m=_m, _n=i18n._n)  # pyright: ignore[reportPrivateUsage]
    return environment


_text, _html = _environment(autoescape=False), _environment(autoescape=True)


@dataclass(frozen=True, slots=True)
class SignIn:
    """By which device, from which network ('' where it is not known), and when."""

    device: str
    network: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """What a letter speaks of."""

    kind: str
    to: User
    tenant: Tenant
    origin: str  # of the portal, as the recipient finds it
    actor: User | None = None
    company: Company | None = None
    ticket: Ticket | None = None
    comment: Comment | None = None
    comment_html: Any = None  # Markup
    files: list[str] = field(default_factory=list[str])  # names of what came with the comment
    link: str = ''  # to set a password
    hours: int = 0  # that the link lives
    sso_only: bool = False  # a password alone does not let them in
    session: SignIn | None = None  # that the letter is about
    address: str = ''  # where it goes, if not to the person's present address
    due: datetime | None = None  # from when they need a second factor
    wanted: str = ''  # the address that somebody wants instead of theirs
    until: datetime | None = None  # so long an invitation is good
    removed: tuple[tuple[str, str], ...] = ()  # kind and name of what ended with the sessions


@dataclass(frozen=True, slots=True)
class Written:
    subject: str
    text: str
    html: str
    headers: dict[str, str] = field(default_factory=dict[str, str])


def write(facts: Facts) -> Written:
    """In the voice that is set (`i18n.speaking`)."""
    values: dict[str, Any] = {
        'facts': facts, 'subject': subject(facts), 'title': title(facts), 'paragraphs': paragraphs(facts), 'button': _button(facts),
        'href': _href(facts), 'language': 'en' if i18n.voice().language == i18n.PSEUDO else i18n.voice().language,
        'quoted': facts.comment.body if facts.comment else '', 'off_href': f'{_root(facts)}/settings' if facts.ticket else '',
    }  # fmt: skip
    text = _text.get_template('letter.txt').render(values)
    return Written(subject(facts), text, _html.get_template('letter.html').render(values))


def subject(facts: Facts) -> str:
    match facts.kind:
        case 'welcome' | 'welcome_again':
            return _('Your access to the client portal of {msp}', msp=facts.tenant.name)
        case 'password_reset':
            return _('Set a new password for the portal of {msp}', msp=facts.tenant.name)
        case 'many_failures':
            return _('Somebody tries to sign in as you')
        case 'factor_added':
            return _('A second factor was added to your account')
        case 'factor_removed':
            return _('A second factor was removed from your account')
        case 'recovery_codes_made':
            return _('New recovery codes for your account')
        case 'recovery_code_used':
            return _('Somebody came in with one of your recovery codes')
        case 'password_changed':
            return _('Your password was changed')
        case 'proof_refused':
            return _('Somebody tries to pass for you')
        case 'new_device':
            return _('New sign-in to the portal of {msp}', msp=facts.tenant.name)
        case 'disowned':
            return _('You were signed out everywhere. Set a new password')
        case 'disowned_by':
            return _('{name} says that somebody else was signed in', name=facts.actor.name if facts.actor else '')
        case 'email_changed' | 'email_was':
            return _('Your address in the portal of {msp} has changed', msp=facts.tenant.name)
        case 'invitation' if facts.company is None:
            return _('{name} invites you to the team of {msp}', name=_quiet(_actor(facts)), msp=facts.tenant.name)
        case 'invitation':
            company = _quiet(facts.company.name) if facts.company else ''
            return _('{name} invites you to the portal of {company}', name=_quiet(_actor(facts)), company=company)
        case 'invitation_accepted':
            return _('{name} has accepted your invitation', name=_quiet(_actor(facts)))
        case 'review' | 'review_again':
            return _('Do these people still work at {company}?', company=facts.company.name if facts.company else '')
        case 'address_old' | 'address_new':
            return _('Please confirm: another address in the portal of {msp}', msp=facts.tenant.name)
        case 'address_taken':
            return _('Somebody wanted to use your address in the portal of {msp}', msp=facts.tenant.name)
        case kind if kind in access.KINDS:
            return access.subject(facts)
        case _:
            assert facts.ticket
            return f'[{facts.ticket.label}] {facts.ticket.subject}'


def _actor(facts: Facts) -> str:
    return facts.actor.name if facts.actor else facts.tenant.name


def _quiet(name: str) -> str:
    """So that no mail program makes a link of it: in a letter to a stranger nothing leads anywhere but to the portal."""
    return re.sub(r'(?<=[.:@/])(?=\S)', '\u200b', name)


def title(facts: Facts) -> str:
    actor = _actor(facts)
    match facts.kind:
        case 'new_ticket':
            return _('{name} opened a ticket', name=actor)
        case 'reply':
            return _('{name} replied', name=actor)
        case 'copy':
            assert facts.ticket
            return _('{name} has put you in copy of {ticket}', name=actor, ticket=facts.ticket.label)
        case 'requester':
            assert facts.ticket
            return _('{name} has made {ticket} your ticket', name=actor, ticket=facts.ticket.label)
        case 'assigned':
            assert facts.ticket
            return _('{name} has assigned {ticket} to you', name=actor, ticket=facts.ticket.label)
        case 'status':
            assert facts.ticket
            mine = 'staff' if facts.to.user_type == 'internal' else 'client'
            words = status_words(Status(facts.ticket.status), mine, facts.tenant.short_name)
            return _('{name} changed the ticket: {status}', name=actor, status=words)
        case _:
            return subject(facts)


def paragraphs(facts: Facts) -> list[str]:
    company = facts.company.name if facts.company else ''
    match facts.kind:
        case 'welcome' if facts.to.user_type == 'internal':
            return [
                _('Hello {name},', name=facts.to.name),
                _('{msp} has set up access to its client portal for you, as one of its staff.', msp=facts.tenant.name),
                _('Choose a password to come in. The link works for {days} days.', days=facts.hours // 24),
            ]
        case 'welcome':
            return [
                _('Hello {name},', name=facts.to.name),
                _('{msp} has set up access to its client portal for you, for {company}. There you ask for help and follow it.',
                  msp=facts.tenant.name, company=company),
                _('Choose a password to come in. The link works for {days} days.', days=facts.hours // 24),
            ]  # fmt: skip
        case 'welcome_again':
            return [
                _('Hello {name},', name=facts.to.name),
                _('you now also belong to {company} in the client portal of {msp}. Your password stays the same.',
                  company=company, msp=facts.tenant.name),
            ]  # fmt: skip
        case 'password_reset':
            only = _('You sign in with your company’s account here: with a password you cannot come in, also not with a new one.')
            return [
                _('Hello {name},', name=facts.to.name),
                _('somebody, probably you, asked for a new password. The link works for 30 minutes, and once.'),
                *([only] if facts.sso_only else []),
                _('If it was not you, you need not do anything: your password stays as it is.'),
            ]
        case 'many_failures':
            return [
                _('Hello {name},', name=facts.to.name),
                _('somebody has tried many times to sign in with your address and a wrong password. They did not come in.'),
                _('If that was you, set a new password here. The link works for 30 minutes.'),
            ]
        case 'factor_added' | 'factor_removed' | 'recovery_codes_made' | 'recovery_code_used' | 'password_changed':
            return [_('Hello {name},', name=facts.to.name), _about_account(facts), _not_you(facts)]
        case 'proof_refused':
            return [
                _('Hello {name},', name=facts.to.name),
                _(
                    'somebody knows your password, or sits at a device where you are signed in, and has failed ten times to prove that '
                    'they are you. They did not get further.'
                ),
                _('If that was not you, change your password now, and end your other sessions: in the settings, under security.'),
            ]
        case 'invitation':
            return [*_invitation(facts, company),
                    _('The link works until {day}, and once. If you do not know what this is about, you need not do anything.',
                      day=i18n.day(facts.until, year=True) if facts.until else '')]  # fmt: skip
        case 'invitation_accepted' if facts.company:
            return [_('{name} belongs to {company} now, and can ask for help there.', name=_actor(facts), company=company)]
        case 'invitation_accepted':
            return [_('{name} is on your team now.', name=_actor(facts))]
        case 'review' | 'review_again':
            again = [_('This is a reminder: nobody has answered yet.')] if facts.kind == 'review_again' else []
            return [
                _('Hello {name},', name=facts.to.name), *again,
                _('from time to time we ask who of the people who can sign in for {company} still works there. Say who does not, and '
                  'they can no longer come in. If all of them do, it is two clicks.', company=company),
            ]  # fmt: skip
        case 'address_old':
            return [
                _('Hello {name},', name=facts.to.name),
                _('you want to sign in to the portal of {msp} with {email} from now on. Confirm it here, and with the letter that '
                  'went to the new address. Both links work for 24 hours.', msp=facts.tenant.name, email=facts.wanted),
                _('If it was not you, stop it on the same page, and choose a new password.'),
            ]  # fmt: skip
        case 'address_new':
            return [
                _('Hello,'),
                _('somebody who signs in to the portal of {msp} wants to do so with this address from now on. If it is you, confirm it '
                  'here, and with the letter that went to the address before. Both links work for 24 hours.', msp=facts.tenant.name),
                _('If it was not you, you need not do anything, or stop it on the same page.'),
            ]  # fmt: skip
        case 'address_taken':
            return [
                _('Hello,'),
                _('somebody, perhaps you, wanted to sign in to the portal of {msp} with this address. It belongs to a login already, so '
                  'nothing was changed.', msp=facts.tenant.name),
                _('If it was you, sign in with this address, or ask {msp} to help.', msp=facts.tenant.name),
            ]  # fmt: skip
        case 'email_changed' if facts.actor and facts.actor.id == facts.to.id:
            return [
                _('Hello {name},', name=facts.to.name),
                _('your address in the portal of {msp} is {email} now, as you asked and confirmed. You sign in with it; your password '
                  'stays the same. You were signed out everywhere.', msp=facts.tenant.name, email=facts.to.email),
            ]  # fmt: skip
        case 'email_was' if facts.actor and facts.actor.id == facts.to.id:
            return [
                _('Hello {name},', name=facts.to.name),
                _('you have another address in the portal of {msp} now, as was confirmed here. You no longer sign in with this one, and '
                  'get no letters here any more.', msp=facts.tenant.name),
                _('If it was not you, please call {msp} at once.', msp=facts.tenant.name),
            ]  # fmt: skip
        case 'new_device' if facts.session:
            where = f' ({facts.session.network})' if facts.session.network not in ('', 'nowhere') else ''
            return [
                _('Hello {name},', name=facts.to.name),
                _('you signed in by a device that the portal had not seen before: {device}{where}, {when}.',
                  device=facts.session.device, where=where, when=exact(facts.session.at)),
                _('If that was you, you need not do anything. If it was not, open the portal, look under Settings, Security, and '
                  'choose “That was not me”: it ends every session, and you get a letter to set a new password.'),
            ]  # fmt: skip
        case 'disowned':
            return [
                _('Hello {name},', name=facts.to.name),
                _('you said that somebody else was signed in as you. All sessions have ended, and your old password does not work '
                  'any more.'),
                _('Set a new one here. The link works for 30 minutes; later ask for another on the page where you sign in.'),
                *_taken_away(facts),
                _('Then look under Settings, Security, whether everything there is yours.'),
            ]  # fmt: skip
        case 'disowned_by':
            return [
                _('Hello {name},', name=facts.to.name),
                _('{name} ({email}) found a session under Settings, Security that was not theirs. All of their sessions have ended, '
                  'and they have to set a new password.', name=facts.actor.name if facts.actor else '',
                  email=facts.actor.email if facts.actor else ''),
                _('Please ask whether they need help. What was done in their name is in the log.'),
            ]  # fmt: skip
        case 'email_changed':
            return [
                _('Hello {name},', name=facts.to.name),
                _('{msp} has changed your address in its client portal to {email}. From now on you sign in with it; your password '
                  'stays the same. You were signed out everywhere.', msp=facts.tenant.name, email=facts.to.email),
            ]  # fmt: skip
        case 'email_was':
            return [
                _('Hello {name},', name=facts.to.name),
                _('{msp} has changed your address in its client portal: you no longer sign in with this one, and get no letters '
                  'here any more.', msp=facts.tenant.name),
                _('If you do not know why, please ask {msp}.', msp=facts.tenant.name),
            ]  # fmt: skip
        case 'copy':
            return [_('You see the ticket now, and hear of replies. If it does not concern you, you can leave it there.')]
        case 'requester':
            return [_('From now on the answers come to you.')]
        case kind if kind in access.KINDS:
            return access.paragraphs(facts)
        case _:
            return []


def _about_account(facts: Facts) -> str:
    msp = facts.tenant.name
    return {
        'factor_added': _('an authenticator app was added to your account in the portal of {msp}. From now on its code is asked for '
                          'when you sign in.', msp=msp),
        'factor_removed': _('an authenticator app was removed from your account in the portal of {msp}. Its codes do not count any '
                            'more.', msp=msp),
        'recovery_codes_made': _('new recovery codes were made for your account in the portal of {msp}. The old ones do not work any '
                                 'more.', msp=msp),
        'recovery_code_used': _('one of your recovery codes was used in the portal of {msp}, after your password.', msp=msp),
        'password_changed': _('your password in the portal of {msp} was changed. Wherever else you were signed in, you were signed '
                              'out.', msp=msp),
    }[facts.kind]  # fmt: skip


def _taken_away(facts: Facts) -> list[str]:
    """What was added while somebody else may have been signed in."""
    words = {
        'passkey': lambda name: _('the passkey “{name}”', name=name),
        'totp': lambda name: _('the authenticator app “{name}”', name=name),
        'codes': lambda _name: _('the recovery codes'),
        'account': lambda name: _('the linked account {name}', name=name),
        'recovery': lambda _name: _('the help with a lost factor that was under way'),
        'address': lambda name: _('the change of your address to {email}', email=name),
    }
    things = '; '.join(words[kind](name) for kind, name in facts.removed if kind in words)
    return (
        [
            _(
                'This has ended, too, since it was under way, or was added after the oldest other session had begun: {things}.',
                things=things,
            )
        ]
        if things
        else []
    )


def _not_you(facts: Facts) -> str:
    return _('If that was you, all is well. If not, set a new password at once, and tell {msp}.', msp=facts.tenant.name)


def _invitation(facts: Facts, company: str) -> list[str]:
    """Who invites, for whom, and to whose portal: names, and nothing else that the inviter wrote."""
    hello = _('Hello {name},', name=_quiet(facts.to.name))
    if facts.company is None:
        return [
            hello,
            _(
                '{name} invites you to the portal of {msp}, as one of its staff.',
                name=_quiet(_actor(facts)),
                msp=facts.tenant.name,
            ),
        ]
    return [
        hello,
        _('{name} invites you to the client portal of {msp}, for {company}. There you ask for help and follow it.',
          name=_quiet(_actor(facts)), msp=facts.tenant.name, company=_quiet(company)),
    ]  # fmt: skip


def _root(facts: Facts) -> str:
    if facts.to.user_type == 'internal':
        return f'{facts.origin}/msp'
    return f'{facts.origin}/client-portal' + (f'/{facts.company.slug}' if facts.company else '')


def _href(facts: Facts) -> str:
    if facts.link:
        return facts.link
    if facts.kind in access.KINDS:
        return _root(facts) + access.path(facts)
    if facts.kind in OF_ACCOUNT:
        return f'{_root(facts)}/settings/security'
    if facts.kind.startswith('review'):
        return f'{_root(facts)}/settings/people/review'
    if facts.kind == 'new_device':
        return f'{_root(facts)}/settings/security'
    if facts.kind == 'disowned_by' and facts.actor and facts.actor.user_type == 'client':
        return f'{_root(facts)}/people/{facts.actor.id}'
    return f'{_root(facts)}/tickets/{facts.ticket.label}' if facts.ticket else _root(facts)


def _button(facts: Facts) -> str:
    if facts.kind in access.KINDS:
        return access.button(facts)
    if facts.ticket:
        return _('Read and reply')
    if facts.kind in OF_ACCOUNT:
        return _('Look at it in the settings')
    match facts.kind:
        case 'new_device':
            return _('Look at my sessions')
        case 'invitation':
            return _('Look at the invitation')
        case 'address_old' | 'address_new':
            return _('Confirm the address')
        case 'review' | 'review_again':
            return _('Look at the list')
        case _:
            return _('Set a password') if facts.link else _('Go to the portal')
