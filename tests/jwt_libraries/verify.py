"""Verifies a token with PyJWT.

verify.py TOKEN JWKS_FILE ISSUER AUDIENCE
Prints the claims as JSON and exits 0, or exits 1 with a reason.
"""

import json
import sys

import jwt


def verify(token, jwks_file, issuer, audience):
    with open(jwks_file, encoding="utf-8") as file:
        keys = jwt.PyJWKSet.from_json(file.read())
    kid = jwt.get_unverified_header(token).get("kid")
    # The key carries its algorithm, and PyJWT refuses a token that names another one.
    return jwt.decode(
        token,
        keys[kid],
        algorithms=["ES256", "EdDSA", "RS256"],
        issuer=issuer,
        audience=audience,
        leeway=30,
        options={"require": ["iss", "aud", "sub", "iat", "nbf", "exp", "jti"]},
    )


if __name__ == "__main__":
    try:
        print(json.dumps(verify(*sys.argv[1:])))
    except KeyError as error:
        sys.exit(f"no such key: {error}")
    except (jwt.PyJWTError, OSError, TypeError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
