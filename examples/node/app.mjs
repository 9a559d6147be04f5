// An application behind wxgate that trusts nothing but the signed token.
//
//     npm install
//     WXGATE_ISSUER=https://www.example.com WXGATE_AUDIENCE=www.example.com node app.mjs

import { createServer } from 'node:http';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const issuer = process.env.WXGATE_ISSUER ?? 'http://127.0.0.1:9500';
const audience = process.env.WXGATE_AUDIENCE ?? '127.0.0.1';
const jwksUrl = process.env.WXGATE_JWKS_URL ?? 'http://127.0.0.1:9500/_wxgate/jwks';
const port = Number(process.env.PORT ?? 8080);

// Keeps the key set for five minutes, and fetches it once more for a `kid` it does not know, at most every ten seconds.
const keys = createRemoteJWKSet(new URL(jwksUrl), {
  cacheMaxAge: 300_000,
  cooldownDuration: 10_000,
  timeoutDuration: 3_000,
});

async function claimsOf(request) {
  const token = request.headers['x-wxgate-jwt-assertion'] ?? '';
  const { payload } = await jwtVerify(token, keys, {
    issuer,
    audience,
    algorithms: ['ES256', 'EdDSA', 'RS256'],
    clockTolerance: 30,
    requiredClaims: ['exp', 'sub'],
  });
  return payload;
}

createServer(async (request, response) => {
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.setHeader('Cache-Control', 'no-store');
  try {
    const { openid } = await claimsOf(request);
    response.end(`Hello ${openid}\n`);
  } catch (error) {
    console.warn(`token refused: ${error.code ?? error.message}`);
    response.statusCode = 401;
    response.end('Who are you?\n');
  }
}).listen(port, '127.0.0.1');
