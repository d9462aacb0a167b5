import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { endSessions } from '../../../src/sessions/end-sessions.ts';
import { type Curfew, startCurfew } from '../../support/curfew.ts';
import { createGate, whileWaiting } from '../../support/meeting-point.ts';
import { type PlainProvider, startPlainProvider } from '../../support/plain-provider.ts';
import { participationOf, sidOf, signedIn } from '../../support/records.ts';
import { newBrowser, type RelyingParty, relyingParty } from '../../support/relying-party.ts';

const SILENT = { prompt: 'none' };

async function parties(issuer: string): Promise<{ app: RelyingParty; pair: RelyingParty[] }> {
  const [app, ...pair] = await Promise.all(
    ['app', 'other', 'strict'].map((id) => relyingParty(issuer, id, `https://${id}.example/cb`)),
  );
  if (app === undefined) throw new Error('no clients');
  return { app, pair };
}

describe('two authorization requests at once, in one browser', () => {
  let plain: PlainProvider;
  let curfew: Curfew;
  beforeAll(async () => {
    plain = await startPlainProvider();
    curfew = await startCurfew();
    await curfew.addAccount('alice');
  });
  afterAll(async () => {
    await plain.close();
    await curfew.close();
  });

  it('in plain oidc-provider leave one client out of the session: the last save wins', async () => {
    const { app, pair } = await parties(plain.issuer);
    const browser = newBrowser(plain.issuer);
    await app.signIn(browser, 'alice');
    const gate = createGate();
    plain.before((model, operation) => (model === 'Session' && operation === 'upsert' ? gate.pass() : undefined));
    const both = Promise.all(pair.map((party) => party.authorize(browser, SILENT)));
    await gate.reached(2);
    gate.open();
    const flows = await both;
    expect(flows.every(({ callback }) => callback?.searchParams.has('code'))).toBe(true);

    const session = [...plain.stored.values()].find(({ kind }) => kind === 'Session');
    expect(Object.keys(session?.authorizations ?? {})).toHaveLength(2);
    const redeemed = await Promise.allSettled(flows.map((flow) => flow.redeem()));
    expect(redeemed.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('in Curfew keep both clients: both codes are good, and the end reaches both', async () => {
    const { app, pair } = await parties(curfew.issuer);
    const { browser, session } = await signedIn(curfew, app, 'alice');
    const lock = { lock: 'SELECT FROM session WHERE uid = $1 FOR UPDATE', values: [session.uid], waiting: 2 };
    const flows = await whileWaiting(curfew, lock, () =>
      Promise.all(pair.map((party) => party.authorize(browser, SILENT))),
    );
    const sids = (await Promise.all(flows.map((flow) => flow.redeem()))).map(sidOf);
    expect(new Set(sids).size).toBe(2);
    await endSessions(curfew.db, { uids: [session.uid] }, { reason: 'admin_forced', actor: 'system:test' });
    for (const sid of sids) expect(await participationOf(curfew, sid)).toMatchObject({ endReason: 'admin_forced' });
  });

  it('in Curfew are one participation where they are of one client', async () => {
    const { app, pair } = await parties(curfew.issuer);
    const { browser, session } = await signedIn(curfew, app, 'alice');
    const [other] = pair;
    const lock = { lock: 'SELECT FROM session WHERE uid = $1 FOR UPDATE', values: [session.uid], waiting: 4 };
    const flows = await whileWaiting(curfew, lock, () =>
      Promise.all(Array.from({ length: 4 }, () => other?.authorize(browser, SILENT))),
    );
    const sids = await Promise.all(flows.map(async (flow) => flow && sidOf(await flow.redeem())));
    expect(new Set(sids).size).toBe(1);
  });
});
