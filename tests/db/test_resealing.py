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


@pytest.fixture
def only_these(maintenance: str, cast: Cast) -> Iterator[None]:
    """What other tests and the cast leave is not sealed with any key."""
    for ends in (False, True):
        with psycopg.connect(maintenance) as c:
            c.execute('delete from totp')
        if not ends:
            yield


@pytest.mark.usefixtures('only_these')
def test_every_tenants_fields_are_sealed_anew(cluster: Cluster, maintenance: str, settings: Settings, cast: Cast) -> None:
    phones = [Phone(maintenance, settings, who) for who in (cast.ada, cast.tess, cast.cleo)]
    rotated = conftest.test_settings(PORTAL_SECRET_KEY=NEW, PORTAL_OLD_SECRET_KEYS=conftest.SECRET)
    assert (resealing.reseal(cluster, rotated), resealing.reseal(cluster, rotated)) == (3, 0)
    without = load({'PORTAL_SECRET_KEY': NEW})
    assert [opened(without, maintenance, phone).decode() for phone in phones] == [phone.secret for phone in phones]
    with psycopg.connect(maintenance) as c:
        assert c.execute("select relforcerowsecurity from pg_class where relname = 'totp'").fetchone() == (True,)


@pytest.mark.usefixtures('only_these')
def test_with_a_key_missing_nothing_changes(cluster: Cluster, maintenance: str, settings: Settings, cast: Cast) -> None:
    phones = [Phone(maintenance, settings, cast.ada), Phone(maintenance, load({'PORTAL_SECRET_KEY': 'x' * 40}), cast.tess)]
    before = [kept(maintenance, phone) for phone in phones]
    with pytest.raises(sealing.CannotUnseal):
        resealing.reseal(cluster, conftest.test_settings(PORTAL_SECRET_KEY=NEW, PORTAL_OLD_SECRET_KEYS=conftest.SECRET))
    assert [kept(maintenance, phone) for phone in phones] == before
    with psycopg.connect(maintenance) as c:
        assert c.execute("select relforcerowsecurity from pg_class where relname = 'totp'").fetchone() == (True,)


def test_every_sealed_column_is_named(maintenance: str) -> None:
    """A column of bytes that says so in its comment, or is called `secret`, belongs to the list."""
    with psycopg.connect(maintenance) as c:
        found = c.execute("""select table_name, column_name from information_schema.columns
            where table_schema = 'public' and data_type = 'bytea' and column_name ~ 'secret|sealed'""").fetchall()
    assert set(found) == set(resealing.SEALED)
