"""Takes pictures of every screen of the demo into docs/screens: `python -m tests.browser.screens [part of a name …]`.

At 1440 pixels in light and dark and at 390 in light; with `--all` also at 820, and every width in both. The pictures are for
people who look at the repository, and for whoever changes a screen: run it, and look at what git says has changed.
"""

import asyncio
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from tests.browser.conftest import ARGS, ROOT, ready
from tests.browser.portals import Portal, portal_of_its_own
from tests.peers import chromium

FOLDER = ROOT / 'docs/screens'
COLOURS = 64
TALLEST = 2400  # pixels: what a list goes on with below says nothing new
CHOSEN = ((1440, 'light'), (1440, 'dark'), (390, 'light'))
ALL = tuple((width, theme) for width in (1440, 820, 390) for theme in ('light', 'dark'))


@dataclass(frozen=True)
class Picture:
    name: str
    who: str  # as the demo's button names them; empty: nobody has signed in
    path: str  # `{ticket}`: one that shows much; `{person}`: one of two companies; `{colleague}`: of Ada
    shows: str
    mock: str  # the design's own picture of it


PICTURES = (
    Picture('signin-client', '', '/auth/client-portal/signin', 'Clients sign in', 'signin-client'),
    Picture('signin-staff', '', '/auth/msp/signin', 'Staff sign in', 'signin-staff'),
    Picture('home', 'Ada Brandt', '', 'What a client comes for, in one sentence', 'dashboard'),
    Picture('tickets', 'Ada Brandt', '/tickets', 'The company’s tickets', 'tickets'),
    Picture('ticket', 'Ada Brandt', '/tickets/{ticket}', 'A ticket, as the client sees it', 'ticket'),
    Picture('new-ticket', 'Ada Brandt', '/tickets/new', 'Asking for help', 'ticket-new'),
    Picture('settings', 'Ada Brandt', '/settings', 'Profile and notifications', 'settings'),
    Picture('security', 'Ada Brandt', '/settings/security', 'How one signs in', 'security'),
    Picture('new-app', 'Ada Brandt', '/settings/security/app', 'Setting up an authenticator app', 'second-factor-setup'),
    Picture('people', 'Ada Brandt', '/settings/people', 'A company’s people and their roles', 'people'),
    Picture('colleague', 'Ada Brandt', '/settings/people/{colleague}', 'What a colleague can see and do, and why', 'person'),
    Picture('invite', 'Ada Brandt', '/settings/people/invite', 'A client admin invites people', 'people'),
    Picture('company-settings', 'Ada Brandt', '/settings/company', 'What a company says of itself', 'settings'),
    Picture('welcome', 'Ada Brandt', '/welcome', 'The first screen after an invitation', ''),
    Picture('company-log', 'Ada Brandt', '/settings/log', 'What happened at the company', 'audit'),
    Picture('queue', 'Tess Okafor', '', 'What staff have to do', 'queue'),
    Picture('staff-ticket', 'Tess Okafor', '/tickets/{ticket}', 'The same ticket, as staff see it', 'ticket-staff'),
    Picture('staff-new-ticket', 'Tess Okafor', '/tickets/new', 'A ticket for somebody who called', ''),
    Picture('companies', 'Mona Reyes', '/companies', 'The clients', ''),
    Picture('company', 'Mona Reyes', '/companies/acme', 'One client: people, roles, tickets', 'company'),
    Picture('edit-company', 'Mona Reyes', '/companies/acme/edit', 'What is known of a client', ''),
    Picture('person', 'Mona Reyes', '/people/{person}', 'One person of a client: companies, tickets', 'person'),
    Picture('explained', 'Mona Reyes', '/people/{person}/access?company=acme', 'What somebody can see and do, and why', 'person'),
    Picture('staff-invite', 'Mona Reyes', '/companies/acme/invite', 'Staff invite people of a client', ''),
    Picture('import', 'Mona Reyes', '/import', 'Companies and people from a file', ''),
    Picture('team', 'Mona Reyes', '/team', 'The provider’s own people', 'people'),
    Picture('roles', 'Mona Reyes', '/roles', 'Built-in roles and own ones', ''),
    Picture('role', 'Mona Reyes', '/roles/new?for=client', 'A role of one’s own', 'role'),
    Picture('replies', 'Mona Reyes', '/replies', 'Texts for answers given again and again', ''),
    Picture('categories', 'Mona Reyes', '/categories', 'What tickets are about', ''),
    Picture('mail', 'Mona Reyes', '/mail', 'What the portal writes to people', ''),
    Picture('access', 'Mona Reyes', '/access', 'How people come in, what is asked of them, for how long', ''),
    Picture('provider', 'Mona Reyes', '/access/sso/new', 'An identity provider', ''),
    Picture('audit', 'Mona Reyes', '/audit', 'Who did what, and who looked', 'audit'),
    Picture('view-as', 'Mona Reyes', '/view-as/{person}', 'Before looking as a client: a reason', 'view-as-reason'),
    Picture('portal', 'Mona Reyes', '/portal', 'What holds for everybody', ''),
    Picture('health', 'Mona Reyes', '/health', 'How the portal is doing', ''),
    Picture('staff-settings', 'Mona Reyes', '/settings', 'Profile and notifications of staff', 'settings'),
)


async def main(words: list[str]) -> None:
    kinds = ALL if '--all' in words else CHOSEN
    wanted = [word for word in words if not word.startswith('-')]
    chosen = [picture for picture in PICTURES if not wanted or any(word in picture.name for word in wanted)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with portal_of_its_own() as portal:
        async with async_playwright() as p:
            browser = await p.chromium.launch(executable_path=chromium(), args=ARGS)
            for who in dict.fromkeys(picture.who for picture in chosen):
                await _all_of(browser, portal, [picture for picture in chosen if picture.who == who], kinds)
            await browser.close()
    (FOLDER / 'README.md').write_text(_readme())


async def _all_of(browser: Browser, portal: Portal, pictures: list[Picture], kinds: tuple[tuple[int, str], ...]) -> None:
    """What one person sees, in one browser of theirs."""
    context = await browser.new_context(
        base_url=portal.origin, reduced_motion='reduce', timezone_id='Europe/Berlin', locale='en-GB'
    )
    page, who = await context.new_page(), pictures[0].who
    root = ''
    if who:
        await page.goto('/auth/client-portal/signin' if who == 'Ada Brandt' else '/auth/msp/signin')
        await page.get_by_role('button', name=who).click()
        await ready(page)
        root = re.sub(r'^\w+://[^/]+', '', page.url)
    for picture in pictures:
        for width, theme in kinds:
            await page.set_viewport_size({'width': width, 'height': 900 if width > 390 else 844})
            await page.emulate_media(color_scheme='dark' if theme == 'dark' else 'light')
            people = {'person': _person(portal, 'mel@both.example'), 'colleague': _person(portal, 'ugo@acme.example')}
            await page.goto(root + picture.path.format(ticket=_ticket(portal), **people))
            if who:
                await ready(page)
            await _take(page, FOLDER / f'{picture.name}-{width}-{theme}.png')
    await context.close()


def _ticket(portal: Portal) -> str:
    """Open, of Ada's company, with the longest conversation of clients and staff and with a note."""
    number = portal.ask(
        'select t.number from ticket t join company c on c.id = t.company_id join ticket_comment m on m.ticket_id = t.id '
        "where c.slug = 'acme' and t.visibility = 'company' and t.status not in ('closed', 'solved') "
        'group by t.id order by bool_or(m.is_internal) desc, count(*) desc, t.number desc limit 1'
    )
    return f'T-{number}'


def _person(portal: Portal, email: str) -> str:
    return str(portal.ask('select id from users where email = %s', email))


async def _take(page: Page, file: Path) -> None:
    await page.evaluate('document.fonts.ready')
    await page.evaluate('document.activeElement?.blur()')
    height = min(await page.evaluate('document.documentElement.scrollHeight'), TALLEST)
    size = page.viewport_size or {'width': 1440, 'height': 900}
    if height > size['height']:
        await page.set_viewport_size({'width': size['width'], 'height': height})
    await page.screenshot(path=file)
    _make_small(file)
    print(file.relative_to(ROOT))


def _make_small(file: Path) -> None:
    """Where ImageMagick is installed: few colours are enough for what is nearly all paper and ink."""
    program = shutil.which('magick') or shutil.which('convert')
    if program:
        words = ['+dither', '-colors', str(COLOURS), '-strip', '-define', 'png:compression-level=9']
        subprocess.run([program, str(file), *words, f'PNG8:{file}'], check=True)


def _readme() -> str:
    lines = [
        '# The screens', '',
        'Taken from the demo by `python -m tests.browser.screens`. Each stands beside the picture of the design that it',
        'follows (in `design/`; –: drawn without one).', '',
        '| Screen | Shows | As | 1440 | Dark | 390 | Design |', '|---|---|---|---|---|---|---|',
    ]  # fmt: skip
    for picture in PICTURES:
        links = ' | '.join(
            f'[{word}]({picture.name}-{kind}.png)'
            for word, kind in (('light', '1440-light'), ('dark', '1440-dark'), ('phone', '390-light'))
        )
        mock = f'[design](design/{picture.mock}-light.png)' if picture.mock else '–'
        lines.append(f'| {picture.name} | {picture.shows} | {picture.who or "nobody yet"} | {links} | {mock} |')
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    asyncio.run(main(sys.argv[1:]))
