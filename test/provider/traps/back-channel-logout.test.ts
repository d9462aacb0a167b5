import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Configuration, KoaContextWithOIDC } from 'oidc-provider';
import { type Curfew, SECRET, startCurfew } from '../../support/curfew.ts';
import { createGate } from '../../support/meeting-point.ts';
import { type PlainProvider, startPlainProvider } from '../../support/plain-provider.ts';
import { deliveriesOf, sessionOf, signedIn } from '../../support/records.ts';
import { newBrowser, relyingParty } from '../../support/relying-party.ts';

/** A client that hears of logouts and never answers. */
let hanging: Server;
let logoutUri: string;
let heard = 0;

beforeAll(async () => {
  hanging = createServer(() => {
    heard += 1;
  });
  await new Promise<void>((resolve) => hanging.listen(0, '127.0.0.1', resolve));
  logoutUri = `http://localhost:${(hanging.address() as AddressInfo).port}/backchannel`;
});
afterAll(() => {
  hanging.close();
  hanging.closeAllConnections();
});
beforeEach(() => {
  heard = 0;
});

const SIGN_OUT_PAGES = {
  enabled: true,
  logoutSource: (ctx: KoaContextWithOIDC, form: string) => {
    ctx.body = form;
  },
  postLogoutSuccessSource: (ctx: KoaContextWithOIDC) => {
    ctx.body = 'signed out';
  },
};

/** Calls private addresses too, which oidc-provider's dispatcher refuses. */
const withoutGuard: NonNullable<Configuration['fetch']> = (url, { ...options } = {}) => {
  Reflect.deleteProperty(options, 'dispatcher');
  return globalThis.fetch(url, options);
};

describe('plain oidc-provider', () => {
  let plain: PlainProvider;
  afterEach(() => plain.close());

  async function start(configuration: Configuration = {}, features: NonNullable<Configuration['features']> = {}) {
    plain = await startPlainProvider({
      clients: [
        {
          client_id: 'app',
          client_secret: SECRET,
          redirect_uris: ['https://app.example/cb'],
          backchannel_logout_uri: logoutUri,
        },
      ],
      ...configuration,
      features: { backchannelLogout: { enabled: true }, rpInitiatedLogout: SIGN_OUT_PAGES, ...features },
    });
    const browser = newBrowser(plain.issuer);
    const app = await relyingParty(plain.issuer, 'app', 'https://app.example/cb');
    const tokens = await (await app.signIn(browser, 'alice')).redeem();
    const signOut = async () => {
      const page = await browser.open(`${plain.issuer}/logout`);
      return browser.submit(page, { logout: 'yes' }, '/logout/confirm');
    };
    return { browser, tokens, signOut };
  }
  const sessions = () => [...plain.stored.values()].filter(({ kind }) => kind === 'Session');

  it('keeps the session alive until the client has answered that it is over', async () => {
    const gate = createGate();
    const { signOut } = await start({
      fetch: async () => {
        await gate.pass();
        return new Response();
      },
    });
    const signingOut = signOut();
    await gate.reached();
    expect(sessions()).toHaveLength(1);
    gate.open();
    await signingOut;
    expect(sessions()).toEqual([]);
  });

  function countFailures(): { count: () => number } {
    let failures = 0;
    plain.provider.on('backchannel.error', () => {
      failures += 1;
    });
    return { count: () => failures };
  }

  it('does not call a client at a private address, where internal clients live', async () => {
    const { signOut } = await start();
    const failures = countFailures();
    await signOut();
    expect({ failures: failures.count(), heard }).toEqual({ failures: 1, heard: 0 });
  });

  it('gives up on a client that does not answer, and never tries again', async () => {
    const { signOut } = await start({ fetch: withoutGuard });
    const failures = countFailures();
    const { text } = await signOut();
    expect({ failures: failures.count(), heard }).toEqual({ failures: 1, heard: 1 });
    expect(text).toBe('signed out');
    expect(sessions()).toEqual([]);
  });

  it('tells a client nothing of an end that is no sign-out in that browser', async () => {
    let asked = 0;
    await start({
      fetch: async () => {
        asked += 1;
        return new Response();
      },
    });
    for (const { uid } of sessions()) await plain.endSession(String(uid));
    expect(asked).toBe(0);
  });

  it('gives no sid without that feature', async () => {
    const { tokens } = await start({}, { backchannelLogout: { enabled: false } });
    expect(tokens.claims()).not.toHaveProperty('sid');
  });
});

describe('Curfew', () => {
  let curfew: Curfew;
  beforeAll(async () => {
    curfew = await startCurfew({
      yaml: `
clients:
  - client_id: app
    redirect_uris: [https://app.example/cb]
    first_party: true
    backchannel_logout_uri: ${logoutUri}
  - client_id: other
    redirect_uris: [https://other.example/cb]
    first_party: true
`,
    });
    await curfew.addAccount('alice');
  });
  afterAll(() => curfew.close());

  it('ends the session at once, and owes the message in the same transaction', async () => {
    const app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
    const { browser, sid } = await signedIn(curfew, app, 'alice');
    const page = await browser.open(`${curfew.issuer}/logout`);
    expect((await browser.submit(page)).text).toContain('You are signed out');
    expect(await sessionOf(curfew, sid)).toMatchObject({ endReason: 'user_ended' });
    expect(await deliveriesOf(curfew, sid)).not.toEqual([]);
  });

  it('gives a sid to every client', async () => {
    const other = await relyingParty(curfew.issuer, 'other', 'https://other.example/cb');
    const { tokens } = await signedIn(curfew, other, 'alice');
    expect(tokens.claims()).toHaveProperty('sid');
  });
});
