"""Numbers for Prometheus, at /metrics: of the whole installation, for whoever runs it. Off unless PORTAL_METRICS_TOKEN is set.

Labels are routes, statuses and roles: never an address, a name or an id.
"""

import platform
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from starlette.types import Message, Scope, Send

from portal import __version__

registry = CollectorRegistry()
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

requests = Counter('portal_requests', 'HTTP requests', ['route', 'status'], registry=registry)
request_time = Histogram('portal_request_seconds', 'Until the answer began', ['route'], buckets=_SECONDS, registry=registry)
event_time = Histogram(
    'portal_event_seconds', 'What somebody did on an open page, until done', buckets=_SECONDS, registry=registry
)

pages = Gauge('portal_open_pages', 'Pages in memory', registry=registry)
sockets = Gauge('portal_open_sockets', 'Pages whose browser is connected', registry=registry)
subscriptions = Gauge('portal_subscriptions', 'Screens that wait for news', registry=registry)
pool = Gauge('portal_pool_connections', 'Database connections', ['role', 'state'], registry=registry)
disk = Gauge('portal_disk_free_bytes', 'Free on the disk of the data folder', registry=registry)
database_up = Gauge('portal_database_up', 'Whether the database answered within two seconds', registry=registry)
build = Info('portal_build', 'What runs', registry=registry)
build.info({'version': __version__, 'python': platform.python_version()})

#: From `app.gauges()`; what is not known is not shown.
FROM_DATABASE = {
    'jobs_waiting': Gauge('portal_jobs_waiting', 'Jobs that wait', registry=registry),
    'jobs_failed': Gauge('portal_jobs_failed', 'Jobs that failed for good', registry=registry),
    'letters_stuck': Gauge('portal_letters_stuck', 'Letters that wait for more than 15 minutes', registry=registry),
    'letters_failed': Gauge('portal_letters_failed', 'Letters that failed for good', registry=registry),
    'last_backup': Gauge('portal_last_backup_timestamp_seconds', 'When the last backup was made', registry=registry),
    'worker_silence': Gauge('portal_worker_silence_seconds', 'Since a worker was last heard of', registry=registry),
    'database_bytes': Gauge('portal_database_bytes', 'Size of the database', registry=registry),
}


class Counted:
    """Watches one answer go out. The route is known only when it does."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope, self.forward, self.began = scope, send, time.perf_counter()

    async def send(self, message: Message) -> None:
        if message['type'] == 'http.response.start':
            route = route_of(self.scope)
            requests.labels(route, message['status']).inc()
            request_time.labels(route).observe(time.perf_counter() - self.began)
        await self.forward(message)


_ROUTES = ('/static/', '/_nicegui/', '/_nicegui_ws/')
_PLAIN = {'/', '/healthz', '/readyz', '/metrics', '/robots.txt', '/favicon.ico', '/language', '/setup'}


def route_of(scope: Scope) -> str:
    """The template of the route, of which there are few; whatever else somebody asks for is 'other'."""
    path: str = scope['path']
    for prefix in _ROUTES:
        if path.startswith(prefix):
            return prefix + '…'
    if path in _PLAIN:
        return path
    if path == '/msp' or path.startswith('/msp/'):
        return '/msp/…'
    if path.startswith('/client-portal/'):
        return '/client-portal/…'
    route = scope.get('route')
    return getattr(route, 'path', 'other') if route is not None and path.startswith(('/auth/', '/me/')) else 'other'
