"""Letters about how somebody comes in: passkeys, a second factor that is needed, help with a lost one."""

from typing import TYPE_CHECKING

from portal.i18n import _, long_day

if TYPE_CHECKING:
    from portal.mail.writing import Facts

KINDS = (
    'passkey_added', 'passkey_removed', 'passkey_cloned', 'identity_linked', 'identity_unlinked', 'factor_due', 'recovery_started',
    'recovery_ready', 'recovery_finished', 'recovery_refused', 'signed_out',
)  # fmt: skip


def subject(facts: 'Facts') -> str:
    msp = facts.tenant.name
    return {
        'passkey_added': lambda: _('A new passkey opens your access to {msp}', msp=msp),
        'passkey_removed': lambda: _('A passkey of yours was removed'),
        'passkey_cloned': lambda: _('Somebody may have a copy of your passkey'),
        'identity_linked': lambda: _('A company account was linked with your access to {msp}', msp=msp),
        'identity_unlinked': lambda: _('A company account of yours is no longer linked'),
        'factor_due': lambda: _('From {day} you need a second factor', day=_day(facts)),
        'recovery_started': lambda: _('Somebody says that you have lost your second factor'),
        'recovery_ready': lambda: _('Set up a new second factor for {msp}', msp=msp),
        'recovery_finished': lambda: _('Your access to {msp} has a new second factor', msp=msp),
        'signed_out': lambda: _('You were signed out of the portal of {msp}', msp=msp),
        'recovery_refused': lambda: _('{name} has stopped the help you began', name=facts.actor.name if facts.actor else ''),
    }[facts.kind]()


def paragraphs(facts: 'Facts') -> list[str]:
    hello = _('Hello {name},', name=facts.to.name)
    msp, actor = facts.tenant.name, facts.actor.name if facts.actor else facts.tenant.name
    match facts.kind:
        case 'passkey_added':
            return [
                hello,
                _('a passkey was added to your access to the portal of {msp}: with it one signs in without a password.', msp=msp),
                _('If that was not you, remove it in the settings under Security, and set a new password.'),
            ]
        case 'passkey_removed':
            return [
                hello,
                _('a passkey was removed from your access to the portal of {msp}. It opens nothing there any more.', msp=msp),
                _('If that was not you, set a new password, and look in the settings under Security at what there is.'),
            ]
        case 'passkey_cloned':
            return [
                hello,
                _('somebody tried to sign in with a passkey of yours, and it has counted fewer sign-ins than we have seen. That happens '
                  'when a security key was copied. They did not come in.'),
                _('Sign in another way, remove this passkey in the settings under Security, and add a new one.'),
            ]  # fmt: skip
        case 'identity_linked':
            return [
                hello,
                _('an account at a sign-in service, such as that of your company, was linked with your access to the portal of {msp}: '
                  'whoever signs in there with it comes in as you.', msp=msp),
                _('If that was neither you nor whoever looks after your access, unlink it in the settings under Security, and tell {msp}.',
                  msp=msp),
            ]  # fmt: skip
        case 'identity_unlinked':
            return [
                hello,
                _('an account at a sign-in service, such as that of your company, is no longer linked with your access to the portal of '
                  '{msp}.', msp=msp),
                _('If you do not know why, look in the settings under Security at what there is, and ask {msp}.', msp=msp),
            ]  # fmt: skip
        case 'factor_due':
            return [
                hello,
                _('from {day} the portal of {msp} asks you for more than a password. A passkey is quickest: fingerprint, face or the '
                  'PIN of your device. It takes a minute.', day=_day(facts), msp=msp),
                _('Without one, you set it up when you next sign in.'),
            ]  # fmt: skip
        case 'recovery_started':
            return [
                hello,
                _('{name} says that you have lost what you sign in with, and has asked us to help you. Nothing has changed yet: what '
                  'you have goes on working.', name=actor),
                _('If you have lost it, wait for the letter with a link. If you have not, stop it here.'),
            ]  # fmt: skip
        case 'recovery_ready':
            return [
                hello,
                _('with this link and your password you set up a new second factor for the portal of {msp}. The link works for seven '
                  'days, and once. Passkeys and apps that you had end then.', msp=msp),
                _('You have lost nothing? Then do not use it, and tell {msp}.', msp=msp),
            ]  # fmt: skip
        case 'recovery_finished':
            return [
                hello,
                _('you have set up a new second factor for the portal of {msp}. What you had before opens nothing any more, and you '
                  'were signed out everywhere else.', msp=msp),
                _('If that was not you, call {msp} now.', msp=msp),
            ]  # fmt: skip
        case 'signed_out':
            return [
                hello,
                _('{name} has ended all your sessions in the portal of {msp}. What you sign in with stays the same: sign in again to go '
                  'on.', name=actor, msp=msp),
                _('If you do not know why, please ask {name}, or {msp}.', name=actor, msp=msp),
            ]  # fmt: skip
        case _:
            return [hello, _('{name} says that nothing was lost. Somebody may have asked you in their name.', name=actor)]


def button(facts: 'Facts') -> str:
    return {
        'recovery_started': _('I have lost nothing: stop it'),
        'recovery_ready': _('Set up a new one'),
    }.get(facts.kind, _('Look at your security settings'))


def path(facts: 'Facts') -> str:
    """Below the root of the side, where the letter carries no link of its own."""
    return '' if facts.kind == 'recovery_refused' else '/settings/security'


def _day(facts: 'Facts') -> str:
    return long_day(facts.due) if facts.due else ''
