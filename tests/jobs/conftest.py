"""See tests/workers.py."""

from tests import workers

own, maintenance, database, post, working, outbox = workers.FIXTURES
