import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CurfewProcess, temporaryFolder } from './server-process.ts';

/** A host's clock for a server's process, as much off as a test likes. */
export interface ShiftedClock {
  env: Record<string, string>;
  /** Steps the clock of a running server. */
  step(server: CurfewProcess, milliseconds: number): void;
}

export async function shiftedClock(milliseconds: number): Promise<ShiftedClock> {
  const file = join(await temporaryFolder(), 'shift');
  const write = (shift: number) => writeFileSync(file, String(shift));
  write(milliseconds);
  const preload = new URL('./shift-clock.js', import.meta.url).href;
  return {
    env: { NODE_OPTIONS: `--import=${preload}`, CLOCK_SHIFT_FILE: file },
    step(server, shift) {
      write(shift);
      server.signal('SIGUSR2');
    },
  };
}
