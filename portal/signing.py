"""Whatever the portal signs for its way through a browser or a letter: one key, SHA-256, and a salt for each use."""

import hashlib

from itsdangerous import BadData, URLSafeTimedSerializer

from portal.settings import Settings

__all__ = ['BadData', 'Signer', 'signer']
Signer = URLSafeTimedSerializer


def signer(settings: Settings, salt: str) -> Signer:
    """What is signed with one salt counts with no other."""
    return URLSafeTimedSerializer(settings.secret, salt=salt, signer_kwargs={'digest_method': hashlib.sha256})
