// Verifies tokens with jose.
//
//     node verify.mjs KEYS ISSUER AUDIENCE
//
// KEYS is a file: a key set, or a secret for HS256 when its name ends with `.secret`.
// Reads tokens from standard input, one a line. Prints a line for each: {"claims": ...} or {"refused": reason}.

import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { createLocalJWKSet, jwtVerify } from 'jose';

const [keysFile, issuer, audience] = process.argv.slice(2);
const isSecret = keysFile.endsWith('.secret');
const content = (await readFile(keysFile, 'utf8')).trim();
const keys = isSecret ? new TextEncoder().encode(content) : createLocalJWKSet(JSON.parse(content));

for (const token of (await text(process.stdin)).split('\n').filter((line) => line !== '')) {
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience,
      algorithms: isSecret ? ['HS256'] : ['ES256', 'EdDSA', 'RS256'],
      typ: 'JWT',
      clockTolerance: 30,
      requiredClaims: ['iss', 'aud', 'sub', 'iat', 'nbf', 'exp', 'jti'],
    });
    console.log(JSON.stringify({ claims: payload }));
  } catch (error) {
    console.log(JSON.stringify({ refused: `${error.code ?? error.name}: ${error.message}` }));
  }
}
