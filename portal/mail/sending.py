"""Over SMTP, one letter at a time."""

from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from urllib.parse import urlsplit

import aiosmtplib

from portal.domain.base import now
from portal.mail.writing import Facts, Written
from portal.settings import Settings, Smtp

TIMEOUT = 20  # seconds; below the time after which the database ends an idle transaction


class Refused(Exception):
    """The server will never take this letter (a permanent answer)."""


class Unreachable(Exception):
    """Not now: the server is away, or says so. Tried again."""


def envelope(letter_id: object, facts: Facts, written: Written, settings: Settings) -> EmailMessage:
    """The message; its id is the letter's, so that a second delivery can be told from a new letter."""
    domain = urlsplit(facts.origin).hostname or 'portal.invalid'
    message = EmailMessage()
    message['From'] = _sender(facts, settings, domain)
    message['To'] = Address(facts.to.name, addr_spec=facts.to.email)
    message['Subject'] = written.subject
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
    return Address(name or facts.tenant.name, addr_spec=address)


async def send(message: EmailMessage, smtp: Smtp) -> None:
    """Raises Refused or Unreachable."""
    try:
        await aiosmtplib.send(
            message, hostname=smtp.host, port=smtp.port, username=smtp.user, password=smtp.password, timeout=TIMEOUT,
            use_tls=smtp.security == 'tls', start_tls=smtp.security == 'starttls',
        )  # fmt: skip
    except aiosmtplib.SMTPRecipientsRefused as e:
        codes = [refusal.code for refusal in e.recipients]
        kind = Refused if codes and all(code >= 500 for code in codes) else Unreachable
        raise kind(f'recipient refused ({codes})') from None
    except aiosmtplib.SMTPResponseException as e:
        permanent = 500 <= e.code < 600 and not isinstance(e, aiosmtplib.SMTPAuthenticationError)
        raise (Refused if permanent else Unreachable)(f'{type(e).__name__} {e.code}') from None
    except (aiosmtplib.SMTPException, OSError) as e:
        raise Unreachable(type(e).__name__) from None
