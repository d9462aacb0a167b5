import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type BuiltCurfew, builtCurfew } from '../support/built-curfew.ts';
import type { CurfewProcess } from '../support/server-process.ts';

const FORGED = {
  host: 'evil.example',
  'x-forwarded-host': 'evil.example',
  'x-forwarded-proto': 'https',
  'x-forwarded-port': '666',
  forwarded: 'for=192.0.2.66;host=evil.example;proto=https',
};

let curfew: BuiltCurfew;

beforeAll(async () => {
  curfew = await builtCurfew();
});
afterAll(() => curfew.close());

interface Answer {
  status: number | undefined;
  location: string | undefined;
  text: string;
}

/** A request with a Host of one's own, which fetch does not send. */
function ask({ port }: CurfewProcess, path: string, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { port, path, host: '127.0.0.1', headers: { accept: 'text/html', ...headers } },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode, location: response.headers.location, text }));
      },
    );
    sent.on('error', reject).end();
  });
}

const AUTHORIZE = `/authorize?${new URLSearchParams({
  ...{ client_id: 'app', response_type: 'code', scope: 'openid', redirect_uri: 'https://app.example/cb' },
  ...{ code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' },
})}`;

/** The address under which the server knows whoever asks: it is what begins an anonymous session there. */
async function addressSeen(server: CurfewProcess, forwardedFor: string): Promise<string | undefined> {
  await curfew.query('DELETE FROM session');
  await ask(server, '/logout', { 'x-forwarded-for': forwardedFor });
  const [row] = await curfew.query<{ ip: string }>('SELECT ip FROM session');
  return row?.ip;
}

describe('what a request says of where it went', () => {
  it.each([
    ['with nobody trusted', 'false'],
    ['with the sender trusted', '127.0.0.1'],
  ])('never reaches an address of ours, %s', async (_what, TRUST_PROXY) => {
    const server = await curfew.start({ env: { TRUST_PROXY } });
    for (const path of ['/.well-known/openid-configuration', AUTHORIZE, '/logout', '/nowhere', '/', '/session']) {
      const { location = '', text } = await ask(server, path, FORGED);
      expect([path, /evil|666|https:\/\/localhost/.exec(location + text)]).toEqual([path, null]);
      if (location !== '') expect(new URL(location, server.issuer).origin).toBe(server.issuer);
    }
    const { text } = await ask(server, '/.well-known/openid-configuration', FORGED);
    expect(JSON.parse(text)).toMatchObject({
      issuer: server.issuer,
      authorization_endpoint: `${server.issuer}/authorize`,
      jwks_uri: `${server.issuer}/jwks`,
    });
    expect(await server.stop()).toMatchObject({ code: 0 });
  });
});

describe('X-Forwarded-For', () => {
  it.each([
    ['from nobody', 'false', '192.0.2.1', '127.0.0.1'],
    ['from a peer that is not trusted', '10.0.0.0/8', '192.0.2.1', '127.0.0.1'],
    ['from the one trusted proxy', '1', '192.0.2.66, 192.0.2.1', '192.0.2.1'],
    ['from a chain of two', '2', '192.0.2.66, 192.0.2.1, 10.0.0.1', '192.0.2.1'],
    [
      'from trusted addresses, as far as they reach',
      '127.0.0.1,10.0.0.0/8',
      '192.0.2.66, 192.0.2.1, 10.0.0.1',
      '192.0.2.1',
    ],
    ['with a port', '127.0.0.1', '[2001:db8::1]:443, 10.0.0.1:5', '10.0.0.1'],
    ['from a trusted peer that says nonsense', '127.0.0.1', '192.0.2.66, unknown', '127.0.0.1'],
    ['from two proxies of which one says nonsense', '2', '192.0.2.66, x, 10.0.0.1', '10.0.0.1'],
  ])('is believed %s (TRUST_PROXY=%s)', async (_what, TRUST_PROXY, said, seen) => {
    const server = await curfew.start({ env: { TRUST_PROXY } });
    expect(await addressSeen(server, said)).toBe(seen);
    expect(await server.stop()).toMatchObject({ code: 0 });
  });
});
