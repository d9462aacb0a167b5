import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { CURFEW_YAML, type Curfew, startCurfew } from '../support/curfew.ts';
import { sessionOf, signedIn } from '../support/records.ts';
import { relyingParty, type Tokens } from '../support/relying-party.ts';

let curfew: Curfew;

const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const;

beforeAll(async () => {
  const clients = ALGORITHMS.map(
    (algorithm) => `  - client_id: ${algorithm}
    redirect_uris: [https://${algorithm.toLowerCase()}.example/cb]
    grant_types: [authorization_code, refresh_token]
    id_token_signed_response_alg: ${algorithm}
    first_party: true`,
  );
  curfew = await startCurfew({ yaml: CURFEW_YAML.replace('policy:', `${clients.join('\n')}\npolicy:`) });
  await curfew.addAccount('alice');
});
afterAll(() => curfew.close());

async function signInWith(algorithm: (typeof ALGORITHMS)[number]) {
  const party = await relyingParty(curfew.issuer, algorithm, `https://${algorithm.toLowerCase()}.example/cb`, {
    id_token_signed_response_alg: algorithm,
  });
  return signedIn(curfew, party, 'alice');
}

describe('an ID token', () => {
  it.each(ALGORITHMS)('signed with %s verifies against the published keys', async (algorithm) => {
    const { tokens } = await signInWith(algorithm);
    const keys = createRemoteJWKSet(new URL(`${curfew.issuer}/jwks`));
    const { payload, protectedHeader } = await jwtVerify(String(tokens.id_token), keys, {
      issuer: curfew.issuer,
      audience: algorithm,
      algorithms: [algorithm],
    });
    expect(protectedHeader).toMatchObject({ alg: algorithm, kid: expect.any(String) });
    expect(payload).toMatchObject({
      sub: expect.any(String),
      sid: expect.any(String),
      acr: 'aal1',
      amr: ['pwd'],
      auth_time: expect.any(Number),
      session_expiry: expect.any(Number),
    });
  });

  it('tells when the person signed in and when the client has to end, by the session', async () => {
    const { tokens, sid } = await signInWith('RS256');
    const { authenticatedAt, absoluteDeadline, uid } = await sessionOf(curfew, sid);
    expect(tokens.claims()).toMatchObject({
      auth_time: Math.floor(authenticatedAt.getTime() / 1000),
      session_expiry: Math.floor(absoluteDeadline.getTime() / 1000),
    });
    expect(sid).not.toBe(uid);
    expect(String(tokens.id_token)).not.toContain(uid);
  });

  it('keeps sid and auth_time when it is refreshed', async () => {
    const app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
    const { tokens } = await signedIn(curfew, app, 'alice');
    await curfew.travel(60_000);
    const refreshed = await app.refresh(tokens.refresh_token);
    const names = ['sid', 'auth_time', 'sub', 'acr', 'amr'];
    const told = ({ claims }: Tokens) => names.map((name) => claims()?.[name]);
    expect(told(refreshed)).toEqual(told(tokens));
  });
});

describe('the published keys', () => {
  it('are one of each algorithm, without their private parts', async () => {
    const { keys } = (await (await fetch(`${curfew.issuer}/jwks`)).json()) as { keys: Record<string, string>[] };
    expect(keys.map(({ alg }) => alg)).toEqual([...ALGORITHMS]);
    for (const key of keys) {
      expect(key).toMatchObject({ use: 'sig', kid: expect.any(String) });
      for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) expect(key).not.toHaveProperty(member);
    }
  });

  it('are the same on another node', async () => {
    const node = await curfew.startNode();
    const [here, there] = await Promise.all(
      [curfew.issuer, node.issuer].map(async (issuer) => (await fetch(`${issuer}/jwks`)).json()),
    );
    expect(there).toEqual(here);
    await node.close();
  });
});
