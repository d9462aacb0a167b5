import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import { errorOf } from '../support/records.ts';
import { newBrowser, relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;

beforeAll(async () => {
  curfew = await startCurfew();
});
afterAll(() => curfew.close());

describe('discovery', () => {
  it('says what works here, and nothing else', async () => {
    const at = (path: string) => `${curfew.issuer}${path}`;
    const document = (await (await fetch(at('/.well-known/openid-configuration'))).json()) as Record<string, unknown>;
    expect(document).toEqual({
      issuer: curfew.issuer,
      authorization_endpoint: at('/authorize'),
      token_endpoint: at('/token'),
      userinfo_endpoint: at('/userinfo'),
      jwks_uri: at('/jwks'),
      introspection_endpoint: at('/introspect'),
      revocation_endpoint: at('/revoke'),
      end_session_endpoint: at('/logout'),
      device_authorization_endpoint: at('/device_authorization'),
      pushed_authorization_request_endpoint: at('/par'),
      dpop_signing_alg_values_supported: ['ES256', 'RS256', 'PS256', 'EdDSA'],
      response_types_supported: ['code'],
      response_modes_supported: ['form_post', 'fragment', 'query'],
      grant_types_supported: [
        'authorization_code',
        'refresh_token',
        'client_credentials',
        'urn:ietf:params:oauth:grant-type:device_code',
      ],
      code_challenge_methods_supported: ['S256'],
      scopes_supported: ['openid', 'offline_access', 'profile', 'email', 'roles', 'groups'],
      claims_supported: expect.arrayContaining(['sub', 'sid', 'auth_time', 'acr', 'amr', 'session_expiry', 'email']),
      claim_types_supported: ['normal'],
      claims_parameter_supported: true,
      request_uri_parameter_supported: false,
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256', 'ES256', 'EdDSA'],
      introspection_signing_alg_values_supported: ['RS256', 'ES256', 'EdDSA'],
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
      token_endpoint_auth_signing_alg_values_supported: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      acr_values_supported: ['aal1'],
      authorization_response_iss_parameter_supported: true,
      backchannel_logout_supported: true,
      backchannel_logout_session_supported: true,
    });
  });

  it('names endpoints that are there', async () => {
    const { configuration } = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
    const metadata = configuration.serverMetadata() as Record<string, unknown>;
    const addresses = Object.entries(metadata).filter(([name]) => /_endpoint$|^jwks_uri$/.test(name));
    expect(addresses).toHaveLength(9);
    for (const [, address] of addresses) {
      const answers = await Promise.all(['GET', 'POST'].map((method) => fetch(String(address), { method })));
      expect(answers.map(({ status }) => status).some((status) => status !== 404)).toBe(true);
    }
  });

  it.each<[string, Record<string, string>, string]>([
    ['the implicit flow', { response_type: 'id_token', nonce: 'n' }, 'unsupported_response_type'],
    ['the hybrid flow', { response_type: 'code id_token', nonce: 'n' }, 'unsupported_response_type'],
    ['request objects', { request: 'e30.e30.' }, 'request_not_supported'],
    ['request objects by address', { request_uri: 'https://app.example/request' }, 'request_uri_not_supported'],
    ['dynamic registration', { registration: '{}' }, 'registration_not_supported'],
  ])('leaves out %s, which is refused', async (_feature, parameters, error) => {
    const app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
    const flow = await app.authorize(newBrowser(curfew.issuer), parameters);
    const told = flow.callback?.hash ? new URLSearchParams(flow.callback.hash.slice(1)).get('error') : undefined;
    expect(told ?? errorOf(flow).error).toBe(error);
  });

  it.each(['/reg', '/register', '/backchannel', '/request', '/session/end'])(
    'leaves out %s, where nothing is',
    async (path) => {
      expect((await fetch(`${curfew.issuer}${path}`, { method: 'POST' })).status).toBe(404);
    },
  );
});
