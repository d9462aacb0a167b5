// A process that uses the embedded Postgres of a data folder until its standard input says how to go.
import { createInterface } from 'node:readline';
import { prepareDataDirectory } from '../../src/storage/data-directory.ts';
import { startOrJoinEmbedded } from '../../src/storage/embedded-postgres.ts';

const [dataDir = ''] = process.argv.slice(2);
process.on('SIGINT', () => undefined);
try {
  const log = (message: string) => process.stderr.write(`${message}\n`);
  const folder = await prepareDataDirectory(dataDir, { isDefault: false, embedded: true, log });
  const { url, owner, stop } = await startOrJoinEmbedded(folder, { initdbFlags: ['--no-sync'] });
  process.stdout.write(`${JSON.stringify({ url, owner })}\n`);
  for await (const line of createInterface(process.stdin)) {
    if (line === 'stop') break;
  }
  await stop();
  process.exit(0);
} catch (error) {
  process.stdout.write(`${JSON.stringify({ error: error instanceof Error ? error.message : String(error) })}\n`);
  process.exit(1);
}
