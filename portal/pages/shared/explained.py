"""What somebody can see and do, and why: the same on the pages of a company's own admins and of staff."""

from collections.abc import Sequence

from markupsafe import Markup

from portal.components.render import render
from portal.domain.access import Permission, UserType
from portal.domain.explaining import AboutTicket, answers
from portal.domain.granting import Given
from portal.i18n import _, _m, _n

MANAGES = frozenset({Permission.PEOPLE_MANAGE, Permission.STAFF_MANAGE})


def statement(name: str, held: Given | None, seen: int | None) -> Markup:
    """One sentence. `seen`: how many tickets, of those that the asker sees; None for somebody of the staff."""
    if held is None:
        return _m('{name} can do nothing here.', name=name)
    tickets = Markup('<b>{}</b>').format(_('all tickets') if seen is None else _n('{n} ticket', '{n} tickets', seen))
    money, manages = Permission.MONEY_SEE in held.permissions, bool(MANAGES & held.permissions)
    return {
        (True, True): _m('{name} sees {tickets} and money, and can change who may do what.', name=name, tickets=tickets),
        (True, False): _m('{name} sees {tickets} and money, and cannot change who may do what.', name=name, tickets=tickets),
        (False, True): _m('{name} sees {tickets} and no money, and can change who may do what.', name=name, tickets=tickets),
        (False, False): _m('{name} sees {tickets} and no money, and cannot change who may do what.', name=name, tickets=tickets),
    }[money, manages]


def explained(
    name: str, held: Given | None, among: Sequence[Given], user_type: UserType, *, asked: str = '', about: AboutTicket | None = None,
    note: str = '',
) -> Markup:  # fmt: skip
    """`asked`: the number of a ticket, as typed; `about`: what there is to say of it, None for one that the asker does not see."""
    verdict, why = '', ''
    if asked and about:
        verdict = (_('Yes, {name} can see T-{number}', name=name, number=about.number) if about.yes
                   else _('No, {name} cannot see T-{number}', name=name, number=about.number))  # fmt: skip
        why = f'“{about.subject}”: {about.why}'
    elif asked:
        verdict, why = _('There is no such ticket, or you do not see it yourself.'), ''
    return render(
        'shared/explained.html', groups=answers(held, among, user_type), asked=asked, verdict=verdict, why=why,
        yes=about.yes if about else None, name=name, is_client=user_type is UserType.CLIENT, note=note,
    )  # fmt: skip
