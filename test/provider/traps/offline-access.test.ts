import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { endSessions } from '../../../src/sessions/end-sessions.ts';
import { type Curfew, startCurfew } from '../../support/curfew.ts';
import { type PlainProvider, startPlainProvider } from '../../support/plain-provider.ts';
import { expiredGrant, refusalOf, sessionOf, signedIn } from '../../support/records.ts';
import { newBrowser, relyingParty } from '../../support/relying-party.ts';

const OFFLINE = { scope: 'openid offline_access', prompt: 'consent' };

describe('a refresh token with offline_access', () => {
  let plain: PlainProvider;
  let curfew: Curfew;
  beforeAll(async () => {
    plain = await startPlainProvider({ features: { rpInitiatedLogout: { enabled: true } } });
    curfew = await startCurfew();
  });
  afterAll(async () => {
    await plain.close();
    await curfew.close();
  });

  it('in plain oidc-provider outlives every session of the person, and nothing else ends it', async () => {
    const app = await relyingParty(plain.issuer, 'app', 'https://app.example/cb');
    const { refresh_token } = await (await app.signIn(newBrowser(plain.issuer), 'alice', OFFLINE)).redeem();
    for (const { kind, uid } of plain.stored.values()) if (kind === 'Session') await plain.endSession(String(uid));
    expect([...plain.stored.values()].filter(({ kind }) => kind === 'Session')).toEqual([]);
    const refreshed = await app.refresh(refresh_token);
    expect((await app.userinfo(refreshed.access_token)).status).toBe(200);
  });

  it('in Curfew belongs to a session of its own, which an account-wide logout ends', async () => {
    const { id } = await curfew.addAccount('alice');
    const app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
    const { tokens, sid, session } = await signedIn(curfew, app, 'alice', { parameters: OFFLINE });
    expect(session.kind).toBe('offline');
    await endSessions(curfew.db, { accountId: id }, { reason: 'admin_forced', actor: 'system:test' });
    expect(await refusalOf(app.refresh(tokens.refresh_token))).toEqual(expiredGrant);
    expect((await app.userinfo(tokens.access_token)).status).toBe(401);
    expect(await sessionOf(curfew, sid)).toMatchObject({ endReason: 'admin_forced' });
  });
});
