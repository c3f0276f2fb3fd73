"""Where a form may lead, and what is taken from it."""

import pytest

from portal.pages.auth.forms import local_path, next_for, plain_email

ELSEWHERE = [
    'https://evil.example/msp', '//evil.example/msp', '/\\evil.example', '\\\\evil.example', '/msp\\..\\x', 'msp/queue', '',
    'javascript:alert(1)', '/\t/evil.example', '\t//evil.example', ' /msp', '/msp\r\nset-cookie: a=b', '/msp\x00', '/%2f/evil.example',
    '/%5cevil.example', '/msp/../../evil', '/msp/%2e%2e/auth/signout', '/msp/./x', '/\u2028/evil.example', '/' + 'a' * 2001,
]  # fmt: skip


@pytest.mark.parametrize('address', ELSEWHERE)
def test_nobody_is_led_elsewhere(address: str) -> None:
    assert local_path(address) is None
    assert next_for('staff', address) is None
    assert next_for('client', address) is None


@pytest.mark.parametrize('address', ['/msp', '/msp/queue?status=open#top', '/msp/tickets/T-1001?from=https://x.example/'])
def test_staff_go_to_a_page_of_theirs(address: str) -> None:
    assert next_for('staff', address) == address
    assert next_for('client', address) is None


@pytest.mark.parametrize('address', ['/client-portal/acme/tickets', '/client-portal'])
def test_clients_go_to_a_page_of_theirs(address: str) -> None:
    assert next_for('client', address) == address
    assert next_for('staff', address) is None


@pytest.mark.parametrize('address', ['/mspx', '/client-portals/acme', '/auth/signout', '/', '/healthz', None])
def test_only_pages_of_a_side_come_next(address: str | None) -> None:
    assert next_for('staff', address) is None
    assert next_for('client', address) is None


def test_addresses_are_compared_as_they_are_kept() -> None:
    assert plain_email('  Ada@ACME.example ') == 'ada@acme.example'
    assert plain_email('ａda@acme.example') == 'ada@acme.example'
    assert len(plain_email('a' * 500)) == 254
