import { Command } from 'commander';
import type { RegisteredClient } from '../clients/client.ts';
import { usesSecret } from '../clients/client.ts';
import { disableClient, enableClient, listClients, logoutClient, rotateSecret } from '../clients/registry.ts';
import { commandLineActor, parseNote } from './options.ts';
import { counted, type OutputOptions, printJson, printLine, printRows } from './output.ts';
import { withDatabase } from './with-database.ts';

interface NoteOptions {
  note?: string;
}

export function clientCommand(): Command {
  const client = new Command('client').description('clients that people sign in to; `curfew apply` declares them');
  client
    .command('list')
    .description('list all clients')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  curfew client list --json')
    .action(list);
  client
    .command('disable')
    .description('end all participations of a client and let it begin none, until it is enabled by hand')
    .argument('<client-id>')
    .option('--note <text>', 'why, for the audit log', parseNote)
    .addHelpText('after', '\nExample:\n  curfew client disable notes --note "under attack"')
    .action((clientId: string, { note }: NoteOptions) =>
      withDatabase(async ({ db }) => {
        const { ended } = await disableClient(db, clientId, actWith(note));
        printLine(`Client ${clientId} is disabled; ${counted(ended, 'participation')} ended.`);
      }),
    );
  client
    .command('enable')
    .description('let a disabled client take part again')
    .argument('<client-id>')
    .addHelpText('after', '\nExample:\n  curfew client enable notes')
    .action((clientId: string) =>
      withDatabase(async ({ db }) => {
        await enableClient(db, clientId, actWith(undefined));
        printLine(`Client ${clientId} is enabled.`);
      }),
    );
  client
    .command('logout')
    .description('end all participations of a client and its own tokens')
    .argument('<client-id>')
    .requiredOption('--note <text>', 'why, for the audit log', parseNote)
    .addHelpText('after', '\nExample:\n  curfew client logout notes --note "tokens leaked"')
    .action((clientId: string, { note }: NoteOptions) =>
      withDatabase(async ({ db }) => {
        const { ended } = await logoutClient(db, clientId, actWith(note));
        printLine(`Client ${clientId} is signed out; ${counted(ended, 'participation')} ended.`);
      }),
    );
  client
    .command('rotate-secret')
    .description('give a client a new secret, shown only now; the old one is worthless at once')
    .argument('<client-id>')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  curfew client rotate-secret notes')
    .action((clientId: string, { json }: OutputOptions) =>
      withDatabase(async ({ db }) => {
        const secret = await rotateSecret(db, clientId, actWith(undefined));
        if (json) printJson({ clientId, secret });
        else printLine(secret);
      }),
    );
  return client;
}

async function list({ json = false }: OutputOptions): Promise<void> {
  const clients = await withDatabase(({ db }) => listClients(db));
  if (json) {
    printJson(clients.map(withoutHash));
    return;
  }
  printRows(
    clients,
    [
      ['client', ({ clientId }) => clientId],
      ['name', ({ metadata }) => text(metadata.client_name)],
      ['authentication', ({ metadata }) => text(metadata.token_endpoint_auth_method)],
      ['first party', ({ firstParty }) => (firstParty ? 'yes' : 'no')],
      ['data', ({ data }) => data],
      ['labels', ({ labels }) => labels],
      ['disabled', ({ disabledAt }) => disabledAt],
      ['by', ({ disabledBy }) => disabledBy],
    ],
    { none: 'There are no clients: declare them in curfew.yaml and run `curfew apply`.' },
  );
}

function withoutHash({ secretHash, ...client }: RegisteredClient) {
  return { ...client, hasSecret: usesSecret(client.metadata) && secretHash !== undefined };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function actWith(note: string | undefined): { actor: string; note?: string } {
  return { actor: commandLineActor(), ...(note !== undefined && { note }) };
}
