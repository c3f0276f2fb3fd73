"""Every macro in every state, as living documentation: the page of it is part of the demo, and the tests walk through it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from markupsafe import Markup

from portal import i18n, markdown
from portal.components.frame import (
    Bell,
    Call,
    Company,
    FrameData,
    NavGroup,
    NavItem,
    Notice,
    Person,
    Primary,
    Side,
)
from portal.components.render import macro, render
from portal.components.values import (
    Action,
    Answer,
    Column,
    Crumb,
    Fact,
    File,
    Filter,
    FilterOption,
    Hit,
    HitGroup,
    MenuItem,
    Option,
    OptionGroup,
    Preview,
    Row,
    Someone,
    Tab,
)

Section = tuple[str, str, Markup]
#: One grey point, drawn as large as the sample says.
PICTURE = 'data:image/gif;base64,R0lGODlhAQABAIAAAMzMzAAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=='

_PARTS = (
    ('surfaces', 'Surfaces', 'One page, one raised sheet, hairlines'),
    ('type', 'Type', 'Inter, five sizes, three weights'),
    ('marks', 'Marks', 'Whose turn, how it stands: shape, colour and word'),
    ('buttons', 'Buttons', 'One primary on a page; it says what will happen'),
    ('menus', 'Menus and segments', 'Native popovers, before any script'),
    ('fields', 'Fields', 'Label above, help below, error beside'),
    ('chosen', 'Choices', 'Cards, boxes, chips, steppers'),
    ('writing', 'Writing', 'Markdown, files, the end of a form'),
    ('lists', 'Lists', 'Views, filters, heads that sort, feet that page'),
    ('tables', 'Table', 'Rows at rest, under the pointer, picked'),
    ('rows', 'Rows and facts', 'What informs lies on paper'),
    ('page', 'Page', 'Head, crumbs, statement, sections'),
    ('answers', 'Answers', 'The sentence, proved in three columns'),
    ('talk', 'Conversation', 'Who and when in the margin, what was said on the line'),
    ('composer', 'Composer', 'It turns before one types'),
    ('files', 'Files', 'Pictures as pictures; everything else by its name'),
    ('over', 'Over the page', 'The only things with a shadow'),
    ('banners', 'Banners', 'Across the top of every page, one at a time'),
    ('nothing', 'Nothing there', 'What would be here, and the first step'),
    ('fault', 'A fault', 'What happened, what was saved, what to do'),
    ('bones', 'Loading', 'In the shape of what comes'),
)


def sections(side: Side = 'client') -> list[Section]:
    """(title, hint, html) of each part."""
    sample = _sample()
    return [(title, hint, render(f'gallery/{part}.html', side=side, **sample)) for part, title, hint in _PARTS]


def page(side: Side = 'client') -> Markup:
    """All of it, one below the other."""
    return render('gallery/all.html', side=side, sections=sections(side))


def sample_frame(side: Side = 'client', **changes: Any) -> FrameData:
    """A frame with everything in it."""
    return replace(_client_frame() if side == 'client' else _staff_frame(), **changes)


def _client_frame() -> FrameData:
    return FrameData(
        side='client',
        msp='Northwind IT',
        home_href='#home',
        company=Company('Acme Dental'),
        groups=(
            NavGroup((NavItem('home', 'Home', '#home', 'house', current=True),)),
            NavGroup(
                (
                    NavItem('tickets', 'Tickets', '#tickets', 'messages-square', 6, 'open'),
                    NavItem('kb', 'Knowledge base', '#kb', 'book-open', short='Articles'),
                ),
                'Help',
            ),
            NavGroup(
                (
                    NavItem('invoices', 'Invoices', '#i', 'receipt-text', 3, 'open'),
                    NavItem('quotes', 'Quotes', '#q', 'file-pen-line'),
                ),
                'Money',
            ),
            NavGroup(
                (
                    NavItem('services', 'Services', '#s', 'layers'),
                    NavItem('assets', 'Assets', '#a', 'monitor'),
                    NavItem('reports', 'Reports', '#r', 'chart-no-axes-column'),
                ),
                'What you have',
            ),
        ),
        call=Call('030\u00a023125\u00a0420', 'Mon–Fri 7:30–18:00'),
        person=Person('Ada Brandt', 'Client admin', _person_links()),
        bell=_bell(),
        primary=Primary('New ticket', '#new', icon='plus'),
        bottom=('home', 'tickets', 'invoices', 'kb'),
        **_addresses(),
    )


def _staff_frame() -> FrameData:
    return FrameData(
        side='staff',
        msp='Northwind IT',
        home_href='#home',
        groups=(
            NavGroup(
                (
                    NavItem('queue', 'Queue', '#queue', 'list-checks', 14, 'open', current=True),
                    NavItem('mine', 'My work', '#mine', 'circle-user-round', 5, 'open'),
                    NavItem('time', 'Time', '#time', 'timer'),
                )
            ),
            NavGroup(
                (
                    NavItem('companies', 'Companies', '#c', 'building-2'),
                    NavItem('assets', 'Assets', '#a', 'monitor'),
                    NavItem('services', 'Services and contracts', '#s', 'layers'),
                ),
                'Clients',
            ),
            NavGroup(
                (NavItem('audit', 'Audit log', '#log', 'scroll-text'), NavItem('settings', 'Settings', '#set', 'settings-2')),
                'Tenant',
            ),
        ),
        person=Person('Tess Okafor', 'Technician', _person_links()),
        bell=_bell(),
        more=(MenuItem('Make private', act='private', icon='lock'), MenuItem('Copy link', act='copy', icon='link')),
        primary=Primary('Mark as solved', act='solve'),
        bottom=('queue', 'mine', 'companies', 'time'),
        **_addresses(),
    )


def _addresses() -> dict[str, Any]:
    return {'search_action': '/search', 'sign_out_action': '/sign-out', 'theme_action': '/theme', 'language_action': '/language'}


def _person_links() -> tuple[MenuItem, ...]:
    return (MenuItem('Profile', '#profile', icon='circle-user-round'), MenuItem('Notifications', '#n', icon='bell'))


def _bell() -> Bell:
    now = i18n.now()
    return Bell(
        3,
        (
            Notice(
                'Tess Okafor replied',
                '#t',
                now - timedelta(minutes=12),
                'Could you send a photo of the status page?',
                'messages-square',
                True,
            ),
            Notice('INV-2026-0136 is overdue', '#i', now - timedelta(hours=5), '€99.96 since 12 November', 'receipt-text', True),
            Notice('T-1049 is solved', '#s', now - timedelta(days=1), icon='check'),
        ),
        '#all',
    )


def _sample() -> dict[str, object]:
    at = datetime(2026, 11, 17, 8, 14, tzinfo=UTC)
    return {
        'at': at,
        'html': markdown.to_html,
        'Markup': Markup,
        'people_options': [
            Option('ada', 'Ada Brandt', 'admin'),
            Option('bill', 'Bill Novak', 'billing'),
            Option('petra', 'Petra Lindemann-Czerny'),
            Option('ugo', 'Ugo Marchetti', 'reception'),
            Option('mel', 'Mel Duarte', disabled=True),
        ],
        'device_options': [
            Option('kyo', 'KYO-EMPFANG-01, printer, reception'),
            OptionGroup('PCs', (Option('pc1', 'ACME-EMPFANG-02'), Option('pc2', 'ACME-BEH-1', disabled=True))),
        ],
        'kind_options': [
            Option('broken', 'Something is broken', 'It worked before'),
            Option('need', 'I need something', 'A device, a programme, access'),
            Option('join', 'Someone joins or leaves', 'We ask for the rest'),
            Option('question', 'A question', 'Anything else'),
        ],
        'see_options': [
            Option('all', 'Everyone at Acme with tickets', 'Colleagues can follow and help'),
            Option('few', 'Only you and people in copy', 'For personal or sensitive matters', icon='lock'),
        ],
        'tabs': [
            Tab('Waiting for you', '#', 2),
            Tab('Open and recent', '#', 8, current=True),
            Tab('Closed', '#', 1041),
            Tab('Save a view', '#', icon='plus'),
        ],
        'week': [Tab('Week', '#', current=True), Tab('Month', '#', icon='calendar')],
        'filters': [
            Filter(
                'since',
                'Since',
                (FilterOption('October', '#', current=True), FilterOption('September', '#')),
                'October',
                '#clear',
            ),
            Filter('turn', 'Whose turn', (FilterOption('You', '#', count=2), FilterOption('Northwind', '#', count=4))),
            Filter(
                'status',
                'Status',
                (FilterOption('New', value='new', current=True), FilterOption('Solved', value='solved')),
                'New',
                '#clear',
                act='filter',
                searchable=True,
            ),
        ],
        'columns': [
            Column('Subject', '#'),
            Column('Whose turn'),
            Column('Last word', wide=True),
            Column('Changed', '#', 'descending', right=True),
        ],
        'menu': [
            MenuItem('Add a person', act='add', icon='user-round-plus'),
            MenuItem('Make private', '#', icon='lock', hint='Only people in copy'),
            MenuItem('Newest first', '#', icon='arrow-down', current=True),
            MenuItem('Delete draft', act='delete', icon='trash-2', danger=True, divided=True),
        ],
        'actions': [Action('Ask for a quote', '#'), Action('How quotes work', '#', kind='quiet')],
        'keep': [Action('Keep it', act='keep', kind='quiet'), Action('Remove card', act='remove', kind='danger')],
        'send': [Action('Send to Northwind', kind='primary', type='submit'), Action('Discard', act='discard', kind='quiet')],
        'follow': Action('Follow it', '#'),
        'stop': Action('Stop', act='stop'),
        'bulk_actions': [
            Action('Assign', act='assign'),
            Action('Merge', act='merge'),
            Action('Unpick', act='unpick', kind='quiet'),
        ],
        'facts': [
            Fact('First reply', macro('state')('after 17 min', 'ok')),
            Fact('Solution', 'Fri 20 Nov, 12:00', 'paused while we wait for you'),
            ('Number', 'T-1058'),
        ],
        'people': [
            Someone('Ugo Marchetti', 'asked'),
            Someone('Ada Brandt', 'in copy', href='#', key='ada', remove_act='take-out'),
            Someone('Tess Okafor', 'helps', msp=True),
        ],
        'files': [File('leere-seite.jpg', '#', '1.8 MB', 'image')],
        'pictures': [
            File('leere-seite.gif', '#', '1.8 MB', 'image', Preview(PICTURE, 320, 180)),
            File('Statusseite vom Kyocera am Empfang.pdf', '#', '212 KB'),
        ],
        'crumbs': [Crumb('Queue', '#'), Crumb('Acme Dental', '#'), Crumb('T-1058')],
        'answers': _answers(),
        'suggestions': [
            Row(
                'Blank or striped pages from a Kyocera',
                '2 min',
                '#',
                'When pages come out blank after an update, print a status page first…',
            )
        ],
        'lately': [
            Row(Markup('<b>Tess Okafor</b> asked for a photo in <a class="plain" href="#">T-1058</a>'), lead='10:30'),
            Row(Markup('<b>Bill Novak</b> paid €1,000.00'), lead='Yesterday'),
        ],
        'hits': [
            HitGroup(
                'Tickets',
                (
                    Hit(
                        Markup('<mark>Kyo</mark>cera at reception prints blank pages'),
                        '#',
                        'messages-square',
                        'T-1058 · waiting for you',
                    ),
                    Hit('Toner', '#', 'messages-square', 'T-0987 · closed', Markup('For the <mark>Kyo</mark>cera, please.')),
                ),
            ),
            HitGroup('Do', (Hit('New ticket', '#', 'plus'),)),
        ],
        'keys': [('Everywhere', [(('Ctrl', 'K'), 'Search or jump to'), (('?',), 'This list')])],
    }


def _answers() -> tuple[Answer, ...]:
    state, turn, num = macro('state'), macro('turn'), Markup('<span class="num">{}</span>').format
    return (
        Answer(
            'Is anything wrong?',
            (
                Row('E-mail and calendar', state('Running', 'ok')),
                Row('Server backup', state('Last night, 2:14', 'ok')),
                Row('Firewall update, planned', Markup('Sun 22 Nov'), note='Internet is off for about 20 minutes'),
            ),
            'Status',
            '#',
        ),
        Answer(
            'Does anyone wait?',
            (
                Row('Kyocera at reception prints blank pages', turn('client', 'You', True), '#'),
                Row('Röntgenbild-Archiv: Zugriff aus Behandlungsraum 3 sehr langsam', turn('msp', 'Northwind'), '#'),
            ),
            'All 6 open',
            '#',
            'One more with Northwind, one with a supplier',
        ),
        Answer(
            'What do you owe?',
            (
                Row(state('Overdue since 12 Nov', 'bad'), num('€99.96')),
                Row('Due 30 Nov', num('€1,495.59')),
                Row('Open balance', num('€2,487.65'), strong=True),
            ),
            'Invoices',
            '#',
            action=Action('Pay the overdue €99.96', '#'),
        ),
    )
