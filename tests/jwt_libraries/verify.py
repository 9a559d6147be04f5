"""Verifies tokens with PyJWT.

verify.py KEYS ISSUER AUDIENCE

KEYS is a file: a key set, or a secret for HS256 when its name ends with `.secret`.
Reads tokens from standard input, one a line. Prints a line for each: {"claims": ...} or {"refused": reason}.
"""

import json
import sys

import jwt


def main(keys_file, issuer, audience):
    with open(keys_file, encoding="utf-8") as file:
        text = file.read()
    keys = None if keys_file.endswith(".secret") else jwt.PyJWKSet.from_json(text)
    for line in sys.stdin:
        token = line.strip()
        try:
            if keys is None:
                key, algorithms = text.strip(), ["HS256"]
            else:
                # The key carries its algorithm, and PyJWT refuses a token that names another one.
                key = keys[jwt.get_unverified_header(token).get("kid")]
                algorithms = ["ES256", "EdDSA", "RS256"]
            claims = jwt.decode(
                token,
                key,
                algorithms=algorithms,
                issuer=issuer,
                audience=audience,
                leeway=30,
                options={"require": ["iss", "aud", "sub", "iat", "nbf", "exp", "jti"]},
            )
            print(json.dumps({"claims": claims}))
        except KeyError:
            print(json.dumps({"refused": "no key with this kid"}))
        except (jwt.PyJWTError, TypeError) as error:
            print(json.dumps({"refused": f"{type(error).__name__}: {error}"}))


if __name__ == "__main__":
    main(*sys.argv[1:])
