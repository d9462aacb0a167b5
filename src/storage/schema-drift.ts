import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withSchemaEngine } from './schema-engine.ts';

const SCHEMA_FILE = fileURLToPath(new URL('../../prisma/schema.prisma', import.meta.url));

/**
 * What would have to change in a migrated database to match `schema.prisma`, in words; undefined when they match.
 *
 * Tables, columns, types, keys and plain indexes are compared. Views, functions, checks, partial indexes and
 * generated expressions are beyond what a Prisma schema can say and are left out.
 */
export async function schemaDrift(url: string, schemaFile: string = SCHEMA_FILE): Promise<string | undefined> {
  const content = await readFile(schemaFile, 'utf8');
  const files = [{ path: schemaFile, content }];
  return withSchemaEngine(url, { datamodels: [[schemaFile, content]] }, async (engine) => {
    const { exitCode, stdout } = await engine.diff({
      from: { tag: 'schemaDatasource', files, configDir: dirname(schemaFile) },
      to: { tag: 'schemaDatamodel', files },
      script: false,
      exitCode: true,
      filters: { externalTables: [], externalEnums: [] },
    });
    return exitCode === 0 ? undefined : (stdout ?? '').trim();
  });
}
