from uuid import UUID

import pytest

from portal import sealing
from portal.domain.base import uuid7
from portal.sealing import CannotUnseal, Place
from portal.settings import WrongSetting, load
from tests import conftest

NEW = 'another secret that is long enough, too'
NOW = conftest.test_settings()
ADA = Place('totp', 'secret', uuid7(), uuid7())


def test_what_was_sealed_for_a_place_opens_there():
    sealed = sealing.seal(NOW, ADA, b'JBSWY3DPEHPK3PXP')
    assert b'JBSWY3DPEHPK3PXP' not in sealed
    assert sealing.unseal(NOW, ADA, sealed) == b'JBSWY3DPEHPK3PXP'
    assert sealing.seal(NOW, ADA, b'JBSWY3DPEHPK3PXP') != sealed


@pytest.mark.parametrize(
    'elsewhere',
    [
        Place('provider', 'secret', ADA.tenant, ADA.id),
        Place('totp', 'name', ADA.tenant, ADA.id),
        Place('totp', 'secret', uuid7(), ADA.id),
        Place('totp', 'secret', ADA.tenant, uuid7()),
        Place('totp', 'secret', UUID(int=0), UUID(int=0)),
    ],
)
def test_moved_to_another_row_column_or_tenant_it_does_not_open(elsewhere: Place):
    sealed = sealing.seal(NOW, ADA, b'secret')
    with pytest.raises(CannotUnseal):
        sealing.unseal(NOW, elsewhere, sealed)


def test_altered_anywhere_it_does_not_open():
    sealed = sealing.seal(NOW, ADA, b'secret')
    for n in range(len(sealed)):
        altered = bytearray(sealed)
        altered[n] ^= 1
        with pytest.raises(CannotUnseal):
            sealing.unseal(NOW, ADA, bytes(altered))
    for cut in (0, 1, 9, 21, len(sealed) - 1):
        with pytest.raises(CannotUnseal):
            sealing.unseal(NOW, ADA, sealed[:cut])


def test_after_a_change_of_the_key_the_old_one_opens_and_the_new_one_seals():
    before = sealing.seal(NOW, ADA, b'secret')
    without = conftest.test_settings(PORTAL_SECRET_KEY=NEW)
    rotated = conftest.test_settings(PORTAL_SECRET_KEY=NEW, PORTAL_OLD_SECRET_KEYS=f'{"x" * 40} {conftest.SECRET}')
    with pytest.raises(CannotUnseal):
        sealing.unseal(without, ADA, before)
    assert sealing.unseal(rotated, ADA, before) == b'secret'
    assert not sealing.is_current(rotated, before)
    anew = sealing.seal(rotated, ADA, b'secret')
    assert sealing.is_current(rotated, anew)
    assert sealing.unseal(without, ADA, anew) == b'secret'
    with pytest.raises(CannotUnseal):
        sealing.unseal(NOW, ADA, anew)


def test_an_old_key_that_is_too_short_is_refused_without_saying_it():
    with pytest.raises(WrongSetting) as wrong:
        load({'PORTAL_OLD_SECRET_KEYS': f'{"y" * 32} hunter2'})
    assert 'PORTAL_OLD_SECRET_KEYS' in str(wrong.value)
    assert 'hunter2' not in str(wrong.value)
