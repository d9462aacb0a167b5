import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as client from 'openid-client';
import { disableClient, enableClient, logoutClient } from '../../src/clients/registry.ts';
import { CURFEW_YAML, type Curfew, startCurfew } from '../support/curfew.ts';
import { HOURS, refusalOf } from '../support/records.ts';
import { type RelyingParty, relyingParty, type Tokens } from '../support/relying-party.ts';

const act = { actor: 'system:test', note: 'a test' };

let curfew: Curfew;
let service: RelyingParty;
let robot: RelyingParty;

beforeAll(async () => {
  const yaml = CURFEW_YAML.replace(
    '  - client_id: service',
    `  - client_id: robot
    grant_types: [client_credentials]
    labels: [unattended]
  - client_id: service`,
  ).concat('    - { name: robots, when: { labels: [unattended] }, limits: { accessToken: 90s } }\n');
  curfew = await startCurfew({ yaml });
  service = await relyingParty(curfew.issuer, 'service', 'https://unused.example/cb');
  robot = await relyingParty(curfew.issuer, 'robot', 'https://unused.example/cb');
});
afterAll(() => curfew.close());

const ownToken = ({ configuration }: RelyingParty): Promise<Tokens> => client.clientCredentialsGrant(configuration);
const isLive = async (token: Tokens) => (await service.introspect(token.access_token)).active;

describe('a token of a service’s own', () => {
  it('lasts as long as policy lets access tokens last, and has neither session nor refresh token', async () => {
    const token = await ownToken(service);
    expect(token.expires_in).toBe(3_600);
    expect(token).not.toHaveProperty('refresh_token');
    expect(token).not.toHaveProperty('id_token');
    const { sub, exp, iat, ...rest } = await service.introspect(token.access_token);
    expect(rest).toMatchObject({ active: true, client_id: 'service', token_type: 'Bearer' });
    expect(Number(exp) - Number(iat)).toBe(3_600);
    expect(sub).toBeUndefined();
    expect((await service.userinfo(token.access_token)).status).toBe(401);
  });

  it('has the limit of a rule about its client', async () => {
    const token = await ownToken(robot);
    expect(token.expires_in).toBe(90);
    await curfew.travel(91_000);
    expect(await isLive(token)).toBe(false);
  });

  it('is over by the database’s clock', async () => {
    const token = await ownToken(service);
    await curfew.travel(HOURS - 2_000);
    expect(await isLive(token)).toBe(true);
    await curfew.travel(2_000);
    expect(await service.introspect(token.access_token)).toEqual({ active: false });
  });

  it('is worthless once the client is disabled, and the client gets no other', async () => {
    const token = await ownToken(robot);
    const ofAnother = await ownToken(service);
    await disableClient(curfew.db, 'robot', act);
    expect(await isLive(token)).toBe(false);
    expect(await isLive(ofAnother)).toBe(true);
    expect(await refusalOf(ownToken(robot))).toMatchObject({ status: 401, error: 'invalid_client' });

    await enableClient(curfew.db, 'robot', act);
    expect(await isLive(token)).toBe(false);
    expect(await isLive(await ownToken(robot))).toBe(true);
  });

  it('is worthless once the client is signed out, and the client may ask anew', async () => {
    const token = await ownToken(robot);
    await logoutClient(curfew.db, 'robot', act);
    expect(await isLive(token)).toBe(false);
    expect(await isLive(await ownToken(robot))).toBe(true);
  });

  it('is not given for a grant that the client did not register', async () => {
    const app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
    expect(await refusalOf(ownToken(app))).toMatchObject({
      status: 400,
      description: 'requested grant type is not allowed for this client',
    });
  });

  it('is not given for a wrong secret', async () => {
    const answer = await fetch(`${curfew.issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from('service:wrong').toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({ error: 'invalid_client' });
  });
});
