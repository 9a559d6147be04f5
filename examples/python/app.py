"""An application behind wxgate that trusts nothing but the signed token.

pip install -r requirements.txt
WXGATE_ISSUER=https://www.example.com WXGATE_AUDIENCE=www.example.com python app.py
"""

import logging
import os
from wsgiref.simple_server import make_server

import jwt

ISSUER = os.environ.get("WXGATE_ISSUER", "http://127.0.0.1:9500")
AUDIENCE = os.environ.get("WXGATE_AUDIENCE", "127.0.0.1")
JWKS_URL = os.environ.get("WXGATE_JWKS_URL", "http://127.0.0.1:9500/_wxgate/jwks")

# One for the whole process: it keeps the key set for five minutes, and fetches it once more for a `kid` it does not know, at
# most every ten seconds.
KEYS = jwt.PyJWKClient(JWKS_URL, lifespan=300, cooldown_duration=10, timeout=3)


def claims_of(environ):
    """The claims of a valid token; raises jwt.PyJWTError otherwise."""
    token = environ.get("HTTP_X_WXGATE_JWT_ASSERTION", "")
    key = KEYS.get_signing_key_from_jwt(token)
    return jwt.decode(
        token,
        key,
        algorithms=["ES256", "EdDSA", "RS256"],
        issuer=ISSUER,
        audience=AUDIENCE,
        leeway=30,
        options={"require": ["iss", "aud", "exp", "sub"]},
    )


def application(environ, start_response):
    try:
        status, text = "200 OK", f"Hello {claims_of(environ)['openid']}\n"
    except jwt.PyJWTError as error:
        # The type only: the text may repeat what somebody forged.
        logging.warning("token refused: %s", type(error).__name__)
        status, text = "401 Unauthorized", "Who are you?\n"
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]
    start_response(status, headers)
    return [text.encode()]


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8080"))
    with make_server("127.0.0.1", port, application) as server:
        server.serve_forever()
