"""Single sign-on: the identity providers of the staff, of all clients or of a company; the accounts people have there; and who
comes in by them only.

A provider of a company speaks for its people alone. What that means for people of several companies is decided in the database
(`app.sso_fits`), at every sign-in.
"""

from portal.domain.sso.accounts import link_in_advance, linked, unlink, unlink_own
from portal.domain.sso.alone import allow_passwords, only, require_sso, unready
from portal.domain.sso.model import Flow, Identity, Only, Provider, ProviderSecret
from portal.domain.sso.providers import (
    add_provider,
    change_provider,
    enable_provider,
    keep_secret,
    note_check,
    provider,
    providers,
    remove_provider,
)
from portal.domain.sso.wishes import CREATED_AS, KINDS, Wish, wish_of

__all__ = [
    'CREATED_AS', 'KINDS', 'Flow', 'Identity', 'Only', 'Provider', 'ProviderSecret', 'Wish', 'add_provider', 'allow_passwords',
    'change_provider', 'enable_provider', 'keep_secret', 'link_in_advance', 'linked', 'note_check', 'only', 'provider', 'providers',
    'remove_provider', 'require_sso', 'unlink', 'unlink_own', 'unready', 'wish_of',
]  # fmt: skip
