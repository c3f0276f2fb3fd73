"""Every setting, typed, from the environment. A wrong one is refused by its name, in one sentence.

A setting is one line of `Settings`: its field, its type, its name in the environment, what kind of value it takes, its default
and its purpose. `docs/settings.md` is made of them (`python -m portal settings --markdown`).
"""

import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from portal import private

DEMO_PASSWORD = 'correct-horse-northwind'  # noqa: S105  (meant to be known)
SHORTEST_SECRET = 32  # characters
SHORTEST_BACKUP_KEY = 16
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


class WrongSetting(ValueError):
    """A setting that the portal cannot start with; the message is one sentence for whoever set it."""


@dataclass(frozen=True)
class Smtp:
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    security: Literal['none', 'starttls', 'tls'] = 'none'


# Kinds of value: what one is called, and how it is read. A reader raises ValueError with the end of a sentence that begins with
# the setting's name.


@dataclass(frozen=True)
class Kind:
    words: str
    read: Callable[[str], Any]


def _path(value: str) -> Path:
    return Path(value).expanduser().absolute()


def _flag(value: str) -> bool:
    known = {'1': True, 'true': True, 'yes': True, 'on': True, '0': False, 'false': False, 'no': False, 'off': False}
    if value.lower() not in known:
        raise ValueError('must be 1 or 0')
    return known[value.lower()]


def number(least: int, most: int) -> Kind:
    def read(value: str) -> int:
        if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
            raise ValueError(f'must be a number from {least} to {most}')
        return int(value)

    return Kind(f'{least} to {most}', read)


def choice(*words: str) -> Kind:
    def read(value: str) -> str:
        found = next((word for word in words if word.casefold() == value.casefold()), None)
        if found is None:
            raise ValueError(f'must be one of {", ".join(words)}')
        return found

    return Kind(', '.join(f'`{word}`' for word in words), read)


def secret_of(least: int) -> Kind:
    """A secret of at least so many characters."""

    def read(value: str) -> str:
        if len(value) < least:
            raise ValueError(f'must have at least {least} characters')
        return value

    return Kind(f'at least {least} characters', read)


def _secrets(value: str) -> tuple[str, ...]:
    words = tuple(value.split())
    if any(len(word) < SHORTEST_SECRET for word in words):
        raise ValueError(f'must be secrets of at least {SHORTEST_SECRET} characters, with spaces between them')
    return words


def _database_url(value: str) -> str:
    if not value.startswith(('postgresql://', 'postgres://')):
        raise ValueError('must be a PostgreSQL address such as postgresql://user:password@host:5432/portal')
    return value


def _split(value: str, example: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        _ = parts.port  # reading it checks it
    except ValueError:
        raise ValueError(f'must be an address such as {example}') from None
    if not parts.hostname:
        raise ValueError(f'must be an address such as {example}')
    return parts


def _url(value: str) -> str:
    example = 'https://portal.example.com'
    parts = _split(value, example)
    if parts.scheme not in ('http', 'https') or parts.path.strip('/') or parts.query or parts.fragment or parts.username:
        raise ValueError(f'must be an address without a path, such as {example}')
    return f'{parts.scheme}://{parts.netloc.lower()}'


def _smtp(value: str) -> Smtp:
    kinds: dict[str, tuple[Literal['none', 'starttls', 'tls'], int]] = {
        'smtp': ('none', 25),
        'smtp+starttls': ('starttls', 587),
        'smtps': ('tls', 465),
    }
    parts = _split(value, 'smtp+starttls://user:password@mail.example.com:587')
    if parts.scheme not in kinds:
        raise ValueError('must begin with smtp://, smtp+starttls:// or smtps://')
    security, usual_port = kinds[parts.scheme]
    user, password = (unquote(part) if part else None for part in (parts.username, parts.password))
    return Smtp(parts.hostname or '', parts.port or usual_port, user, password, security)


def _address(value: str) -> str:
    name, _, domain = parseaddr(value)[1].partition('@')
    if not (name and domain):
        raise ValueError('must be an e-mail address such as portal@example.com or "Portal <portal@example.com>"')
    return value


def _node(value: str) -> str:
    if not re.fullmatch(r'[A-Za-z0-9_-]{1,32}', value):
        raise ValueError('must be a short name of letters, digits, - and _')
    return value


def _networks(value: str) -> Networks:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in value.split(',') if part.strip())
    except ValueError:
        raise ValueError('must be addresses or networks, separated by commas, such as 127.0.0.1, 10.0.0.0/8, fd00::/8') from None


TEXT = Kind('text', str)
NODE = Kind('a short name', _node)
FLAG = Kind('`1` or `0`', _flag)
PATH = Kind('a folder', _path)
SECRETS = Kind('secrets, with spaces between them', _secrets)
NETWORKS = Kind('addresses and networks', _networks)
DATABASE_URL = Kind('`postgresql://…`', _database_url)
URL = Kind('an address', _url)
SMTP_URL = Kind('`smtp+starttls://…`, `smtps://…`, `smtp://…`', _smtp)
MAIL_ADDRESS = Kind('an e-mail address', _address)


@dataclass(frozen=True)
class Setting:
    name: str  # in the environment
    field: str  # in Settings
    kind: Kind
    default: str | None  # None: not set
    purpose: str
    secret: bool


def setting(name: str, kind: Kind, default: str | None, purpose: str, *, secret: bool = False) -> Any:
    """A field of `Settings`. `default` is written as in the environment; None: not set. `secret`: never shown."""
    return field(repr=not secret, metadata={'setting': (name, kind, default, purpose, secret)})


@dataclass(frozen=True)
class Settings:
    """What `load` found. Folders and files are made when they are first needed, not here."""

    port: int = setting('PORTAL_PORT', number(1, 65535), '8080', 'The port the portal listens on.')
    host: str = setting('PORTAL_HOST', TEXT, '127.0.0.1', 'The address it listens on. Beyond loopback, PORTAL_URL must be https.')
    url: str | None = setting(
        'PORTAL_URL', URL, None, 'The address people open, such as https://portal.example.com, if a proxy is in front.'
    )
    trusted_proxies: Networks = setting(
        'PORTAL_TRUSTED_PROXIES', NETWORKS, '127.0.0.0/8, ::1',
        'The proxies in front, which may say who comes: only from them are the X-Forwarded headers believed.',
    )  # fmt: skip
    outgoing_networks: Networks = setting(
        'PORTAL_OUTGOING_NETWORKS', NETWORKS, '',
        'Networks of your own that the portal may speak to, such as that of your identity provider. Without any: the internet only.',
    )  # fmt: skip
    data_dir: Path = setting(
        'PORTAL_DATA_DIR', PATH, '.portal', 'For files, the secret key and the private database; the demo in demo/.'
    )
    secret_key: str | None = setting(
        'PORTAL_SECRET_KEY', secret_of(SHORTEST_SECRET), None, 'What every key is derived from. If not set, made and kept as secret.key.',
        secret=True,
    )  # fmt: skip
    old_secret_keys: tuple[str, ...] | None = setting(
        'PORTAL_OLD_SECRET_KEYS',
        SECRETS,
        None,
        'Former secret keys: what was encrypted with them can still be read.',
        secret=True,
    )
    database_url: str | None = setting(
        'DATABASE_URL', DATABASE_URL, None, 'A PostgreSQL server, 15 or newer. If not set, a private one is run.', secret=True
    )
    pool_size: int = setting('PORTAL_POOL_SIZE', number(1, 100), '5', 'Database connections that each pool keeps.')
    worker: bool = setting(
        'PORTAL_WORKER', FLAG, '1', '0: this process does no background jobs; `python -m portal worker` does them.'
    )
    node: str | None = setting(
        'PORTAL_NODE', NODE, None, 'The name of this process among several; browsers come back to it by a cookie.'
    )
    file_limit_mb: int = setting('PORTAL_FILE_LIMIT_MB', number(1, 2000), '25', 'The largest file that is taken, in megabytes.')
    company_quota_mb: int = setting(
        'PORTAL_COMPANY_QUOTA_MB', number(1, 10_000_000), '2000', 'What a company’s files may take, in megabytes.'
    )
    backup_key: str | None = setting(
        'PORTAL_BACKUP_KEY', secret_of(SHORTEST_BACKUP_KEY), None, 'Encrypts backups, and opens them.', secret=True
    )
    tenant: str | None = setting(
        'PORTAL_TENANT', TEXT, None, 'The tenant (its name or host) that answers where no tenant is named.'
    )
    demo: bool = setting(
        'PORTAL_DEMO', FLAG, '0', 'Fills the portal with an invented provider and its clients. On loopback only.'
    )
    demo_password: str = setting(
        'PORTAL_DEMO_PASSWORD', TEXT, DEMO_PASSWORD, 'The password of everyone in the demo.', secret=True
    )
    smtp: Smtp | None = setting(
        'PORTAL_SMTP_URL', SMTP_URL, None, 'The mail server, as smtp+starttls://user:password@host:587. If not set, mail is kept.',
        secret=True,
    )  # fmt: skip
    mail_from: str | None = setting('PORTAL_MAIL_FROM', MAIL_ADDRESS, None, 'The sender of the portal’s mail.')
    log_level: str = setting(
        'PORTAL_LOG_LEVEL', choice('DEBUG', 'INFO', 'WARNING', 'ERROR'), 'INFO', 'What is less important is not logged.'
    )
    log_format: Literal['text', 'json'] = setting(
        'PORTAL_LOG_FORMAT', choice('text', 'json'), 'text', 'How the log is written: for people, or one JSON object a line.'
    )
    metrics_token: str | None = setting(
        'PORTAL_METRICS_TOKEN', secret_of(16), None, 'Who asks for /metrics has to bear it. If not set, there are no metrics.',
        secret=True,
    )  # fmt: skip

    @property
    def data(self) -> Path:
        """The folder for everything the portal keeps. The demo has its own, so that it never meets real data."""
        return self.data_dir / 'demo' if self.demo else self.data_dir

    @property
    def origin(self) -> str:
        """scheme://host:port as the browser sees it."""
        host = {'localhost': '127.0.0.1', '::1': '[::1]'}.get(self.host, self.host)
        return self.url or f'http://{host}:{self.port}'

    @property
    def secure(self) -> bool:
        """Whether the browser comes over TLS."""
        return self.origin.startswith('https://')

    @property
    def secret(self) -> bytes:
        return secret(self)


SETTINGS = tuple(Setting(f.metadata['setting'][0], f.name, *f.metadata['setting'][1:]) for f in fields(Settings))


def load(env: Mapping[str, str] | None = None) -> Settings:
    """Raises WrongSetting. An empty value counts as not set: that is how a compose file leaves a setting out."""
    found = os.environ if env is None else env
    _refuse_unknown(found)
    settings = Settings(**{setting.field: _value(setting, found) for setting in SETTINGS})
    _refuse_unsafe(settings)
    return settings


def _value(setting: Setting, env: Mapping[str, str]) -> Any:
    given = env.get(setting.name, '').strip() or setting.default
    try:
        return None if given is None else setting.kind.read(given)
    except ValueError as e:
        raise WrongSetting(f'{setting.name} {e}.') from None  # without the value: it may be a secret


def _refuse_unknown(env: Mapping[str, str]) -> None:
    """A name with a slip in it would otherwise count as not set, and nobody would know."""
    known = [setting.name.removeprefix('PORTAL_') for setting in SETTINGS]
    for name in sorted(env):
        begins, _, rest = name.partition('PORTAL_')
        if not begins and rest and rest not in known:
            near = difflib.get_close_matches(rest, known, 1)
            raise WrongSetting(f'{name} is no setting of the portal' + (f': did you mean PORTAL_{near[0]}?' if near else '.'))


def _refuse_unsafe(settings: Settings) -> None:
    """What is fine by itself, but not together."""
    if settings.demo and not is_loopback(settings.host):
        raise WrongSetting('PORTAL_DEMO needs a loopback PORTAL_HOST such as 127.0.0.1: everyone knows the passwords.')
    if settings.demo and settings.url and not is_loopback(_host(settings.url)) and settings.demo_password == DEMO_PASSWORD:
        raise WrongSetting('PORTAL_DEMO behind a public PORTAL_URL needs a PORTAL_DEMO_PASSWORD of your own.')
    if settings.secure:
        return
    if not is_loopback(settings.host):
        raise WrongSetting(
            f'PORTAL_HOST {settings.host} would serve passwords over plain HTTP: put a proxy with TLS in front '
            'and set PORTAL_URL to its https address, or listen on 127.0.0.1.'
        )
    if settings.url and not is_loopback(_host(settings.url)):
        raise WrongSetting('PORTAL_URL must begin with https:// unless it is a loopback address.')


def as_found(settings: Settings, env: Mapping[str, str] | None = None) -> str:
    """For the console, one line for each setting. Secrets are not shown."""
    given = os.environ if env is None else env
    lines: list[str] = []
    for setting in SETTINGS:
        value = given.get(setting.name, '').strip()
        shown = '(set, not shown)' if value and setting.secret else value or setting.default or '(not set)'
        lines.append(f'{setting.name:<26}{shown}' + ('' if value or shown == '(not set)' else '  (default)'))
    return '\n'.join(lines) + '\n'


def as_markdown() -> str:
    """docs/settings.md."""
    rows = [
        f'| `{setting.name}` | {setting.kind.words} | {f"`{setting.default}`" if setting.default is not None else "–"} '
        f'| {setting.purpose}{" Secret." if setting.secret else ""} |'
        for setting in SETTINGS
    ]
    return (
        '# Settings\n\nThey come from environment variables. An empty value counts as not set. What is wrong is refused at the start, by '
        'its name;\na name that begins with `PORTAL_` and is none of these, too. `python -m portal settings` shows what is set.\n\n'
        'This page is made from the program: `python -m portal settings --markdown > docs/settings.md`.\n\n'
        '| Setting | Takes | Default | What it is |\n|---|---|---|---|\n' + '\n'.join(rows) + '\n'
    )


def _host(url: str) -> str:
    return urlsplit(url).hostname or ''


def is_loopback(host: str) -> bool:
    try:
        return host == 'localhost' or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name: nobody knows where it leads


def secret(settings: Settings) -> bytes:
    """What every derived key comes from: PORTAL_SECRET_KEY, or a word made at the first start and kept in the data folder."""
    if settings.secret_key:
        return settings.secret_key.encode()
    path = settings.data / 'secret.key'
    try:
        private.folder(settings.data)
        word = private.word(path)
    except OSError as e:
        raise WrongSetting(f'PORTAL_DATA_DIR: {path} cannot be used ({e.strerror}).') from e
    if len(word) < SHORTEST_SECRET:
        raise WrongSetting(f'{path} is damaged: put back the one from a backup, or set PORTAL_SECRET_KEY.')
    return word.encode()
