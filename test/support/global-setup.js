import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import './typescript.js';

/** One Postgres for the whole run, with a migrated database that every test file copies. */
export default async function globalSetup() {
  const generate = fileURLToPath(new URL('../../prisma/generate.js', import.meta.url));
  if (spawnSync(process.execPath, [generate], { stdio: 'inherit' }).status !== 0) throw new Error('no database client');
  const { startTestCluster } = await import('./test-cluster.ts');
  globalThis.testCluster = await startTestCluster();
}
