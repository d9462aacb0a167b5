import { Command } from 'commander';
import { migrate } from '../storage/migrate.ts';
import { type OutputOptions, printJson, printLine } from './output.ts';
import { withDatabaseUrl } from './with-database.ts';

export function migrateCommand(): Command {
  return new Command('migrate')
    .description('bring the database up to date with this version')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  DATABASE_URL=postgresql://curfew@db.example.com/curfew curfew migrate')
    .action(async ({ json }: OutputOptions) => {
      const applied = await withDatabaseUrl(({ url }) => migrate(url));
      if (json) printJson({ applied });
      else printLine(applied.length === 0 ? 'The database is up to date.' : `Applied ${applied.join(', ')}.`);
    });
}
