// Preloaded into a server's process (NODE_OPTIONS=--import): its host's clock is off by the milliseconds that the file
// CLOCK_SHIFT_FILE says, read again at SIGUSR2. The monotonic clock is not touched, as by a real step.
import { readFileSync } from 'node:fs';

const RealDate = Date;
const readShift = () => Number(readFileSync(process.env.CLOCK_SHIFT_FILE, 'utf8'));
let shift = readShift();
process.on('SIGUSR2', () => {
  shift = readShift();
});

const now = () => RealDate.now() + shift;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  apply: () => new RealDate(now()).toString(),
  get: (target, property, receiver) => (property === 'now' ? now : Reflect.get(target, property, receiver)),
});
