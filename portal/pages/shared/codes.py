"""Recovery codes, as they are copied and saved."""

from portal.i18n import _


def codes_text(msp: str, email: str, codes: list[str]) -> str:
    if not codes:
        return ''
    lines = [_('Recovery codes for the portal of {msp}', msp=msp), email, _('Each works once.'), '', *codes]
    return '\n'.join(lines) + '\n'
