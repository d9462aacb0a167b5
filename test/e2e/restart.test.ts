import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { tokenRevocation } from 'openid-client';
import pg from 'pg';
import type { Browser } from '../support/browser.ts';
import { type BuiltCurfew, builtCurfew } from '../support/built-curfew.ts';
import { freePort, PASSWORD } from '../support/curfew.ts';
import { newBrowser, type RelyingParty, relyingParty } from '../support/relying-party.ts';
import { type CurfewProcess, until } from '../support/server-process.ts';

let curfew: BuiltCurfew;
let server: CurfewProcess;
let app: RelyingParty;
let env: Record<string, string>;

beforeAll(async () => {
  curfew = await builtCurfew();
  env = { PORT: String(await freePort()) };
  server = await curfew.start({ env });
  app = await relyingParty(server.issuer, 'app', 'https://app.example/cb');
});
afterAll(async () => {
  await server.stop();
  await curfew.close();
});

const RESTARTS = [
  ['a stop and a start', 'SIGTERM'],
  ['a crash and a start', 'SIGKILL'],
] as const;

async function restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  server.signal(signal);
  await server.exited;
  server = await curfew.start({ env });
}

/** Answers a form as the browser would, but stays where the answer says to go on. */
async function postForm(browser: Browser, page: { url: string; text: string }, fields: Record<string, string>) {
  const action = /<form[^>]*action="([^"]*\/login)"/.exec(page.text)?.[1] ?? '';
  const csrf = /name="csrf" value="([^"]*)"/.exec(page.text)?.[1] ?? '';
  const cookie = [...browser.cookies()].map(([name, value]) => `${name}=${value}`).join('; ');
  const headers = { cookie, origin: server.issuer, 'sec-fetch-site': 'same-origin' };
  const body = new URLSearchParams({ ...fields, csrf });
  const response = await fetch(new URL(action, page.url), { method: 'POST', headers, body, redirect: 'manual' });
  return response.headers.get('location') ?? '';
}

describe.each(RESTARTS)('%s', (_what, signal) => {
  it('between the sign-in page and its answer is not noticed', async () => {
    const browser = newBrowser(server.issuer);
    const { page } = await app.authorize(browser);
    await restart(signal);
    const back = await browser.submit(page, { login: 'alice', password: PASSWORD }, '/login');
    expect(new URL(back.url).searchParams.has('code')).toBe(true);
  });

  it('between the answer and going on, and again before the code is redeemed, is not noticed', async () => {
    const browser = newBrowser(server.issuer);
    const flow = await app.authorize(browser);
    const resume = await postForm(browser, flow.page, { login: 'alice', password: PASSWORD });
    await restart(signal);
    const back = await browser.open(resume);
    await restart(signal);
    const tokens = await flow.redeem(new URL(back.url));
    expect((await app.introspect(tokens.access_token)).active).toBe(true);
  });

  it('between two refreshes is not noticed, and what was dead is dead', async () => {
    const browser = newBrowser(server.issuer);
    const tokens = await (await app.signIn(browser, 'alice')).redeem();
    const dead = await (await app.signIn(newBrowser(server.issuer), 'alice')).redeem();
    await tokenRevocation(app.configuration, dead.refresh_token ?? '');
    await restart(signal);
    const refreshed = await app.refresh(tokens.refresh_token);
    await restart(signal);
    expect((await app.userinfo(refreshed.access_token)).status).toBe(200);
    expect((await app.authorize(browser, { prompt: 'none' })).callback?.searchParams.has('code')).toBe(true);
    expect((await app.introspect(dead.access_token)).active).toBe(false);
    await expect(app.refresh(dead.refresh_token)).rejects.toMatchObject({ error: 'invalid_grant' });
  });
});

describe('a refresh that is under way', () => {
  it('is finished by a server that is asked to stop, and the new token holds after the restart', async () => {
    const tokens = await (await app.signIn(newBrowser(server.issuer), 'alice')).redeem();
    const lock = await holdSessions();
    const refreshing = app.refresh(tokens.refresh_token);
    await until('the refresh waits', lock.hasWaiter);
    server.signal('SIGTERM');
    await lock.release();
    const refreshed = await refreshing;
    await restart('SIGTERM');
    expect(await app.refresh(refreshed.refresh_token)).toHaveProperty('access_token');
  });

  it('leaves the old token good if the server is killed', async () => {
    const tokens = await (await app.signIn(newBrowser(server.issuer), 'alice')).redeem();
    const lock = await holdSessions();
    const refreshing = app.refresh(tokens.refresh_token).catch(() => 'connection lost');
    await until('the refresh waits', lock.hasWaiter);
    await restart('SIGKILL');
    await lock.release();
    expect(await refreshing).toBe('connection lost');
    expect(await app.refresh(tokens.refresh_token)).toHaveProperty('access_token');
  });

  it.each(['RefreshToken', 'AccessToken'])(
    'leaves the old token good, and no new one, if the database is lost before the new %s is stored',
    async (model) => {
      const tokens = await (await app.signIn(newBrowser(server.issuer), 'alice')).redeem();
      const sid = tokens.claims()?.sid;
      await loseConnectionAt(model);
      expect(await app.refresh(tokens.refresh_token).catch(statusOf)).toBe(503);
      await curfew.query('DROP TRIGGER lose ON artifact');
      const live = `SELECT FROM artifact WHERE sid = $1 AND model = 'RefreshToken' AND consumed_at IS NULL`;
      expect(await curfew.query(live, [sid])).toHaveLength(1);
      const refreshed = await app.refresh(tokens.refresh_token);
      expect((await app.introspect(refreshed.access_token)).active).toBe(true);
      await expect(app.refresh(tokens.refresh_token)).rejects.toMatchObject({ error: 'invalid_grant' });
      expect(await curfew.query(live, [sid])).toHaveLength(1);
    },
  );

  it.each(['RefreshToken', 'AccessToken'])(
    'as does a redemption leave its code, if the database is lost before the %s is stored',
    async (model) => {
      const flow = await app.signIn(newBrowser(server.issuer), 'alice');
      await loseConnectionAt(model);
      expect(await flow.redeem().catch(statusOf)).toBe(503);
      await curfew.query('DROP TRIGGER lose ON artifact');
      expect((await app.introspect((await flow.redeem()).access_token)).active).toBe(true);
    },
  );

  const statusOf = (error: { cause?: Response }) => error.cause?.status;

  /** The connection ends as by an administrator's command, at that very moment. */
  async function loseConnectionAt(model: string): Promise<void> {
    await curfew.query(`CREATE OR REPLACE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS
      $$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); RETURN new; END$$`);
    await curfew.query(`CREATE TRIGGER lose BEFORE INSERT ON artifact FOR EACH ROW WHEN (new.model = '${model}')
      EXECUTE FUNCTION lose()`);
  }

  async function holdSessions() {
    const client = new pg.Client({ connectionString: curfew.url });
    await client.connect();
    await client.query('BEGIN');
    await client.query('SELECT FROM session FOR UPDATE');
    const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`;
    return {
      hasWaiter: async () => (await curfew.query(waiting)).length > 0,
      async release() {
        await client.query('ROLLBACK');
        await client.end();
      },
    };
  }
});
