"""Keeps the database of a release, with the cast in it, for the test that brings it to the present.

    python -m tests.releases.make COMMIT VERSION

Everything is done by the code of that commit, in a folder of its own. The script needs git and the packages of `.venv`; it is run
once for a release, when it is made, and the file is committed.
"""

import gzip
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BY_THE_OLD_CODE = """
import subprocess, sys
from portal import settings
from portal.db import cast, migrate, server
found = settings.load({'PORTAL_DATA_DIR': sys.argv[1], 'PORTAL_SECRET_KEY': 'a-secret-for-tests-that-is-long-enough'})
cluster = server.open_cluster(found, fast_and_loose=True)
try:
    migrate.upgrade(cluster)
    cast.make(cluster.admin())
    dump = [cluster.programs / 'pg_dump', '--inserts', '--rows-per-insert=200', '--dbname', cluster.admin()]
    sys.stdout.buffer.write(subprocess.run(dump, check=True, stdout=subprocess.PIPE).stdout)
finally:
    cluster.stop()
"""
#: Of newer servers and of psql: older servers and a driver do not know them.
NOT_FOR_ALL = ('\\restrict', '\\unrestrict', 'SET transaction_timeout')


def main(commit: str, release: str) -> None:
    with tempfile.TemporaryDirectory(prefix='release-') as folder:
        code = Path(folder) / 'code'
        code.mkdir()
        archive = subprocess.run(['git', 'archive', commit], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(['tar', '-x', '-C', str(code)], input=archive, check=True)
        command = [sys.executable, '-c', BY_THE_OLD_CODE, str(Path(folder) / 'data')]
        dump = subprocess.run(command, cwd=code, check=True, stdout=subprocess.PIPE).stdout.decode()
    lines = [line for line in dump.splitlines() if not line.startswith(NOT_FOR_ALL)]
    target = HERE / f'{release}.sql.gz'
    target.write_bytes(gzip.compress('\n'.join(lines).encode(), mtime=0))
    print(f'{target.relative_to(ROOT)}: {target.stat().st_size} bytes')


if __name__ == '__main__':
    main(*sys.argv[1:])
