"""Over SMTP, one letter at a time."""

import asyncio
from email.errors import MessageError
from email.headerregistry import Address, HeaderRegistry, MessageIDHeader
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from urllib.parse import urlsplit

import aiosmtplib

from portal.domain.base import now
from portal.mail.writing import Facts, Written
from portal.settings import Settings, Smtp

TIMEOUT = 20  # seconds for all of it; below the time after which the database ends an idle transaction

_headers = HeaderRegistry()
# as words, long ones would be encoded, and no mail program would know the thread
for _name in ('references', 'in-reply-to'):
    _headers.map_to_type(_name, MessageIDHeader)  # pyright: ignore[reportArgumentType]  (as its documentation wants it)
POLICY = SMTP.clone(header_factory=_headers)


class NotSent(Exception):
    """`str` is for the log; `said` is what the server answered, which may name the recipient."""

    def __init__(self, what: str, said: str = '') -> None:
        super().__init__(what)
        self.said = f'{what}: {said}' if said else what


class Refused(NotSent):
    """This letter will never be taken (a permanent answer about it or its recipient)."""


class Unreachable(NotSent):
    """Not now: the server is away, or says so. Tried again."""


def envelope(letter_id: object, facts: Facts, written: Written, settings: Settings) -> EmailMessage:
    """The message; its id is the letter's, so that a second delivery can be told from a new letter."""
    domain = urlsplit(facts.origin).hostname or 'portal.invalid'
    message = EmailMessage(POLICY)
    message['From'] = _sender(facts, settings, domain)
    message['To'] = _address(facts.to.name, facts.address or facts.to.email)
    message['Subject'] = _line(written.subject)
    message['Date'] = format_datetime(now())
    message['Message-ID'] = f'<{letter_id}@{domain}>'
    message['Auto-Submitted'] = 'auto-generated'
    if facts.ticket:
        thread = f'<ticket-{facts.ticket.id}@{domain}>'
        message['References'] = thread
        message['In-Reply-To'] = thread
    message.set_content(written.text)
    message.add_alternative(written.html, subtype='html')
    return message


def _sender(facts: Facts, settings: Settings, domain: str) -> Address:
    name, address = parseaddr(settings.mail_from) if settings.mail_from else ('', f'portal@{domain}')
    return _address(name or facts.tenant.name, address)


def _address(name: str, address: str) -> Address:
    try:
        return Address(_line(name), addr_spec=address)
    except (ValueError, IndexError, MessageError):
        raise Refused('the address cannot be written') from None


def _line(words: str) -> str:
    """Nothing that people write can begin another header."""
    return ' '.join(words.split())


async def send(message: EmailMessage, smtp: Smtp) -> None:
    """Raises Refused or Unreachable. What the server has against us (sign-in, sender, greeting) can be mended: tried again."""
    try:
        async with asyncio.timeout(TIMEOUT):
            await aiosmtplib.send(
                message, hostname=smtp.host, port=smtp.port, username=smtp.user, password=smtp.password, timeout=TIMEOUT,
                use_tls=smtp.security == 'tls', start_tls=smtp.security == 'starttls',
            )  # fmt: skip
    except aiosmtplib.SMTPRecipientsRefused as e:
        answers = [(refusal.code, refusal.message) for refusal in e.recipients]
        kind = Refused if answers and all(code >= 500 for code, _said in answers) else Unreachable
        raise kind('recipient refused', ', '.join(f'{code} {said}' for code, said in answers)) from None
    except aiosmtplib.SMTPResponseException as e:
        kind = Refused if isinstance(e, aiosmtplib.SMTPDataError) and e.code >= 500 else Unreachable
        raise kind(f'{type(e).__name__} {e.code}', e.message) from None
    except (aiosmtplib.SMTPException, OSError) as e:
        raise Unreachable(type(e).__name__) from None
