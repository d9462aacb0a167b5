import { setTimeout as delay } from 'node:timers/promises';
import type { Middleware } from 'koa';
import type pg from 'pg';
import type { Clock } from '../storage/clock.ts';
import { pendingMigrations } from '../storage/migrate.ts';

/** Who asks whether we are ready wants to know soon: a database that takes longer is not there. */
const PROBE_TIMEOUT_MS = 2_000;

export interface HealthParts {
  pool: pg.Pool;
  clock: Clock;
  clockOffsetMaxMs: number;
}

/**
 * `GET /healthz` tells that the process answers; `GET /readyz` that it can serve: the database is reachable and
 * migrated, and the host's clock is close enough to it. Neither needs a token, so neither tells more than that.
 */
export function healthRoutes({ pool, clock, clockOffsetMaxMs }: HealthParts): Middleware {
  async function check(probe: () => Promise<boolean>): Promise<boolean> {
    const late = delay(PROBE_TIMEOUT_MS, false, { ref: false });
    return Promise.race([probe().catch(() => false), late]);
  }

  return async (ctx, next) => {
    if (ctx.path !== '/healthz' && ctx.path !== '/readyz') return next();
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') ctx.throw(405);
    ctx.set('Cache-Control', 'no-store');
    if (ctx.path === '/healthz') {
      ctx.body = { status: 'ok' };
      return;
    }
    const database = await check(async () => (await pool.query('SELECT 1')).rowCount === 1);
    const migrations = database && (await check(async () => (await pendingMigrations(pool)).length === 0));
    const clockInBounds = clock.isTrusted(clockOffsetMaxMs);
    const ready = database && migrations && clockInBounds;
    ctx.status = ready ? 200 : 503;
    if (!ready) ctx.set('Retry-After', '5');
    ctx.body = {
      status: ready ? 'ready' : 'not ready',
      database,
      migrations,
      clock: clockInBounds,
      clock_offset_ms: Math.round(clock.offsetMs),
    };
  };
}
