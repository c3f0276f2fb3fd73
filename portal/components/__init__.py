"""The vocabulary of the interface: plain values in, escaped HTML (`Markup`) or NiceGUI elements out. No domain, no database.

HOW TO USE
    render.render('page.html', **values) -> Markup      templates of ours, or of a folder given to render.add_templates(folder)
    render.macro('turn')('client', 'You', mine=True)    from Python; in any template: {{ ui.turn('client', 'You', mine=true) }}
    Globals in templates: ui, _, _n, _p, _m, _mn, when, exact, said_at, day, long_day, clock, number, capped, voice, initials,
    languages, asset(name), icons_url. What is Markup is printed as it is, the rest escaped; `attrs` and `values` are dicts.
    Classes of the mock that only lay out are written in the page's template: split, split-wide, aside, form, pair, stack, narrow,
    buttons, sheet sheet-pad, prose, measure, below (40 px above), first-section, block, num, right, soft, faint, meta, nowrap,
    unseen.

VALUES (values.py, frozen dataclasses; `Text` is str or Markup)
    Option(value, label, hint, icon, disabled)  OptionGroup(label, options)  Tab(label, href, count, current, icon)
    Filter(key, label, options, chosen, clear_href, act, searchable)  FilterOption(label, href, current, count, value)
    Column(label, href, sorted='ascending'|'descending', right, wide, unseen, classes)
    Action(label, href | act | type='submit', kind, icon, attrs)
    MenuItem(label, href | act, icon, hint, current, danger, divided, attrs)
    Someone(name, note, msp, href, key, remove_act)  Fact(term, value, note)  Row(what, end, href, note, lead, strong)
    File(name, href, size, icon)  Answer(title, rows, link, href, foot, action)  Crumb(label, href)
    Hit(words, href, icon, note, text)  HitGroup(label, hits)

MACROS (templates/macros/; * = used with {% call %})
    marks    icon(name, small, label)  turn(whose, word, mine)  turns(client, msp, acts, mine)
             state(word, kind, icon_name, num)  tag(word, icon_name)  side_tag(word)  avatar(name, msp, small)
             who(name, msp, small, note, href)  moment(at, words, classes)  kbd(keys)  copyable(text, label)
             file(name, href, size, icon_name, remove_act, key)  mark(name)  brand(name, href, staff, logo, label)
    buttons  button(label, kind, icon_name, type, act, key, values, name, value, small, wide, unseen, disabled, busy, opens,
               classes, attrs)  link_button(label, href, kind, icon_name, small, wide, unseen, download, attrs)
             text_button(label, act, key, values, type, …)  action(a, small)
             menu(id, label, items, icon_name, unseen, kind, small, end)  menu_items(items)  menu_body(items)
             menu_searched(id, label, items, icon_name, search, above)
             segments(options, label, act)  segments_field(name, label, options, value)
    fields   field(name, label, kind, value, help, error, optional, hint, required, placeholder, autocomplete, disabled,
               readonly, maxlength, autofocus, on, wait, id, attrs); kind: text email password number search date tel url code
             textarea(name, label, value, rows, …, below)  markdown(name, label, value, rows, preview, on, previewing, …)
             select(name, label, options, value, empty, …)  choices(name, legend, options, value, layout='' | 'across' | '2', …)
             checkbox(name, label, value, checked, hint, …)  chips(name, label, options, values, …)
             drop(name, words, multiple, accept)  stepper(name, label, value, least, most)  form_foot(actions, note)
             form_errors([(id, words)], title)
    lists    tabs(tabs, label)  search_box(label, action, name, value, act, wait, keep, placeholder)  filter_menu(filter)
             filters(filters, search, end)  filter_link(label, href, icon_name, download)  table_head(columns)
             *table(columns, label, classes, dense, cards, busy)  table_group(title, columns, count)
             subject(words, href, meta, number, unread, snippet)  *attended(news)  pick(label, key, checked, act)  menu_search(label)
             list_foot(words, newer, older)  bulk(words, actions, menus, extra)  progress(words, value, most, actions)
             rows(rows, classes)  facts(facts)  people(people)
    layout   page_head(title, lead, actions, above, statement, line)  crumbs(crumbs)  statement(words, level)  answers(answers)
             *section(title, link, href, level, classes)  *lined(title, note, level, id)  *aside_section(title, level)
             note_slip(title, html, who_sees, by)  news(title, words, meta)  suggest(items)
    talk     said(name, org, at, html, is_note, msp, note_words, files, actions, key, fresh)
             happened(at, words, icon_name, key)
             composer(act, button_words, placeholder, body, note_button, reply_words, kind, meta, note_meta, draft, files,
               attach, extra, other, error, rows, id, label, disabled, on, hidden, kept, above): sends body, kind (reply | note),
               do, and what is hidden and kept
    over     banner(words, kind='' | 'wait' | 'plain' | 'staff', icon_name, action, role, still)  connection_banner()  idle_banner()
             dialog(id, title, body, actions, open, close_act, note)  dialog_body(title, body, actions, id, close_act, note)
             toast(words, undo, act, key)  shortcuts(groups)  palette(groups, query, action, note, wait, id)
    states   nothing(title, words, actions, ghosts, level)  fault(title, words, reference, at, actions, label, call, kind)
             bones(kind='list' | 'detail' | 'form', rows, words)

FRAME (frame.py)
    nav(data)  topbar(data)  bottombar(data) -> Markup, for one Island each with classes='contents'
    skip_link()  frame(data, content, banner)
    FrameData(side, msp, home_href, groups, person, search_action, sign_out_action, theme_action, language_action, company, call,
      bell, primary, more, theme, language, logo, search_value, bottom)
    NavItem  NavGroup  Company  Call  Person  Notice  Bell  Primary
    A live page: skip link, <div class="frame"> with nav, <div class="main"> (topbar, banner, <main class="page" id="main"
    tabindex="-1">), bottombar; beside it connection_banner(), shortcuts() and <div class="toasts" role="status">.
    It posts: theme_action (theme=auto|light|dark, by fetch: answer 204 or 303), language_action (language=…), sign_out_action.

PLAIN (plain.py)  door(page, door, form, below)  lone(page, content, tag, foot)  message(page, title, words, …)
    PlainPage  Door  Account

ISLAND (island.py)  Island(html, on_act, tag, classes)  .set(html)  .content  .forget_draft(key)  .insert(text)  .adopt()  static_html(island)
    Act(name, key, values)  act.text('subject', most)  act.all('copy')  'x' in act; attributes: see static/js/island.js.
    A page that draws `static_html` in `#ssr` calls `.adopt()`, so that the HTML is sent once.

ASSETS (assets.py)  url('app.css'|'portal.css'|'app.js'|'plain.js'|'icons.svg')  icons_url  preloads  routes()  Static(app)
    Live pages load app.css and app.js (defer, with the nonce), plain pages portal.css and plain.js.
THEME (theme.py)  accent_css('#1e53bc', side) -> str  contrast(a, b) -> float
MARKDOWN (markdown.py)  to_html(text) -> Markup  to_text(text, most) -> str
GALLERY (gallery.py)  sections(side) -> [(title, hint, html)]  page(side) -> Markup  sample_frame(side)
"""
