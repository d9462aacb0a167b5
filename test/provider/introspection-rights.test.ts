import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as client from 'openid-client';
import { CURFEW_YAML, type Curfew, startCurfew } from '../support/curfew.ts';
import { type SignedIn, signedIn } from '../support/records.ts';
import { type RelyingParty, relyingParty } from '../support/relying-party.ts';

const GATEWAY = `  - client_id: gateway
    grant_types: [client_credentials]
    introspects: any
`;

let curfew: Curfew;
let app: RelyingParty;
let other: RelyingParty;
let gateway: RelyingParty;
let given: SignedIn;

beforeAll(async () => {
  curfew = await startCurfew({ yaml: withGateway(GATEWAY) });
  await curfew.addAccount('alice');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  other = await relyingParty(curfew.issuer, 'other', 'https://other.example/cb');
  gateway = await relyingParty(curfew.issuer, 'gateway', 'https://unused.example/cb');
  given = await signedIn(curfew, app, 'alice');
});
afterAll(() => curfew.close());

const withGateway = (gatewayYaml: string) =>
  CURFEW_YAML.replace('  - client_id: service', `${gatewayYaml}  - client_id: service`);

const tokens = () => [given.tokens.access_token, String(given.tokens.refresh_token)];

describe('who may introspect what', () => {
  it('lets a client ask about its own tokens', async () => {
    for (const token of tokens()) expect(await app.introspect(token)).toMatchObject({ active: true, client_id: 'app' });
  });

  it('tells a client about a token of another what it tells about nonsense', async () => {
    const service = await client.clientCredentialsGrant(gateway.configuration);
    for (const token of [...tokens(), service.access_token, 'nonsense']) {
      expect(await other.introspect(token)).toEqual({ active: false });
    }
  });

  it('tells a gateway about all tokens', async () => {
    for (const token of tokens()) expect(await gateway.introspect(token)).toMatchObject({ active: true });
  });

  it('counts no question of a client that is not told', async () => {
    const before = await curfew.query('SELECT last_active_at FROM participation WHERE sid = $1', [given.sid]);
    await other.introspect(given.tokens.access_token);
    expect(await curfew.query('SELECT last_active_at FROM participation WHERE sid = $1', [given.sid])).toEqual(before);
  });

  it('follows the file at once', async () => {
    await curfew.apply(withGateway(GATEWAY.replace('any', 'own')));
    expect(await gateway.introspect(given.tokens.access_token)).toEqual({ active: false });
    await curfew.apply(withGateway(GATEWAY));
    expect(await gateway.introspect(given.tokens.access_token)).toMatchObject({ active: true });
  });

  it('refuses a file that lets a client ask that anybody could be', async () => {
    const open = GATEWAY.replace('[client_credentials]', '[client_credentials]\n    token_endpoint_auth_method: none');
    await expect(curfew.apply(withGateway(open))).rejects.toThrow(
      /introspects: any needs a client that authenticates, not token_endpoint_auth_method none/,
    );
  });
});
