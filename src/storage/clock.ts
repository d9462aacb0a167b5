import type pg from 'pg';

const SAMPLES = 5;
const INTERVAL_MS = 5_000;
/** A measurement that old says nothing about now. */
const STALE_MS = 30_000;

export interface ClockMeasurement {
  /** Database clock minus host clock, milliseconds. */
  offsetMs: number;
  /** By how much the offset may be wrong at most: half the round trip. */
  errorMs: number;
}

/**
 * How far this host's clock is from the database's, which decides. oidc-provider stamps `exp` from the host's.
 */
export interface Clock {
  /** Database clock minus host clock, milliseconds; 0 before the first measurement. */
  readonly offsetMs: number;
  /** The last measurement, if there is one recent enough to count. */
  readonly current: ClockMeasurement | undefined;
  /** Whether the clocks are known, from a recent measurement, to differ by no more than that, its error included. */
  isTrusted(maxMs: number): boolean;
  /** The host's time at an instant of the database's. */
  toHost(instant: Date): Date;
  /** Measures now; of several samples the one with the shortest round trip counts. */
  measure(): Promise<ClockMeasurement>;
  stop(): void;
}

/**
 * Compares the clocks now and every few seconds; a host clock that steps is noticed at the next comparison, and
 * at once by `isTrusted`, because the host's own monotonic clock does not step with it.
 *
 * @throws what the first measurement fails with
 */
export async function startClock(database: Pick<pg.Pool, 'query'>): Promise<Clock> {
  let last: { measurement: ClockMeasurement; atMs: number; hostMinusMonotonicMs: number } | undefined;

  async function measure(): Promise<ClockMeasurement> {
    const hostBefore = hostMinusMonotonicMs();
    let best = await sampleOffset(database);
    for (let sample = 1; sample < SAMPLES; sample += 1) {
      const measurement = await sampleOffset(database);
      if (measurement.errorMs < best.errorMs) best = measurement;
    }
    last = { measurement: best, atMs: performance.now(), hostMinusMonotonicMs: hostBefore };
    return best;
  }

  await measure();
  let measuring = false;
  const timer = setInterval(async () => {
    if (measuring) return;
    measuring = true;
    // Without an answer the last measurement grows stale, and the clock is no longer trusted.
    await measure().catch(() => undefined);
    measuring = false;
  }, INTERVAL_MS);
  timer.unref();

  /** What the offset is now, given that the host's clock may have stepped since it was measured. */
  function current(): ClockMeasurement | undefined {
    if (last === undefined || performance.now() - last.atMs > STALE_MS) return undefined;
    const steppedMs = hostMinusMonotonicMs() - last.hostMinusMonotonicMs;
    return { ...last.measurement, offsetMs: last.measurement.offsetMs - steppedMs };
  }

  const offsetMs = (): number => current()?.offsetMs ?? last?.measurement.offsetMs ?? 0;

  return {
    get offsetMs() {
      return offsetMs();
    },
    get current() {
      return current();
    },
    isTrusted(maxMs) {
      const now = current();
      return now !== undefined && Math.abs(now.offsetMs) + now.errorMs <= maxMs;
    },
    toHost: (instant) => new Date(instant.getTime() - offsetMs()),
    measure,
    stop: () => clearInterval(timer),
  };
}

async function sampleOffset(database: Pick<pg.Pool, 'query'>): Promise<ClockMeasurement> {
  const sentMs = performance.now();
  const hostMs = Date.now();
  const { rows } = await database.query<{ ms: number }>({
    text: 'SELECT (extract(epoch FROM curfew_now()) * 1000)::float8 AS ms',
    name: 'curfew-clock',
  });
  const roundTripMs = performance.now() - sentMs;
  const databaseMs = rows[0]?.ms ?? Number.NaN;
  return { offsetMs: databaseMs - (hostMs + roundTripMs / 2), errorMs: roundTripMs / 2 };
}

function hostMinusMonotonicMs(): number {
  return Date.now() - performance.now();
}
