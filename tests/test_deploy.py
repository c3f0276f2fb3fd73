"""What operators copy: it names settings that there are, starts what is there, and its own tools take it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from portal.settings import SETTINGS, load
from tests.image import instructions

ROOT = Path(__file__).parent.parent
FILES = [
    'Dockerfile',
    'compose.yaml',
    'deploy/env.example',
    'deploy/portal.service',
    'deploy/portal-backup.service',
    'deploy/Caddyfile',
]


@pytest.mark.parametrize('name', FILES)
def test_it_names_settings_that_there_are(name: str) -> None:
    named = set(re.findall(r'\b(?:PORTAL_[A-Z_]+|DATABASE_URL)\b', (ROOT / name).read_text()))
    assert named <= {setting.name for setting in SETTINGS}


def test_the_image_takes_what_is_there_and_everything_that_is_needed() -> None:
    steps = instructions()
    copied = [word for name, rest in steps if name == 'COPY' and not rest.startswith('--') for word in rest.split()[:-1]]
    assert {'app.py', 'portal', 'locales', 'requirements.lock'} <= set(copied)
    kept = (ROOT / '.dockerignore').read_text()
    for source in copied:
        assert (ROOT / source).exists()
        assert f'!{source}\n' in kept
    assert any(name == 'RUN' and '--require-hashes' in rest for name, rest in steps)
    assert [rest for name, rest in steps if name == 'USER'] == ['10001']


def test_the_settings_of_compose_are_taken() -> None:
    """As docker compose puts them together, with what env.example asks for filled in."""
    example = dict(
        line.split('=', 1) for line in (ROOT / 'deploy/env.example').read_text().splitlines() if line and line[0] != '#'
    )
    filled = {**example, 'POSTGRES_PASSWORD': 'ab' * 32, 'PORTAL_SECRET_KEY': 'cd' * 32}
    portal = (ROOT / 'compose.yaml').read_text().split('\n  portal:\n')[1].split('\n  database:\n')[0]
    pairs = re.findall(r'^      ((?:PORTAL_|DATABASE_)\w+): (.+)$', portal, re.MULTILINE)
    given = {name: re.sub(r'\$\{(\w+)[^}]*\}', lambda found: filled[found[1]], value) for name, value in pairs}
    image = dict(pair.split('=', 1) for name, rest in instructions() if name == 'ENV' for pair in rest.split())
    settings = load({**image, **filled, **given})
    assert settings.url == 'https://portal.example.com'
    assert settings.database_url == f'postgresql://portal:{"ab" * 32}@database:5432/portal'
    subnet = re.search(r'subnet: (\S+?)\}', (ROOT / 'compose.yaml').read_text())
    assert subnet
    assert [str(network) for network in settings.trusted_proxies] == [subnet[1]]
    assert (settings.smtp, settings.metrics_token) == (None, None)


@pytest.mark.skipif(not shutil.which('caddy'), reason='caddy is not installed here')
def test_caddy_takes_its_file() -> None:
    command = ['caddy', 'validate', '--adapter', 'caddyfile', '--config', str(ROOT / 'deploy/Caddyfile')]
    subprocess.run(
        command, env={'DOMAIN': 'portal.example.com', 'PATH': '/usr/bin:/bin', 'HOME': '/tmp'}, check=True, capture_output=True
    )


@pytest.mark.skipif(not shutil.which('systemd-analyze'), reason='systemd is not installed here')
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / 'portal.service'
    unit.write_text((ROOT / 'deploy/portal.service').read_text().replace('/opt/portal/.venv/bin/python', '/bin/true'))
    done = subprocess.run(['systemd-analyze', 'verify', '--man=no', str(unit)], capture_output=True, text=True)
    assert 'portal.service' not in done.stderr, done.stderr


def test_the_nightly_backup_is_of_the_portal_that_runs() -> None:
    portal, backup = ((ROOT / 'deploy' / name).read_text() for name in ('portal.service', 'portal-backup.service'))
    for setting in ('User', 'WorkingDirectory', 'EnvironmentFile', 'Environment=PORTAL_DATA_DIR'):
        (line,) = re.findall(rf'^{setting}=\S+', portal, re.MULTILINE)
        assert line in backup
