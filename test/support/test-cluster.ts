import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { prepareDataDirectory } from '../../src/storage/data-directory.ts';
import { startOrJoinEmbedded } from '../../src/storage/embedded-postgres.ts';
import { migrate } from '../../src/storage/migrate.ts';

export const TEMPLATE = 'curfew_template';
/** Tells the workers where the run's Postgres is. */
export const CLUSTER_URL_VARIABLE = 'CURFEW_TEST_CLUSTER_URL';

/** Durability is of no use to data that lives for one run. */
const SETTINGS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '400' };

export interface TestCluster {
  stop(): Promise<void>;
}

export async function startTestCluster(): Promise<TestCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-test-'));
  const watchdog = watch(folder);
  await prepareDataDirectory(folder, { isDefault: false, embedded: true, log: () => undefined });
  const postgres = await startOrJoinEmbedded(folder, { settings: SETTINGS, initdbFlags: ['--no-sync'] });
  await createTemplate(postgres.url);
  process.env[CLUSTER_URL_VARIABLE] = postgres.url;
  return {
    async stop() {
      await postgres.stop();
      await rm(folder, { recursive: true, force: true });
      watchdog.stdin.end();
    },
  };
}

/** A run that is killed leaves nothing: this waits for the end of its standard input, which is the end of the run. */
function watch(folder: string) {
  const script =
    'cat; read pid < "$0/postgres/postmaster.pid" && kill -QUIT "$pid"; sleep 1; case "$0" in */curfew-test-*) rm -rf "$0";; esac';
  const watchdog = spawn('/bin/sh', ['-c', script, folder], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  watchdog.unref();
  return watchdog;
}

async function createTemplate(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`CREATE DATABASE ${TEMPLATE}`);
  await client.end();
  const template = new URL(url);
  template.pathname = `/${TEMPLATE}`;
  await migrate(template.href);
}
