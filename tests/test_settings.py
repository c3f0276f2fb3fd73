from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from portal.settings import SETTINGS, Smtp, WrongSetting, as_found, load, secret


def test_nothing_set_listens_on_loopback_and_keeps_everything_in_one_folder():
    settings = load({})
    assert (settings.origin, settings.secure) == ('http://127.0.0.1:8080', False)
    assert settings.data == Path('.portal').absolute()
    assert (settings.database_url, settings.smtp, settings.tenant, settings.demo) == (None, None, None, False)


def test_every_setting_says_what_it_is_for():
    assert all(setting.purpose.endswith('.') for setting in SETTINGS)
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)


def test_a_name_with_a_slip_is_refused_with_the_one_that_was_meant():
    with pytest.raises(WrongSetting, match=r'PORTAL_SMTP_ULR is no setting of the portal: did you mean PORTAL_SMTP_URL\?'):
        load({'PORTAL_SMTP_ULR': 'smtp://mail'})
    with pytest.raises(WrongSetting, match=r'PORTAL_XYZZY is no setting of the portal\.'):
        load({'PORTAL_XYZZY': ''})


def test_an_empty_value_counts_as_not_set():
    assert load({setting.name: '' for setting in SETTINGS}) == load({})


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('PORTAL_PORT', 'http'),
        ('PORTAL_PORT', '0'),
        ('PORTAL_PORT', '70000'),
        ('PORTAL_PORT', '٨٠'),
        ('PORTAL_POOL_SIZE', '0'),
        ('PORTAL_DEMO', 'maybe'),
        ('PORTAL_LOG_LEVEL', 'loud'),
        ('PORTAL_LOG_FORMAT', 'xml'),
        ('PORTAL_TRUSTED_PROXIES', '10.0.0.0/33'),
        ('PORTAL_TRUSTED_PROXIES', 'proxy.example.com'),
        ('PORTAL_METRICS_TOKEN', 'x' * 15),
        ('PORTAL_SECRET_KEY', 'x' * 31),
        ('PORTAL_MAIL_FROM', 'nobody'),
        ('PORTAL_URL', 'portal.example.com'),
        ('PORTAL_URL', 'https://portal.example.com/support'),
        ('PORTAL_URL', 'http://portal.example.com'),
        ('PORTAL_SMTP_URL', 'mail.example.com'),
        ('PORTAL_SMTP_URL', 'https://mail.example.com'),
        ('PORTAL_SMTP_URL', 'smtp://mail.example.com:99999'),
        ('DATABASE_URL', 'mysql://localhost/portal'),
        ('DATABASE_URL', 'sqlite:///portal.db'),
        ('PORTAL_HOST', '0.0.0.0'),
        ('PORTAL_HOST', 'portal.example.com'),
    ],
)
def test_a_wrong_value_is_refused_by_name_in_one_sentence(name: str, value: str):
    with pytest.raises(WrongSetting) as refusal:
        load({name: value})
    said = str(refusal.value)
    assert said.startswith(name)
    assert said.endswith('.')
    assert '\n' not in said


def test_a_refusal_does_not_repeat_what_may_be_a_secret():
    with pytest.raises(WrongSetting) as refusal:
        load({'DATABASE_URL': 'mysql://portal:hunter2@localhost/portal'})
    assert 'hunter2' not in str(refusal.value)


def test_secrets_do_not_show_in_a_log():
    settings = load(
        {
            'PORTAL_SECRET_KEY': 'hunter2-' * 4,
            'DATABASE_URL': 'postgresql://portal:hunter2@db/portal',
            'PORTAL_SMTP_URL': 'smtps://portal:hunter2@mail/',
            'PORTAL_DEMO_PASSWORD': 'hunter2',
            'PORTAL_METRICS_TOKEN': 'hunter2-hunter2-',
        }
    )
    assert 'hunter2' not in repr(settings)


def test_what_is_set_is_shown_without_secrets():
    env = {'PORTAL_SECRET_KEY': 'hunter2-' * 4, 'PORTAL_PORT': '9000', 'PORTAL_SMTP_URL': 'smtps://portal:hunter2@mail/'}
    lines = as_found(load(env), env).splitlines()
    assert [line.split()[0] for line in lines] == [setting.name for setting in SETTINGS]
    assert 'hunter2' not in '\n'.join(lines)
    assert any(line.split() == ['PORTAL_PORT', '9000'] for line in lines)


def test_behind_a_proxy_with_tls_the_browser_sees_the_public_address():
    settings = load({'PORTAL_HOST': '0.0.0.0', 'PORTAL_URL': 'https://Portal.Example.com/'})
    assert (settings.origin, settings.secure) == ('https://portal.example.com', True)


@pytest.mark.parametrize(
    ('host', 'origin'),
    [
        ('localhost', 'http://127.0.0.1:8080'),
        ('::1', 'http://[::1]:8080'),
        ('127.0.0.2', 'http://127.0.0.2:8080'),
    ],
)
def test_loopback_has_several_names(host: str, origin: str):
    assert load({'PORTAL_HOST': host}).origin == origin


class TestDemo:
    def test_has_a_folder_of_its_own(self):
        assert load({'PORTAL_DEMO': '1', 'PORTAL_DATA_DIR': '/srv/portal'}).data == Path('/srv/portal/demo')

    @pytest.mark.parametrize('host', ['0.0.0.0', '192.168.1.5', 'portal.example.com'])
    def test_stays_on_loopback(self, host: str):
        with pytest.raises(WrongSetting, match='PORTAL_DEMO needs a loopback PORTAL_HOST'):
            load({'PORTAL_DEMO': '1', 'PORTAL_HOST': host, 'PORTAL_URL': 'https://portal.example.com'})

    def test_is_not_published_with_the_password_from_the_manual(self):
        public = {'PORTAL_DEMO': '1', 'PORTAL_URL': 'https://portal.example.com'}
        with pytest.raises(WrongSetting, match='PORTAL_DEMO_PASSWORD'):
            load(public)
        assert load({**public, 'PORTAL_DEMO_PASSWORD': 'something of our own'}).demo


@pytest.mark.parametrize(
    ('url', 'server'),
    [
        ('smtp://mail.example.com', Smtp('mail.example.com', 25)),
        ('smtp+starttls://ada%40acme.test:p%3Aw@mail:2525', Smtp('mail', 2525, 'ada@acme.test', 'p:w', 'starttls')),
        ('smtps://ada:pw@mail', Smtp('mail', 465, 'ada', 'pw', 'tls')),
    ],
)
def test_mail_server(url: str, server: Smtp):
    assert load({'PORTAL_SMTP_URL': url}).smtp == server


class TestSecret:
    def test_is_the_one_given(self, tmp_path: Path):
        settings = load({'PORTAL_SECRET_KEY': 's' * 32, 'PORTAL_DATA_DIR': str(tmp_path / 'data')})
        assert settings.secret == b's' * 32
        assert not (tmp_path / 'data').exists()

    def test_is_made_once_and_closed_to_others(self, tmp_path: Path):
        settings = load({'PORTAL_DATA_DIR': str(tmp_path / 'data')})
        assert secret(settings) == secret(settings)
        assert len(secret(settings)) >= 32
        assert (tmp_path / 'data/secret.key').stat().st_mode & 0o777 == 0o600

    def test_is_the_same_for_portals_that_start_at_once(self, tmp_path: Path):
        settings = load({'PORTAL_DATA_DIR': str(tmp_path)})
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(secret, [settings] * 32))) == 1
        assert [path.name for path in tmp_path.iterdir()] == ['secret.key']

    def test_damaged_is_not_replaced_silently(self, tmp_path: Path):
        (tmp_path / 'secret.key').write_text('')
        with pytest.raises(WrongSetting, match='damaged'):
            secret(load({'PORTAL_DATA_DIR': str(tmp_path)}))

    def test_cannot_be_kept_where_no_folder_can_be(self, tmp_path: Path):
        (tmp_path / 'file').touch()
        with pytest.raises(WrongSetting, match='PORTAL_DATA_DIR'):
            secret(load({'PORTAL_DATA_DIR': str(tmp_path / 'file')}))
