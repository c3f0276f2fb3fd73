"""How much room there is for what the portal keeps."""

import shutil
from pathlib import Path

LEAST = 200 * 1024**2  # bytes: with less, files and the private database are about to fail


def room(folder: Path) -> tuple[int, int]:
    """Free and total bytes of the disk that holds a folder, or will hold it."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    found = shutil.disk_usage(there)
    return found.free, found.total
