import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { endSessions } from '../../../src/sessions/end-sessions.ts';
import { type Curfew, startCurfew } from '../../support/curfew.ts';
import { type PlainProvider, startPlainProvider } from '../../support/plain-provider.ts';
import { EXPIRED, expiredGrant, refusalOf, signedIn } from '../../support/records.ts';
import { newBrowser, relyingParty } from '../../support/relying-party.ts';

describe('what is told and stored', () => {
  let plain: PlainProvider;
  let curfew: Curfew;
  beforeAll(async () => {
    plain = await startPlainProvider({ issueRefreshToken: async () => true });
    curfew = await startCurfew();
    await curfew.addAccount('alice');
  });
  afterAll(async () => {
    await plain.close();
    await curfew.close();
  });

  it('by plain oidc-provider is the same for every dead token, whatever it died of', async () => {
    const app = await relyingParty(plain.issuer, 'app', 'https://app.example/cb');
    const tokens = await (await app.signIn(newBrowser(plain.issuer), 'alice')).redeem();
    const uid = [...plain.stored.values()].find(({ kind }) => kind === 'Session')?.uid;
    await plain.endSession(String(uid));
    const ofAnEnd = await refusalOf(app.refresh(tokens.refresh_token));
    expect(ofAnEnd).toEqual(await refusalOf(app.refresh('never-issued')));
    expect(ofAnEnd.description).toBe('grant request is invalid');
    const userinfo = await app.userinfo(tokens.access_token);
    expect(await userinfo.json()).toMatchObject({ error_description: 'invalid token provided' });
  });

  it('by Curfew is that the session is over, and what to do', async () => {
    const app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
    const { tokens, session } = await signedIn(curfew, app, 'alice');
    await endSessions(curfew.db, { uids: [session.uid] }, { reason: 'admin_forced', actor: 'system:test' });
    expect(await refusalOf(app.refresh(tokens.refresh_token))).toEqual(expiredGrant);
    const userinfo = await app.userinfo(tokens.access_token);
    expect(await userinfo.json()).toMatchObject({ error_description: EXPIRED });
    expect(await refusalOf(app.refresh('never-issued'))).toMatchObject({ description: 'grant request is invalid' });
  });

  it('by plain oidc-provider are the tokens and cookies themselves', async () => {
    const app = await relyingParty(plain.issuer, 'app', 'https://app.example/cb');
    const browser = newBrowser(plain.issuer);
    const tokens = await (await app.signIn(browser, 'alice')).redeem();
    const stored = JSON.stringify([...plain.stored]);
    for (const value of [tokens.access_token, tokens.refresh_token, browser.cookie('curfew_session')]) {
      expect(stored).toContain(String(value));
    }
  });
});
