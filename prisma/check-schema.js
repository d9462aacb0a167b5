// Compares schema.prisma with a database that has had every migration: `npm run check:schema` in CI.
// Runs on the built server, and on a Postgres of its own that is gone afterwards.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepareDataDirectory } from '../dist/storage/data-directory.js';
import { startOrJoinEmbedded } from '../dist/storage/embedded-postgres.js';
import { migrate } from '../dist/storage/migrate.js';
import { schemaDrift } from '../dist/storage/schema-drift.js';

const folder = await mkdtemp(join(tmpdir(), 'curfew-schema-'));
try {
  await prepareDataDirectory(folder, { isDefault: false, embedded: true, log: () => undefined });
  const postgres = await startOrJoinEmbedded(folder, { settings: { fsync: 'off' }, initdbFlags: ['--no-sync'] });
  try {
    await migrate(postgres.url);
    const drift = await schemaDrift(postgres.url);
    if (drift !== undefined) {
      process.stderr.write(
        `prisma/schema.prisma and the migrations disagree; the database lacks or differs in:\n${drift}\n`,
      );
      process.exitCode = 3;
    }
  } finally {
    await postgres.stop();
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
