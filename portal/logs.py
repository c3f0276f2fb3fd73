"""The log: for people, or one JSON object a line; and never with data of people in it.

What an exception says is not written, since databases and parsers quote the values they stumble over: its type, the SQLSTATE and
where in the program it happened are. Ids may stand in the log, names, addresses and what somebody wrote or searched may not.
"""

import logging
import re
import secrets
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from traceback import extract_tb
from types import TracebackType
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from portal.settings import Settings

faults = logging.getLogger('portal.faults')
#: Of the request, or of the request that opened the websocket; also in the answer, as X-Request-ID.
request_id: ContextVar[str] = ContextVar('request_id', default='')
QUIET = ('alembic', 'procrastinate', 'httpx', 'asyncio')  # of these, warnings and errors
OWN_WAY = ('engineio.server', 'socketio.server')  # they write past everybody, with the words of exceptions, unless a level is set
OURS = ('portal', '__main__')
FIELDS = {'asctime': 'time', 'levelname': 'level', 'name': 'logger'}
_PRIVATE = re.compile(r'\?\S*|\S+@\S+|"[^"]*"|\'[^\']*\'|<[^>]*>')  # queries, mail addresses, quotations, representations


def install(settings: Settings) -> None:
    """For the whole process, in place of whatever was there."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if settings.log_format == 'json' else _Text())
    handler.addFilter(discreet)
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(settings.log_level)))
    for name in OWN_WAY:
        logging.getLogger(name).setLevel(logging.ERROR)
        logging.getLogger(name).handlers.clear()


def reference(error: BaseException, where: str) -> str:
    """Logs an error with a number, which is what the person sees; the path comes without numbers, which may be of people."""
    number = secrets.token_hex(4)
    faults.error('%s: %s at %s', number, type(error).__name__, route(where), exc_info=error, extra={'number': number})
    return number


def route(path: str) -> str:
    """A path without what may name something: digits, and the parts that are no words of ours."""
    known = re.sub(r'^/client-portal/[^/]+', '/client-portal/…', path.split('?')[0])
    return '/'.join('…' if re.search(r'[^a-z-]', part) else part for part in known.split('/'))


def discreet(record: logging.LogRecord) -> bool:
    """A filter that lets everything pass, without what it must not say."""
    job = getattr(record, 'job', None)
    if isinstance(job, dict):  # procrastinate's, with the arguments, which may be a mail address
        record.msg, record.args = f'job {job.get("id")} ({job.get("task_name")}): {getattr(record, "action", "")}', None
        record.job = job.get('id')
        record.__dict__.pop('result', None)
    elif isinstance(record.msg, BaseException):
        record.exc_info = record.exc_info or (type(record.msg), record.msg, record.msg.__traceback__)
        record.msg, record.args = type(record.msg).__name__, None
    elif record.name.split('.')[0] not in OURS:
        record.msg, record.args = _PRIVATE.sub('…', str(record.msg).split('\n')[0][:200]), None
    if isinstance(record.args, tuple):
        record.args = tuple(type(arg).__name__ if isinstance(arg, BaseException) else arg for arg in record.args)
    if record.exc_info is True:
        record.exc_info = sys.exc_info()
    record.stack_info = record.exc_text = None  # another handler may have written the words of the exception there
    record.request = request_id.get()
    return True


def what_happened(exc_info: Any) -> str:
    """Types and places of an exception and of those behind it, the first cause last; none of their words."""
    error: BaseException | None = exc_info[1]
    parts: list[str] = []
    while error is not None and len(parts) < 8:
        parts.append('\n'.join([_type(error), *_places(error.__traceback__)]))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return '\nbecause of '.join(parts)


def _type(error: BaseException) -> str:
    orig = getattr(error, 'orig', None) or error
    state = getattr(orig, 'sqlstate', None)
    constraint = getattr(getattr(orig, 'diag', None), 'constraint_name', None)
    number = getattr(error, 'errno', None)
    more = ' '.join(str(word) for word in (state, constraint, number) if word)
    return f'{type(error).__module__}.{type(error).__qualname__}' + (f' ({more})' if more else '')


def _places(traceback: TracebackType | None) -> Iterator[str]:
    for frame in extract_tb(traceback)[-30:]:
        name = re.sub(r'^.*/(?=site-packages/|portal/|tests/|lib/)', '', frame.filename)
        yield f'  {name}:{frame.lineno} {frame.name}'


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__('%(asctime)s %(levelname)s %(name)s %(message)s%(of_request)s')

    def formatException(self, ei: Any) -> str:
        return what_happened(ei)

    def format(self, record: logging.LogRecord) -> str:
        request = getattr(record, 'request', '')
        record.of_request = f' [{request}]' if request else ''
        return super().format(record).replace('\n', '\n    ')  # a line that begins at the margin is a record


class _Json(JsonFormatter):
    def __init__(self) -> None:
        super().__init__(
            [*FIELDS, 'message'], rename_fields=FIELDS, json_ensure_ascii=False, datefmt='%Y-%m-%dT%H:%M:%S%z',
            reserved_attrs={*logging.LogRecord('', 0, '', 0, '', None, None).__dict__, 'taskName', 'message', 'of_request', 'color_message',
                            'websocket', 'asctime'},
        )  # fmt: skip

    def formatException(self, ei: Any) -> str:
        return what_happened(ei)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Of what libraries add to their records, nothing: only what we know."""
        known = {'time', 'level', 'logger', 'message', 'exc_info', 'request', 'number', 'job', 'action'}
        return {name: value for name, value in log_data.items() if name in known and value not in ('', None)}
