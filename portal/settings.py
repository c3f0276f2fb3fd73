"""Every setting, typed, from the environment. A wrong one is refused by its name, in one sentence."""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from portal import private

DEMO_PASSWORD = 'correct-horse-northwind'  # noqa: S105  (meant to be known)
SHORTEST_SECRET = 32  # characters
SHORTEST_BACKUP_KEY = 16


class WrongSetting(ValueError):
    """A setting that the portal cannot start with; the message is one sentence for whoever set it."""


@dataclass(frozen=True)
class Smtp:
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    security: Literal['none', 'starttls', 'tls'] = 'none'


@dataclass(frozen=True)
class Settings:
    """What `load` found. Folders and files are made when they are first needed, not here."""

    port: int
    host: str
    data_dir: Path
    database_url: str | None = field(repr=False)
    demo: bool
    demo_password: str = field(repr=False)
    tenant: str | None
    smtp: Smtp | None
    mail_from: str | None
    secret_key: str | None = field(repr=False)
    url: str | None
    pool_size: int
    file_limit_mb: int
    company_quota_mb: int
    log_level: str
    worker: bool
    node: str | None
    backup_key: str | None = field(repr=False)

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


# Readers: one for each kind of value. They raise ValueError with the end of a sentence that begins with the name.


def _text(value: str) -> str:
    return value


def _path(value: str) -> Path:
    return Path(value).expanduser().absolute()


def _flag(value: str) -> bool:
    known = {'1': True, 'true': True, 'yes': True, 'on': True, '0': False, 'false': False, 'no': False, 'off': False}
    if value.lower() not in known:
        raise ValueError('must be 1 or 0')
    return known[value.lower()]


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
            raise ValueError(f'must be a number from {least} to {most}')
        return int(value)

    return read


def _secret_key(value: str) -> str:
    if len(value) < SHORTEST_SECRET:
        raise ValueError(f'must have at least {SHORTEST_SECRET} characters')
    return value


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


def _backup_key(value: str) -> str:
    if len(value) < SHORTEST_BACKUP_KEY:
        raise ValueError(f'must have at least {SHORTEST_BACKUP_KEY} characters')
    return value


def _log_level(value: str) -> str:
    levels = ('DEBUG', 'INFO', 'WARNING', 'ERROR')
    if value.upper() not in levels:
        raise ValueError(f'must be one of {", ".join(levels)}')
    return value.upper()


@dataclass(frozen=True)
class Setting:
    name: str  # in the environment
    field: str  # in Settings
    read: Callable[[str], Any]
    default: str | None  # None: not set
    purpose: str


SETTINGS = (
    Setting('PORTAL_PORT', 'port', _number(1, 65535), '8080', 'The port the portal listens on.'),
    Setting('PORTAL_HOST', 'host', _text, '127.0.0.1', 'The address it listens on. Beyond loopback, PORTAL_URL must be https.'),
    Setting(
        'PORTAL_URL', 'url', _url, None, 'The address people open, such as https://portal.example.com, if a proxy is in front.'
    ),
    Setting(
        'PORTAL_DATA_DIR', 'data_dir', _path, '.portal', 'For files, the secret key and the private database; the demo in demo/.'
    ),
    Setting(
        'PORTAL_SECRET_KEY', 'secret_key', _secret_key, None, 'At least 32 characters. If not set, made and kept as secret.key.'
    ),
    Setting(
        'DATABASE_URL', 'database_url', _database_url, None, 'A PostgreSQL server, 15 or newer. If not set, a private one is run.'
    ),
    Setting('PORTAL_POOL_SIZE', 'pool_size', _number(1, 100), '5', 'Database connections that each pool keeps.'),
    Setting('PORTAL_FILE_LIMIT_MB', 'file_limit_mb', _number(1, 2000), '25', 'The largest file that is taken, in megabytes.'),
    Setting(
        'PORTAL_COMPANY_QUOTA_MB',
        'company_quota_mb',
        _number(1, 10_000_000),
        '2000',
        'What a company’s files may take, in megabytes.',
    ),
    Setting('PORTAL_TENANT', 'tenant', _text, None, 'The tenant (its name or host) that answers where no tenant is named.'),
    Setting('PORTAL_DEMO', 'demo', _flag, '0', '1 fills the portal with an invented provider and its clients. On loopback only.'),
    Setting('PORTAL_DEMO_PASSWORD', 'demo_password', _text, DEMO_PASSWORD, 'The password of everyone in the demo.'),
    Setting(
        'PORTAL_SMTP_URL', 'smtp', _smtp, None, 'smtp+starttls://user:password@host:587, smtps:// or smtp://. Else mail is kept.'
    ),
    Setting('PORTAL_MAIL_FROM', 'mail_from', _address, None, 'The sender of the portal’s mail.'),
    Setting(
        'PORTAL_WORKER', 'worker', _flag, '1', '0: this process does no background jobs; `python -m portal worker` does them.'
    ),
    Setting('PORTAL_NODE', 'node', _node, None, 'The name of this process among several; browsers come back to it by a cookie.'),
    Setting('PORTAL_BACKUP_KEY', 'backup_key', _backup_key, None, 'Encrypts backups, and opens them. At least 16 characters.'),
    Setting('PORTAL_LOG_LEVEL', 'log_level', _log_level, 'INFO', 'DEBUG, INFO, WARNING or ERROR.'),
)


def load(env: Mapping[str, str] | None = None) -> Settings:
    """Raises WrongSetting. An empty value counts as not set: that is how a compose file leaves a setting out."""
    found = os.environ if env is None else env
    settings = Settings(**{setting.field: _value(setting, found) for setting in SETTINGS})
    _refuse_unsafe(settings)
    return settings


def _value(setting: Setting, env: Mapping[str, str]) -> Any:
    given = env.get(setting.name, '').strip() or setting.default
    try:
        return None if given is None else setting.read(given)
    except ValueError as e:
        raise WrongSetting(f'{setting.name} {e}.') from None  # without the value: it may be a secret


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


def _host(url: str) -> str:
    return urlsplit(url).hostname or ''


def is_loopback(host: str) -> bool:
    try:
        return host == 'localhost' or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name: nobody knows where it leads
