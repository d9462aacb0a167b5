import { setTimeout as delay } from 'node:timers/promises';

export interface Load {
  /** Of each right answer, milliseconds. */
  latencies: number[];
  errors: Error[];
  /** Until the last one was done. */
  seconds: number;
}

type Operation = (worker: number) => Promise<void>;

/**
 * Lets workers do an operation again and again for some time, and waits for the last ones: what was started is what
 * was measured. An error is no operation; a worker that met one goes on.
 */
export async function closedLoop(operation: Operation, workers: number, seconds: number): Promise<Load> {
  const load: Load = { latencies: [], errors: [], seconds: 0 };
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  await Promise.all(
    Array.from({ length: workers }, async (_, worker) => {
      while (performance.now() < endMs) await timed(load, operation, worker);
    }),
  );
  load.seconds = (performance.now() - startMs) / 1000;
  return load;
}

/**
 * Starts operations at a fixed rate, however long the earlier ones take: people don't wait for one another.
 *
 * @param workers how many there are to take turns; one may have several under way
 */
export async function openLoop(
  operation: Operation,
  { workers, perSecond, seconds }: { workers: number; perSecond: number; seconds: number },
): Promise<Load> {
  const load: Load = { latencies: [], errors: [], seconds: 0 };
  const startMs = performance.now();
  const underWay: Promise<void>[] = [];
  for (let count = 0; count < perSecond * seconds; count += 1) {
    const waitMs = startMs + (count * 1000) / perSecond - performance.now();
    if (waitMs > 0) await delay(waitMs);
    underWay.push(timed(load, operation, count % workers));
  }
  await Promise.all(underWay);
  load.seconds = (performance.now() - startMs) / 1000;
  return load;
}

async function timed(load: Load, operation: Operation, worker: number): Promise<void> {
  const sentMs = performance.now();
  try {
    await operation(worker);
    load.latencies.push(performance.now() - sentMs);
  } catch (error) {
    load.errors.push(error as Error);
  }
}

/** A few errors are told; more, and the run says nothing about speed. @throws the first error */
export function requireMostlyRight({ latencies, errors }: Load): void {
  const [first] = errors;
  if (first !== undefined && errors.length > Math.max(2, latencies.length / 100)) {
    throw new Error(`${errors.length} of ${errors.length + latencies.length} answers were wrong`, { cause: first });
  }
}
