"""The portal in a process of its own, on the test server's database: `python -m tests.serve DATABASE PORT`."""

import sys
from dataclasses import replace

import uvicorn

import app
from portal.db import server
from tests.conftest import test_settings


def main() -> None:
    database, port = sys.argv[1:3]
    more = dict(pair.split('=', 1) for pair in sys.argv[3:])
    settings = test_settings(PORTAL_PORT=port, **more)
    cluster = replace(server.open_cluster(settings, attach=True, fast_and_loose=True), database=database)
    uvicorn.run(app.build(cluster, settings, stop_cluster=False), port=int(port), log_level='warning', access_log=False)


if __name__ == '__main__':
    main()
