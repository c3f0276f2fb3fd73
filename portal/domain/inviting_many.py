"""Many invitations from a list: a CSV file, or what somebody pasted. Looked at line by line before anything is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Principal, UserType
from portal.domain.base import Wrong
from portal.domain.imports.fields import role_named
from portal.domain.imports.reading import read
from portal.domain.invitations import Wanted, check, roles_to_give, room, too_many
from portal.i18n import LANGUAGES, _

MOST_LINES = 200
MOST_BYTES = 200_000
_HEADINGS = {
    'name': ('name', 'full name', 'person', 'vor- und nachname', 'voller name'),
    'first': ('first name', 'given name', 'vorname'),
    'last': ('last name', 'surname', 'family name', 'nachname', 'familienname'),
    'email': ('e-mail', 'email', 'mail', 'e-mail address', 'email address', 'e-mail-adresse', 'mailadresse', 'adresse'),
    'role': ('role', 'rolle', 'what may they do?'),
    'language': ('language', 'sprache'),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One of the list. `problems` are words by field; without any it can be sent."""

    number: int
    wanted: Wanted
    problems: dict[str, str]

    @property
    def is_good(self) -> bool:
        return not self.problems


def read_list(text: str) -> list[tuple[int, dict[str, str]]]:
    """Number of the line and its cells by field; raises Wrong(list=…). A list without a heading begins with name and address."""
    data = text.encode()
    if len(data) > MOST_BYTES:
        raise Wrong(list=_('At most {n} people at once. Make it several lists.', n=MOST_LINES))
    first = text.lstrip('\ufeff\n\r ').split('\n', 1)[0].strip()
    bare = '@' in first
    try:
        table = read((_heading_for(first) + '\n' + text if bare else text).encode())
    except Wrong as e:
        raise Wrong(list=' '.join(e.fields.values())) from None
    columns = {i: field for i, heading in enumerate(table.columns) if (field := _field(heading))}
    if 'email' not in columns.values():
        raise Wrong(list=_('No column is called “E-mail”. Name the columns in the first line: Name, E-mail, Role.'))
    if len(table.rows) > MOST_LINES:
        raise Wrong(list=_('At most {n} people at once. Make it several lists.', n=MOST_LINES))
    lines = [(number - bare, {columns[i]: cell for i, cell in enumerate(cells) if i in columns}) for number, cells in table.rows]
    return [(number, {**cells, 'name': _name(cells)}) for number, cells in lines]


def _heading_for(line: str) -> str:
    """Of a list without one: the cell with the sign @ is the address, the others are name, role and language, in this order."""
    sign = next((sign for sign in ';\t,' if sign in line), ';')
    others = iter(('Name', 'Role', 'Language'))
    return sign.join('E-mail' if '@' in cell else next(others, '-') for cell in line.split(sign))


def _field(heading: str) -> str:
    word = ' '.join(heading.lower().split())
    return next((field for field, words in _HEADINGS.items() if word in words), '')


def _name(cells: dict[str, str]) -> str:
    return cells.get('name') or ' '.join(filter(None, (cells.get('first', ''), cells.get('last', ''))))


async def preview(
    db: AsyncSession, by: Principal, company_id: UUID | None, lines: Sequence[tuple[int, dict[str, str]]]
) -> list[Line]:
    """Each line, and what is wrong with it. Writes nothing, and asks nothing beyond what inviting one by one would tell."""
    user_type = UserType.CLIENT if company_id else UserType.INTERNAL
    roles = await roles_to_give(db, by, user_type)
    left, seen = await room(db, by, company_id), dict[str, int]()
    checked: list[Line] = []
    for number, cells in lines:
        role, language = _role(cells.get('role', ''), roles, user_type), _language(cells.get('language', ''))
        wanted, problems = Wanted(cells['name'], cells.get('email', ''), role or '', language or ''), dict[str, str]()
        if cells.get('role') and role is None:
            problems['role'] = _('There is no role “{role}” that you can give.', role=cells['role'][:60])
        if cells.get('language') and language is None:
            problems['language'] = _('Choose a language.')
        try:
            wanted = await check(db, by, company_id, wanted)
        except Wrong as e:
            problems = {**e.fields, **problems}
        email = wanted.email.strip().lower()
        if 'email' not in problems and email in seen:
            problems['email'] = _('The same address stands in line {n}.', n=seen[email])
        seen.setdefault(email, number)
        if not problems and left == 0:
            problems['email'] = too_many(by)
        left -= not problems
        checked.append(Line(number, wanted, problems))
    return checked


def _role(words: str, roles: Sequence[tuple[str, str]], user_type: UserType) -> str | None:
    """By the name it has on screen, or the built-in one of the program; without any the one that may least."""
    if not words.strip():
        return 'ClientUser' if user_type is UserType.CLIENT else 'Technician'
    said, built_in = ' '.join(words.lower().split()), role_named(words, {})
    return next((value for value, label in roles if said in (label.lower(), value.lower()) or value == built_in), None)


def _language(words: str) -> str | None:
    said = words.strip().lower()
    if not said:
        return ''
    return next((code for code, name in LANGUAGES.items() if said in (code, name.lower())), None)
