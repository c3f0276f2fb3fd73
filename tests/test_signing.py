"""What the portal signs."""

import pytest
from itsdangerous import BadSignature, URLSafeTimedSerializer

from portal.settings import Settings
from portal.signing import signer


def test_signed_with_sha_256_and_for_one_use(settings: Settings) -> None:
    token = signer(settings, 'a').dumps('x')
    assert signer(settings, 'a').loads(token) == 'x'
    with pytest.raises(BadSignature):
        signer(settings, 'b').loads(token)
    with pytest.raises(BadSignature):  # by the default of the library, SHA-1
        signer(settings, 'a').loads(URLSafeTimedSerializer(settings.secret, salt='a').dumps('x'))
