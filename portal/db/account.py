"""Who runs PostgreSQL. It refuses root, so a portal that runs as root gives it an unprivileged account."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from portal.db.errors import CannotStart

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

    def can(self, what: str, path: Path) -> bool:
        """Whether it may enter or run ('-x'), or read ('-r'). Asked of the system, which also knows about access lists."""
        if self.uid is None:
            return True
        try:
            return subprocess.run(['test', what, str(path)], cwd='/', **self.for_subprocess).returncode == 0
        except (OSError, subprocess.SubprocessError) as e:  # no right to change accounts, as in some containers
            raise CannotStart(
                'PostgreSQL refuses to run as root: start the portal as an ordinary user, or set DATABASE_URL.'
            ) from e


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
    raise CannotStart('PostgreSQL refuses to run as root: start the portal as an ordinary user, or set DATABASE_URL.')
