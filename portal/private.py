"""Files and folders that only the portal's own account may read."""

import os
import secrets
import tempfile
from pathlib import Path


def folder(path: Path) -> Path:
    """The folder, made if missing. As root others may pass through it: the private PostgreSQL runs under another account."""
    path.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
    return path


def word(path: Path) -> str:
    """32 random bytes, URL-safe, the same at every call. The file appears whole or not at all, also when two processes ask."""
    if not path.exists():
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}-')  # 0600
        try:
            with os.fdopen(handle, 'w') as file:
                file.write(secrets.token_urlsafe(32))
                file.flush()
                os.fsync(file.fileno())
            path.hardlink_to(draft)
        except FileExistsError:
            pass  # another process was first: its word counts
        finally:
            Path(draft).unlink()
    return path.read_text().strip()
