"""Who runs PostgreSQL. It refuses root, so a portal that runs as root gives it an unprivileged account."""

import errno
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from portal.db.errors import CannotStart

REFUSED = 'PostgreSQL refuses to run as root: start the portal as an ordinary user, or set DATABASE_URL.'
USUAL = ('embedded_postgres', 'postgres', 'nobody')


class ForSubprocess(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """None: our own."""

    uid: int | None = None
    gid: int | None = None

    @property
    def for_subprocess(self) -> ForSubprocess:
        return {} if self.uid is None or self.gid is None else {'user': self.uid, 'group': self.gid, 'extra_groups': []}

    def own(self, *paths: Path) -> None:
        if self.uid is not None and self.gid is not None:
            for path in paths:
                os.chown(path, self.uid, self.gid)

    def can_enter(self, folder: Path) -> bool:
        return self.can_run('test', '-x', folder)  # asked of the system, which also knows about access lists

    def can_run(self, program: str | Path, *arguments: str | Path) -> bool:
        """Whether it ends well. True without a try where the account is our own."""
        if self.uid is None:
            return True
        try:
            command = [str(program), *map(str, arguments)]
            return subprocess.run(command, cwd='/', capture_output=True, **self.for_subprocess).returncode == 0
        except OSError as e:
            if e.errno == errno.EPERM:  # not about the program: no right to change accounts, as in some containers
                raise CannotStart(REFUSED) from e
            return False


def account_for(pgdata: Path) -> Account:
    """Our own, or as root that of the cluster, or the first of the usual ones."""
    if os.geteuid() != 0:
        return Account()
    if pgdata.exists() and (owner := pgdata.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in USUAL:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise CannotStart(REFUSED)
