import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type BuiltCurfew, builtCurfew } from '../support/built-curfew.ts';
import { SECRET } from '../support/curfew.ts';
import { newBrowser, relyingParty } from '../support/relying-party.ts';
import { type CurfewProcess, until } from '../support/server-process.ts';
import { shiftedClock } from '../support/shifted-clock.ts';

const HOUR_MS = 3_600_000;
const CALLBACK = 'https://app.example/cb';

let curfew: BuiltCurfew;

beforeAll(async () => {
  curfew = await builtCurfew();
});
afterAll(() => curfew.close());

const isReady = async ({ issuer }: CurfewProcess) => (await fetch(`${issuer}/readyz`)).ok;

function askForToken({ issuer }: CurfewProcess): Promise<Response> {
  const authorization = `Basic ${Buffer.from(`service:${SECRET}`).toString('base64')}`;
  const body = new URLSearchParams({ grant_type: 'client_credentials' });
  return fetch(`${issuer}/token`, { method: 'POST', headers: { authorization }, body });
}

/** Refuses at every kind of endpoint, by an error in the form that the caller takes, and stores nothing. */
async function expectRefusal(server: CurfewProcess): Promise<void> {
  const stored = () => curfew.query('SELECT count(*) FROM artifact UNION ALL SELECT count(*) FROM session');
  const before = await stored();
  const token = await askForToken(server);
  expect([token.status, token.headers.get('retry-after')]).toEqual([503, '5']);
  expect(await token.text()).not.toContain('access_token');
  const page = await fetch(`${server.issuer}/authorize?client_id=app`, { headers: { accept: 'text/html' } });
  expect([page.status, page.headers.get('content-type')]).toEqual([503, 'text/html; charset=utf-8']);
  for (const path of ['/session', '/userinfo', '/introspect', '/logout', '/']) {
    expect([path, (await fetch(server.issuer + path)).status]).toEqual([path, 503]);
  }
  expect(await (await fetch(`${server.issuer}/readyz`)).json()).toMatchObject({ status: 'not ready', clock: false });
  expect((await fetch(`${server.issuer}/healthz`)).status).toBe(200);
  expect(await stored()).toEqual(before);
}

describe("a host whose clock is not the database's", () => {
  it.each([
    ['an hour ahead', HOUR_MS],
    ['an hour behind', -HOUR_MS],
    ['a little more than the bound ahead', 700],
  ])('issues nothing while it is %s', async (_what, shift) => {
    const clock = await shiftedClock(shift);
    const server = await curfew.start({ env: { ...clock.env, CLOCK_OFFSET_MAX_MS: '500' } });
    await expectRefusal(server);
    expect(await server.stop()).toMatchObject({ code: 0 });
  });

  it('issues nothing from the moment it steps, and serves again from the moment it is put right', async () => {
    const clock = await shiftedClock(0);
    const server = await curfew.start({ env: clock.env });
    for (const shift of [HOUR_MS, -HOUR_MS]) {
      await until('the clock is right', () => isReady(server));
      expect((await askForToken(server)).status).toBe(200);
      clock.step(server, shift);
      await until('the step is seen', async () => !(await isReady(server)));
      await expectRefusal(server);
      clock.step(server, 0);
    }
    await until('the clock is right', () => isReady(server));
    expect((await askForToken(server)).status).toBe(200);
    expect(await server.stop()).toMatchObject({ code: 0 });
  });

  it('issues nothing once the database clock moves, and serves again when it is moved back', async () => {
    const server = await curfew.start();
    for (const milliseconds of [HOUR_MS, -2 * HOUR_MS]) {
      await curfew.travel(milliseconds);
      await until('the move is seen', async () => !(await isReady(server)));
      await expectRefusal(server);
    }
    await curfew.travel(HOUR_MS);
    await until('the move back is seen', () => isReady(server));
    expect((await askForToken(server)).status).toBe(200);
    expect(await server.stop()).toMatchObject({ code: 0 });
  });

  it.each([
    ['ahead', 300],
    ['behind', -300],
  ])('within the bound, %s, gives out nothing that lasts longer than its session', async (_what, shift) => {
    const clock = await shiftedClock(shift);
    const server = await curfew.start({ env: clock.env });
    const strict = await relyingParty(server.issuer, 'strict', 'https://strict.example/cb');
    const signedInBefore = Date.now();
    const tokens = await (await strict.signIn(newBrowser(server.issuer), 'alice')).redeem();
    const claims = tokens.claims();
    const [row] = await curfew.query<{ deadline: Date; absolute: Date }>(
      'SELECT deadline, absolute_deadline AS absolute FROM participation WHERE sid = $1',
      [claims?.sid],
    );
    // On the host's axis, on which the stamps are.
    const deadline = Number(row?.deadline) + shift;
    const introspected = await strict.introspect(tokens.access_token);

    expect(Number(claims?.exp) * 1_000).toBeLessThanOrEqual(deadline);
    expect(Number(introspected.exp) * 1_000).toBeLessThanOrEqual(deadline);
    expect((Number(claims?.iat) + Number(tokens.expires_in)) * 1_000).toBeLessThanOrEqual(deadline);
    expect(Number(claims?.session_expiry) * 1_000).toBeLessThanOrEqual(Number(row?.absolute) + shift);
    // Nor much shorter than it could be: five minutes without activity.
    expect(Number(claims?.exp) * 1_000).toBeGreaterThan(signedInBefore + shift + 297_000);
    expect(await server.stop()).toMatchObject({ code: 0 });
  });
});

describe('a change to or from daylight-saving time', () => {
  it.each([
    ['Europe/Berlin', 'forward', '2027-03-28T00:55:00Z'],
    ['Europe/Berlin', 'back', '2027-10-31T00:55:00Z'],
    ['America/New_York', 'forward', '2027-03-14T06:55:00Z'],
    ['Australia/Lord_Howe', 'by half an hour', '2027-04-03T14:55:00Z'],
  ])('in %s, %s, changes no duration', async (zone, _direction, now) => {
    const shift = new Date(now).getTime() - Date.now();
    const [{ name } = { name: '' }] = await curfew.query<{ name: string }>('SELECT current_database() AS name');
    await curfew.query(`ALTER DATABASE ${name} SET timezone TO '${zone}'`);
    await curfew.travel(shift);
    const clock = await shiftedClock(shift);
    const server = await curfew.start({ env: { ...clock.env, TZ: zone, PGTZ: zone } });
    const app = await relyingParty(server.issuer, 'app', CALLBACK);
    const browser = newBrowser(server.issuer);

    const flow = await app.signIn(browser, 'alice');
    const tokens = await flow.redeem();
    const claims = tokens.claims();
    const [row] = await curfew.query(
      `SELECT extract(epoch FROM idle_deadline - last_active_at)::float AS idle, uid,
         extract(epoch FROM absolute_deadline - authenticated_at)::float AS absolute,
         extract(epoch FROM authenticated_at)::float - extract(epoch FROM timestamptz '${now}')::float AS since
       FROM session WHERE uid = (SELECT session_uid FROM participation WHERE sid = $1)`,
      [claims?.sid],
    );
    expect(row).toMatchObject({ idle: 900, absolute: 28_800 });
    expect(row?.since).toBeGreaterThanOrEqual(0);
    expect(row?.since).toBeLessThan(60);
    expect(claims?.session_expiry).toBe(Number(claims?.auth_time) + 28_800);
    expect(tokens.expires_in).toBeGreaterThanOrEqual(898);
    expect(tokens.expires_in).toBeLessThanOrEqual(900);

    const cookie = [...browser.cookies()].map(([key, value]) => `${key}=${value}`).join('; ');
    const told = (await (await fetch(`${server.issuer}/session`, { headers: { cookie } })).json()) as Record<
      string,
      string
    >;
    const at = (key: string) => new Date(told[key] ?? '').getTime();
    expect(at('absolute_expires_at') - at('server_time')).toBeGreaterThan(28_790_000);
    expect(at('idle_expires_at') - at('server_time')).toBeLessThanOrEqual(900_000);
    expect(Math.abs(at('server_time') - new Date(now).getTime())).toBeLessThan(60_000);
    expect(await server.stop()).toMatchObject({ code: 0 });

    await curfew.travel(-shift);
    await curfew.query(`ALTER DATABASE ${name} RESET timezone`);
  });
});
