"""`python -m portal backup` and `restore`: words for people and an exit status for cron."""

import sys
from argparse import ArgumentParser, Namespace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from portal.backup.errors import NotMade, NotRestored, Unusable
from portal.settings import SHORTEST_BACKUP_KEY, Settings

if TYPE_CHECKING:
    from portal.backup.archive import Manifest

GOOD, FAILED, WITH_GAPS = 0, 1, 3  # exit status


def backup_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        'path',
        nargs='?',
        type=Path,
        metavar='PATH',
        help='a folder, made if it is missing, or a new file that ends with .tar or .sealed; else `backups` in the data folder',
    )
    parser.add_argument(
        '--keep', type=_at_least_one, metavar='N', help='afterwards delete all but the newest N archives in that folder'
    )
    parser.add_argument('--quiet', action='store_true', help='say nothing if all is well')
    _key_option(parser)


def restore_options(parser: ArgumentParser) -> None:
    parser.add_argument('archive', type=Path, metavar='ARCHIVE', help='what `backup` has made')
    parser.add_argument('--check', action='store_true', help='only read the archive and say whether it is whole')
    _key_option(parser)


def backup(settings: Settings, options: Namespace) -> int:
    from portal.backup.making import make
    from portal.db.server import open_cluster

    try:
        key = _key(settings, options)
        cluster = open_cluster(settings, attach=True)
        try:
            made = make(cluster, settings, options.path, keep=options.keep, key=key)
        finally:
            cluster.stop()
    except NotMade as e:
        print(f'No backup was made. {e}', file=sys.stderr)
        return FAILED
    manifest = made.manifest
    if not options.quiet:
        rows = sum(manifest.tables.values())
        print(f'{made.path}: {_size(made.size)}, rows: {rows}, files: {manifest.files}{", encrypted" if key else ""}.')
        for path in made.pruned:
            print(f'{path} was deleted.')
    total = manifest.files + len(manifest.missing)
    for what, names in (('are missing on the disk', manifest.missing), ('are not what their rows say', manifest.damaged)):
        if names:
            print(f'The backup was made, but {len(names)} of {total} files {what}, such as {names[0]}.', file=sys.stderr)
    return WITH_GAPS if manifest.missing or manifest.damaged else GOOD


def restore(settings: Settings, options: Namespace) -> int:
    from portal.backup import archive, restoring

    try:
        key = _key(settings, options)
        if options.check:
            manifest = archive.verified(options.archive, key)
            print(f'The archive is whole: {_about(manifest)}.')
            return GOOD
        restored = restoring.restore(options.archive, settings, key=key)
    except (Unusable, NotRestored, NotMade) as e:
        print(e, file=sys.stderr)
        return FAILED
    print(f'Restored: {_about(restored.manifest)}.')
    if restored.upgraded:
        print('The database was brought to the version of this portal.')
    if restored.other_key:
        print('The secret key is not the one of the backup: links in letters that were sent before do not work any more.')
    if restored.letters:
        print(f'Letters that were waiting, and are sent when the portal starts: {restored.letters}.')
    missing = restored.manifest.missing + restored.manifest.damaged
    if missing:
        words = 'Files that were missing or damaged when the backup was made'
        print(f'{words}: {len(missing)}, such as {missing[0]}.', file=sys.stderr)
    return WITH_GAPS if missing else GOOD


def _about(manifest: 'Manifest') -> str:
    rows, made = sum(manifest.tables.values()), datetime.fromisoformat(manifest.made_at)
    return f'made {made:%Y-%m-%d %H:%M} UTC by portal {manifest.portal}, rows: {rows}, files: {manifest.files}'


def _key_option(parser: ArgumentParser) -> None:
    parser.add_argument(
        '--key-file', type=Path, metavar='FILE', help='encrypt or open with what stands in it, not PORTAL_BACKUP_KEY'
    )


def _key(settings: Settings, options: Namespace) -> str | None:
    if options.key_file is None:
        return settings.backup_key
    try:
        key = options.key_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as e:
        raise NotMade(
            f'The key file {options.key_file} cannot be read: {getattr(e, "strerror", None) or "it is no text"}.'
        ) from None
    if len(key) < SHORTEST_BACKUP_KEY:
        raise NotMade(f'The key file {options.key_file} must hold at least {SHORTEST_BACKUP_KEY} characters.')
    return key


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _size(number: int) -> str:
    return f'{number / 1e9:.1f} GB' if number >= 1e9 else f'{number / 1e6:.1f} MB'
