import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, startCurfew } from '../../support/curfew.ts';
import { createGate } from '../../support/meeting-point.ts';
import { type PlainProvider, startPlainProvider } from '../../support/plain-provider.ts';
import { newBrowser, type RelyingParty, relyingParty, type Tokens } from '../../support/relying-party.ts';

const AT_ONCE = 20;

async function successes(redeem: () => Promise<Tokens>): Promise<Tokens[]> {
  const outcomes = await Promise.allSettled(Array.from({ length: AT_ONCE }, redeem));
  return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
}

describe(`${AT_ONCE} parallel uses`, () => {
  let plain: PlainProvider;
  let curfew: Curfew;
  let toPlain: RelyingParty;
  let toCurfew: RelyingParty;
  beforeAll(async () => {
    plain = await startPlainProvider({ rotateRefreshToken: true, issueRefreshToken: async () => true });
    curfew = await startCurfew();
    await curfew.addAccount('alice');
    toPlain = await relyingParty(plain.issuer, 'app', 'https://app.example/cb');
    toCurfew = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  });
  afterAll(async () => {
    await plain.close();
    await curfew.close();
  });

  /** On a slower store all of them would have found it before the first has consumed it: here they meet there. */
  async function meetBeforeConsume(): Promise<void> {
    const gate = createGate();
    plain.before((_model, operation) => (operation === 'consume' ? gate.pass() : undefined));
    await gate.reached(AT_ONCE);
    plain.before(() => undefined);
    gate.open();
  }

  it('of a refresh token all succeed in plain oidc-provider', async () => {
    const { refresh_token } = await (await toPlain.signIn(newBrowser(plain.issuer), 'alice')).redeem();
    const met = meetBeforeConsume();
    expect(await successes(() => toPlain.refresh(refresh_token))).toHaveLength(AT_ONCE);
    await met;
  });

  it('of a refresh token succeed once in Curfew', async () => {
    const { refresh_token } = await (await toCurfew.signIn(newBrowser(curfew.issuer), 'alice')).redeem();
    expect(await successes(() => toCurfew.refresh(refresh_token))).toHaveLength(1);
  });

  it('of a code all succeed in plain oidc-provider', async () => {
    const flow = await toPlain.signIn(newBrowser(plain.issuer), 'alice');
    const met = meetBeforeConsume();
    expect(await successes(flow.redeem)).toHaveLength(AT_ONCE);
    await met;
  });

  it('of a code succeed once in Curfew, and what it gave is good', async () => {
    const flow = await toCurfew.signIn(newBrowser(curfew.issuer), 'alice');
    const redeemed = await successes(flow.redeem);
    expect(redeemed).toHaveLength(1);
    expect((await toCurfew.userinfo(String(redeemed[0]?.access_token))).status).toBe(200);
  });
});
