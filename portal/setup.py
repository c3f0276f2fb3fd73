"""The first start: a one-time code from the console, with which somebody makes the MSP and its admin."""

import base64
import hashlib
import hmac

import psycopg

from portal.db.server import Cluster
from portal.settings import Settings


def code(settings: Settings) -> str:
    """Eight signs. The same for every process of a portal; worth nothing once there is a tenant."""
    digest = hmac.digest(settings.secret, b'first start', hashlib.sha256)
    word = base64.b32encode(digest)[:8].decode()
    return f'{word[:4]}-{word[4:]}'


def is_code(settings: Settings, typed: str) -> bool:
    plain = typed.strip().upper().replace('-', '').replace(' ', '')
    return hmac.compare_digest(plain.encode(), code(settings).replace('-', '').encode())


def code_if_open(cluster: Cluster, settings: Settings) -> str | None:
    """None when the portal is set up already."""
    with psycopg.connect(cluster.conninfo('portal_door')) as connection:
        row = connection.execute('select app.any_tenant()').fetchone()
    return None if row and row[0] else code(settings)
