// Verifies a token with jose: verify.mjs TOKEN JWKS_FILE ISSUER AUDIENCE
// Prints the claims as JSON and exits 0, or exits 1 with a reason.

import { readFile } from 'node:fs/promises';
import { createLocalJWKSet, jwtVerify } from 'jose';

const [token, jwksFile, issuer, audience] = process.argv.slice(2);

try {
  const keys = createLocalJWKSet(JSON.parse(await readFile(jwksFile, 'utf8')));
  const { payload } = await jwtVerify(token, keys, {
    issuer,
    audience,
    algorithms: ['ES256', 'EdDSA', 'RS256'],
    typ: 'JWT',
    clockTolerance: 30,
    requiredClaims: ['iss', 'aud', 'sub', 'iat', 'nbf', 'exp', 'jti'],
  });
  console.log(JSON.stringify(payload));
} catch (error) {
  console.error(`${error.code ?? error.name}: ${error.message}`);
  process.exitCode = 1;
}
