import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { CURFEW_YAML, type Curfew, SECRET, startCurfew } from '../support/curfew.ts';
import { type SignedIn, signedIn } from '../support/records.ts';
import { type RelyingParty, relyingParty } from '../support/relying-party.ts';

const JWT = 'application/token-introspection+jwt';

let curfew: Curfew;
let app: RelyingParty;
let given: SignedIn;

beforeAll(async () => {
  const yaml = CURFEW_YAML.replace(
    '  - client_id: service',
    `  - client_id: modern
    grant_types: [client_credentials]
    introspection_signed_response_alg: ES256
  - client_id: service`,
  );
  curfew = await startCurfew({ yaml });
  await curfew.addAccount('alice');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  given = await signedIn(curfew, app, 'alice');
});
afterAll(() => curfew.close());

const basic = (clientId: string, secret = SECRET) => `Basic ${btoa(`${clientId}:${secret}`)}`;

function ask(parameters: Record<string, string>, headers: Record<string, string>): Promise<Response> {
  return fetch(`${curfew.issuer}/introspect`, { method: 'POST', headers, body: new URLSearchParams(parameters) });
}

async function signedAnswer(clientId: string, token: string) {
  const response = await ask({ token }, { accept: JWT, authorization: basic(clientId) });
  const text = await response.text();
  const keys = createRemoteJWKSet(new URL(`${curfew.issuer}/jwks`));
  const verified = await jwtVerify(text, keys, {
    issuer: curfew.issuer,
    audience: clientId,
    typ: 'token-introspection+jwt',
  });
  return { response, ...verified };
}

describe('a signed introspection response (RFC 9701)', () => {
  it.each([
    ['app', 'RS256'],
    ['modern', 'ES256'],
  ])('is for %s, signed with %s, and says what the plain one says', async (clientId, algorithm) => {
    const token = clientId === 'app' ? given.tokens.access_token : await serviceToken(clientId);
    const plain = await ask({ token }, { authorization: basic(clientId) });
    const { response, payload, protectedHeader } = await signedAnswer(clientId, token);
    expect(response.headers.get('content-type')).toMatch(JWT);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(protectedHeader.alg).toBe(algorithm);
    expect(payload).toEqual({
      iss: curfew.issuer,
      aud: clientId,
      iat: expect.any(Number),
      token_introspection: await plain.json(),
    });
    expect(payload.token_introspection).toMatchObject({ active: true });
  });

  it('says nothing but that, of what is not active', async () => {
    for (const token of ['nonsense', given.sid]) {
      const { payload } = await signedAnswer('app', token);
      expect(payload.token_introspection).toEqual({ active: false });
    }
  });

  it('is plain JSON where nobody asks for a JWT', async () => {
    const response = await ask({ token: 'nonsense' }, { authorization: basic('app'), accept: '*/*' });
    expect(response.headers.get('content-type')).toMatch('application/json');
  });

  it('is no access token, and nothing that is introspected', async () => {
    const response = await ask({ token: given.tokens.access_token }, { accept: JWT, authorization: basic('app') });
    const answer = await response.text();
    expect(decodeJwt(answer)).not.toHaveProperty('sub');
    expect(decodeJwt(answer)).not.toHaveProperty('exp');
    expect((await app.userinfo(answer)).status).toBe(401);
  });

  it('is refused to who does not authenticate', async () => {
    const anonymous = await ask({ token: given.tokens.access_token }, { accept: JWT });
    expect(anonymous.status).toBe(400);
    const open = await ask({ token: 'nonsense', client_id: 'public' }, { accept: JWT });
    expect(open.status).toBe(400);
    expect(await open.json()).toMatchObject({ error: 'invalid_request' });
    const wrong = await ask({ token: 'nonsense' }, { accept: JWT, authorization: basic('app', 'wrong') });
    expect(wrong.status).toBe(401);
  });
});

async function serviceToken(clientId: string): Promise<string> {
  const response = await fetch(`${curfew.issuer}/token`, {
    method: 'POST',
    headers: { authorization: basic(clientId) },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  });
  const { access_token: token } = (await response.json()) as { access_token: string };
  return token;
}
