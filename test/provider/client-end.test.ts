import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { disableClient, enableClient, logoutClient } from '../../src/clients/registry.ts';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import {
  deliveriesOf,
  errorOf,
  eventsOf,
  expiredGrant,
  participationOf,
  refusalOf,
  sessionOf,
  signedIn,
} from '../support/records.ts';
import { type RelyingParty, relyingParty } from '../support/relying-party.ts';

const act = { actor: 'command_line:test', note: 'tokens leaked' };

let curfew: Curfew;
let app: RelyingParty;
let other: RelyingParty;
let service: RelyingParty;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  other = await relyingParty(curfew.issuer, 'other', 'https://other.example/cb');
  service = await relyingParty(curfew.issuer, 'service', 'https://unused.example/cb');
});
afterAll(() => curfew.close());

async function signedInToBoth() {
  const toApp = await signedIn(curfew, app, 'alice');
  const toOther = await signedIn(curfew, other, 'alice', { browser: toApp.browser });
  return { toApp, toOther, browser: toApp.browser };
}

describe('a client that is disabled', () => {
  it('loses all that it was given, is told, and gets nothing more, while the session goes on', async () => {
    const { toApp, toOther, browser } = await signedInToBoth();
    await disableClient(curfew.db, 'app', act);
    try {
      expect(await participationOf(curfew, toApp.sid)).toMatchObject({ endReason: 'client_removed' });
      expect(await service.introspect(toApp.tokens.access_token)).toEqual({ active: false });
      expect((await app.userinfo(toApp.tokens.access_token)).status).toBe(401);
      expect(await refusalOf(app.refresh(toApp.tokens.refresh_token))).toMatchObject({ error: 'invalid_client' });
      expect(await deliveriesOf(curfew, toApp.sid)).not.toEqual([]);
      expect(await eventsOf(curfew, toApp.session.uid, 'participation.ended')).toEqual([
        expect.objectContaining({
          reason: 'client_removed',
          actor: act.actor,
          details: expect.objectContaining({ note: act.note }),
        }),
      ]);
      const { page, callback } = await app.authorize(browser);
      expect(callback).toBeUndefined();
      expect(page.status).toBe(400);

      expect(await sessionOf(curfew, toApp.sid)).toMatchObject({ endedAt: null });
      expect((await other.userinfo(toOther.tokens.access_token)).status).toBe(200);
    } finally {
      await enableClient(curfew.db, 'app', act);
    }
    expect(await app.introspect(toApp.tokens.access_token)).toEqual({ active: false });
    expect(await refusalOf(app.refresh(toApp.tokens.refresh_token))).toEqual(expiredGrant);
  });
});

describe('a client that is signed out', () => {
  it('loses all that it was given, and comes back after a sign-in', async () => {
    const { toApp, toOther, browser } = await signedInToBoth();
    await logoutClient(curfew.db, 'other', act);
    expect(await participationOf(curfew, toOther.sid)).toMatchObject({ endReason: 'admin_forced' });
    expect(await refusalOf(other.refresh(toOther.tokens.refresh_token))).toEqual(expiredGrant);
    expect((await app.userinfo(toApp.tokens.access_token)).status).toBe(200);
    expect(errorOf(await other.authorize(browser, { prompt: 'none' })).error).toBe('login_required');
    expect((await other.authorize(browser)).page.text).toContain('You were signed out by an administrator.');
    expect((await signedIn(curfew, other, 'alice', { browser })).sid).not.toBe(toOther.sid);
  });
});
