import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { tokenRevocation } from 'openid-client';
import pg from 'pg';
import { declare, SERVER_ENV } from '../support/built-curfew.ts';
import { newBrowser, type RelyingParty, relyingParty, type Tokens } from '../support/relying-party.ts';
import {
  type CurfewProcess,
  embeddedUrl,
  postmasterOf,
  startProcess,
  temporaryFolder,
  until,
} from '../support/server-process.ts';

const LOGINS = ['alice', 'bob', 'carol', 'dave'];
const CONFIG = 'clients: []\n';

let dataDir: string;
let server: CurfewProcess;
let app: RelyingParty;

/** The embedded database, because a restart takes everyone's database away. */
beforeAll(async () => {
  const cwd = await temporaryFolder();
  dataDir = join(cwd, '.curfew');
  await writeFile(join(cwd, 'curfew.yaml'), CONFIG);
  const env = { ...SERVER_ENV, CONFIG: 'curfew.yaml', LOG_LEVEL: 'warn' };
  server = await startProcess({ cwd, env });
  await declare(embeddedUrl(dataDir), LOGINS);
  app = await relyingParty(server.issuer, 'app', 'https://app.example/cb');
});
afterAll(() => server.stop());

/** What a client may meet while the database is away: 503, or an answer that was lost with the connection. */
function isWeather(error: unknown): boolean {
  const { cause } = error as { cause?: unknown };
  return cause instanceof Response && cause.status === 503;
}

/** Errors in the log, other than that the database is away. */
const isTrouble = (line: string) => line.includes('"level":50') && !line.includes('"status":503');

describe('a database that is restarted under load', () => {
  it('costs nobody their session, gives no token twice, and brings nothing back', async () => {
    const dead = await (await app.signIn(newBrowser(server.issuer), 'alice')).redeem();
    await tokenRevocation(app.configuration, dead.refresh_token ?? '');
    const load = startLoad(dead);
    await until('the load is under way', () => load.count.refreshes > 20);

    for (const signal of ['SIGINT', 'SIGKILL', 'SIGINT'] as const) {
      const before = { ...load.count };
      const killed = postmasterOf(dataDir) ?? 0;
      process.kill(killed, signal);
      await until('another Postgres runs', () => ![killed, undefined].includes(postmasterOf(dataDir)));
      await until('the load goes on', () => load.count.refreshes > before.refreshes + 20);
      expect(load.count.unavailable).toBeGreaterThan(before.unavailable);
    }
    await until('people sign in again', () => load.count.signIns > 4);
    const chains = await load.stop();

    expect(load.surprises).toEqual([]);
    expect(server.stdout().split('\n').filter(isTrouble)).toEqual([]);
    expect(load.count.unanswered).toBeLessThan(3);
    for (const { tokens } of chains.filter(({ isOpen }) => isOpen))
      expect((await app.introspect(tokens.access_token)).active).toBe(true);
    expect(await chainsOf(chains.map(({ tokens }) => tokens.claims()?.sid))).toEqual(chains.map(() => ({ unused: 1 })));
    await expect(app.refresh(dead.refresh_token)).rejects.toMatchObject({ error: 'invalid_grant' });
    expect((await app.introspect(dead.access_token)).active).toBe(false);
  }, 120_000);

  interface Chain {
    tokens: Tokens;
    /** The last answer was lost after the commit: the client can't know its new token. */
    isOpen: boolean;
  }

  /** Refreshes, introspections and sign-ins in loops; each remembers what it must never see. */
  function startLoad(dead: Tokens) {
    const count = { refreshes: 0, signIns: 0, introspections: 0, unavailable: 0, unanswered: 0 };
    const surprises: string[] = [];
    const chains: Chain[] = [];
    let stopping = false;

    async function loop(work: () => Promise<void>, onWeather = () => {}): Promise<void> {
      while (!stopping) {
        try {
          await work();
        } catch (error) {
          if (isWeather(error)) {
            count.unavailable += 1;
            onWeather();
          } else surprises.push(String((error as { error?: string }).error ?? error));
          await delay(20);
        }
      }
    }

    async function refreshLoop(login: string): Promise<void> {
      const chain = { tokens: await (await app.signIn(newBrowser(server.issuer), login)).redeem(), isOpen: true };
      chains.push(chain);
      let isRetry = false;
      await loop(
        async () => {
          if (!chain.isOpen) return delay(50);
          const { refresh_token: before } = chain.tokens;
          const tokens = await app.refresh(before).catch((error: unknown) => {
            if (!isRetry || isWeather(error)) throw error;
            chain.isOpen = false;
            count.unanswered += 1;
          });
          isRetry = false;
          if (tokens === undefined) return;
          if (tokens.refresh_token === before) surprises.push('the same refresh token twice');
          chain.tokens = tokens;
          count.refreshes += 1;
          await delay(5);
        },
        () => {
          isRetry = true;
        },
      );
    }

    const loops = [
      ...LOGINS.map(refreshLoop),
      loop(async () => {
        if ((await app.introspect(dead.access_token)).active) surprises.push('a dead token is active');
        count.introspections += 1;
        await delay(5);
      }),
      loop(async () => {
        const flow = await app.signIn(newBrowser(server.issuer), 'alice');
        if (flow.callback === undefined) {
          if (flow.page.status !== 503) surprises.push(`sign-in: ${flow.page.status}`);
          else count.unavailable += 1;
          return;
        }
        await flow.redeem();
        count.signIns += 1;
      }),
    ];
    return {
      count,
      surprises,
      async stop() {
        stopping = true;
        await Promise.all(loops);
        return chains;
      },
    };
  }

  async function chainsOf(sids: unknown[]): Promise<{ unused: number }[]> {
    const client = new pg.Client({ connectionString: embeddedUrl(dataDir) });
    await client.connect();
    const { rows } = await client.query<{ unused: number }>(
      `SELECT count(*) FILTER (WHERE consumed_at IS NULL)::int AS unused FROM artifact
       WHERE model = 'RefreshToken' AND sid = ANY($1) GROUP BY sid`,
      [sids],
    );
    await client.end();
    return rows;
  }
});
