"""An identity provider that answers as it is told, on a socket of its own: what no certified one would say."""

import base64
import hashlib
import hmac
import json
import threading
import time
from typing import Any

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEY, OTHER_KEY = RSAKey.generate_key(2048, {'kid': '1'}), RSAKey.generate_key(2048, {'kid': '1'})


def _plain(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b'=').decode()


class Hostile:
    def __init__(self) -> None:
        self.calm()
        app = Starlette(routes=[
            Route('/.well-known/openid-configuration', self._metadata), Route('/keys', self._keys),
            Route('/token', self._token, methods=['POST']), Route('/elsewhere', self._metadata),
        ])  # fmt: skip
        self.server = uvicorn.Server(uvicorn.Config(app, host='127.0.0.1', port=0, log_level='critical'))
        threading.Thread(target=self.server.run, daemon=True).start()
        while not self.server.started:
            time.sleep(0.01)
        self.issuer = f'http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}'

    def calm(self) -> None:
        """As a good one."""
        self.claims: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.answer: Response | None = None  # to everything
        self.how, self.key = 'RS256', KEY
        self.asked: list[dict[str, str]] = []

    async def _metadata(self, _request: Request) -> Response:
        return self.answer or JSONResponse({
            'issuer': self.issuer, 'authorization_endpoint': f'{self.issuer}/authorize', 'token_endpoint': f'{self.issuer}/token',
            'jwks_uri': f'{self.issuer}/keys', 'response_types_supported': ['code'], 'code_challenge_methods_supported': ['S256'],
            'id_token_signing_alg_values_supported': ['RS256'], 'authorization_response_iss_parameter_supported': True,
            **self.metadata,
        })  # fmt: skip

    async def _keys(self, _request: Request) -> Response:
        return JSONResponse({'keys': [KEY.as_dict(private=False)]})

    async def _token(self, request: Request) -> Response:
        self.asked.append({**dict(await request.form()), 'authorization': request.headers.get('authorization', '')})  # type: ignore[dict-item]
        return JSONResponse({'access_token': 'a', 'token_type': 'Bearer', 'id_token': self.token()})

    def token(self) -> str:
        now = int(time.time())
        claims = {'iss': self.issuer, 'aud': 'portal', 'sub': 's-1', 'iat': now, 'exp': now + 300, **self.claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        match self.how:
            case 'none':
                return f'{_plain({"alg": "none"})}.{_plain(claims)}.'
            case 'HS256':  # with the public key as the secret
                signed = f'{_plain({"alg": "HS256", "kid": "1"})}.{_plain(claims)}'
                return f'{signed}.{_plain(hmac.new(KEY.as_pem(private=False), signed.encode(), hashlib.sha256).digest())}'
            case 'broken':
                return 'not.a.token'
            case _:
                return jwt.encode({'alg': self.how, 'kid': '1'}, claims, self.key)
