"""After a change of the secret key, what was sealed with the old one is brought to the new one."""

from collections.abc import Iterator

import psycopg
import pytest

from portal import sealing
from portal.db import resealing
from portal.db.cast import Cast
from portal.db.server import Cluster
from portal.settings import Settings, load
from tests import conftest
from tests.factors import Phone

NEW = 'another secret that is long enough, too'


def kept(maintenance: str, phone: Phone) -> bytes:
    with psycopg.connect(maintenance) as c:
        (sealed,) = c.execute('select secret from totp where id = %s', (phone.id,)).fetchone() or (b'',)
    return sealed


def opened(settings: Settings, maintenance: str, phone: Phone) -> bytes:
    return sealing.unseal(
        settings, sealing.Place('totp', 'secret', phone.who.tenant_id, phone.id), kept(maintenance, phone)
    )  # fmt: skip


def secrets_of(maintenance: str) -> dict[sealing.Place, bytes]:
    with psycopg.connect(maintenance) as c:
        rows = c.execute('select tenant_id, id, sealed from identity_secret').fetchall()
    return {sealing.Place('identity_secret', 'sealed', tenant, id_): sealed for tenant, id_, sealed in rows}


def keep_secrets(maintenance: str, settings: Settings) -> None:
    """Client secrets of providers, sealed as the portal does; their plain text is their id."""
    with psycopg.connect(maintenance) as c:
        for place in secrets_of(maintenance):
            sealed = sealing.seal(settings, place, str(place.id).encode())
            c.execute('update identity_secret set sealed = %s where id = %s', (sealed, place.id))


@pytest.fixture
def only_these(maintenance: str, settings: Settings, cast: Cast) -> Iterator[None]:
    """What other tests and the cast leave is not sealed with any key."""
    with psycopg.connect(maintenance) as c:
        c.execute('delete from totp')
    keep_secrets(maintenance, settings)
    yield
    with psycopg.connect(maintenance) as c:
        c.execute('delete from totp')
    keep_secrets(maintenance, settings)


@pytest.mark.usefixtures('only_these')
def test_every_tenants_fields_are_sealed_anew(cluster: Cluster, maintenance: str, settings: Settings, cast: Cast) -> None:
    phones = [Phone(maintenance, settings, who) for who in (cast.ada, cast.tess, cast.cleo)]
    rotated = conftest.test_settings(PORTAL_SECRET_KEY=NEW, PORTAL_OLD_SECRET_KEYS=conftest.SECRET)
    providers = secrets_of(maintenance)
    assert len(providers) >= 3
    assert (resealing.reseal(cluster, rotated), resealing.reseal(cluster, rotated)) == (3 + len(providers), 0)
    without = load({'PORTAL_SECRET_KEY': NEW})
    for place, sealed in secrets_of(maintenance).items():
        assert sealing.unseal(without, place, sealed).decode() == str(place.id)
    assert [opened(without, maintenance, phone).decode() for phone in phones] == [phone.secret for phone in phones]
    with psycopg.connect(maintenance) as c:
        assert c.execute("select relforcerowsecurity from pg_class where relname = 'totp'").fetchone() == (True,)


@pytest.mark.usefixtures('only_these')
def test_with_a_key_missing_nothing_changes(cluster: Cluster, maintenance: str, settings: Settings, cast: Cast) -> None:
    phones = [Phone(maintenance, settings, cast.ada), Phone(maintenance, load({'PORTAL_SECRET_KEY': 'x' * 40}), cast.tess)]
    before, secrets = [kept(maintenance, phone) for phone in phones], secrets_of(maintenance)
    with pytest.raises(sealing.CannotUnseal):
        resealing.reseal(cluster, conftest.test_settings(PORTAL_SECRET_KEY=NEW, PORTAL_OLD_SECRET_KEYS=conftest.SECRET))
    assert [kept(maintenance, phone) for phone in phones] == before
    assert secrets_of(maintenance) == secrets
    with psycopg.connect(maintenance) as c:
        assert c.execute("select relforcerowsecurity from pg_class where relname = 'totp'").fetchone() == (True,)


def test_every_sealed_column_is_named(maintenance: str) -> None:
    """A column of bytes that says so in its comment, or is called `secret`, belongs to the list."""
    with psycopg.connect(maintenance) as c:
        found = c.execute("""select table_name, column_name from information_schema.columns
            where table_schema = 'public' and data_type = 'bytea' and column_name ~ 'secret|sealed'""").fetchall()
    assert set(found) == set(resealing.SEALED)
