import { Command } from 'commander';
import type { Account } from '../accounts/account.ts';
import {
  createAccount,
  deleteAccount,
  disableAccount,
  enableAccount,
  findAccountByLogin,
  listAccounts,
  setPassword,
  updateAccount,
} from '../accounts/accounts.ts';
import { createPasswordHasher } from '../accounts/password-hasher.ts';
import { AppError } from '../errors.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import type { Database } from '../storage/database.ts';
import { commandLineActor, parseList, parseNote } from './options.ts';
import { counted, type OutputOptions, printJson, printLine, printRows } from './output.ts';
import { readPassword } from './read-password.ts';
import { withDatabase } from './with-database.ts';

interface Profile {
  login?: string;
  email?: string;
  name?: string;
  roles?: string[];
  groups?: string[];
}

interface PasswordOptions {
  passwordStdin?: boolean;
}

interface NoteOptions {
  note?: string;
}

export function accountCommand(): Command {
  const account = new Command('account').description('people who may sign in');
  addAdd(account);
  addUpdate(account);
  addSetPassword(account);
  addLogout(account);
  account
    .command('list')
    .description('list all accounts')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  curfew account list --json')
    .action(list);
  account
    .command('disable')
    .description('end all sessions of an account and let it sign in no more')
    .argument('<login>')
    .option('--note <text>', 'why, for the audit log', parseNote)
    .addHelpText('after', '\nExample:\n  curfew account disable alice --note "left the company"')
    .action((login: string, { note }: NoteOptions) =>
      withAccount(login, async (db, { id }) => {
        const { ended } = await disableAccount(db, id, actWith(note));
        printLine(`Account ${login} is disabled; ${counted(ended, 'session')} ended.`);
      }),
    );
  account
    .command('enable')
    .description('let a disabled account sign in again')
    .argument('<login>')
    .addHelpText('after', '\nExample:\n  curfew account enable alice')
    .action((login: string) =>
      withAccount(login, async (db, { id }) => {
        await enableAccount(db, id, actWith(undefined));
        printLine(`Account ${login} is enabled.`);
      }),
    );
  account
    .command('delete')
    .description('delete an account; its sessions end and stay in the records')
    .argument('<login>')
    .option('--note <text>', 'why, for the audit log', parseNote)
    .addHelpText('after', '\nExample:\n  curfew account delete alice --note "asked for it"')
    .action((login: string, { note }: NoteOptions) =>
      withAccount(login, async (db, { id }) => {
        const { ended } = await deleteAccount(db, id, actWith(note));
        printLine(`Account ${login} is deleted; ${counted(ended, 'session')} ended.`);
      }),
    );
  return account;
}

function addProfileOptions(command: Command): Command {
  return command
    .option('--email <address>', 'e-mail address; empty for none')
    .option('--name <name>', 'name to show; empty for none')
    .option('--roles <list>', 'roles, separated by commas; empty for none', parseList)
    .option('--groups <list>', 'groups, separated by commas; empty for none', parseList);
}

function addAdd(account: Command): void {
  const add = account
    .command('add')
    .description('add an account')
    .requiredOption('--login <login>', 'what to sign in with');
  addProfileOptions(add)
    .option('--password-stdin', 'read the password from standard input')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  curfew account add --login alice --email alice@example.com --roles admin --groups staff,ops
  pass show alice | curfew account add --login alice --password-stdin`,
    )
    .action(
      async ({
        login = '',
        email,
        name,
        roles,
        groups,
        json,
        ...options
      }: Profile & PasswordOptions & OutputOptions) => {
        const password = await readPassword(options);
        await withDatabase(async ({ db, config }) => {
          const created = await createAccount(
            { db, hasher: createPasswordHasher(config.passwords) },
            {
              login,
              password,
              ...(email && { email }),
              ...(name && { name }),
              ...(roles && { roles }),
              ...(groups && { groups }),
            },
            actWith(undefined),
          );
          if (json) printJson(created);
          else printLine(`Account ${created.login} is added (${created.id}).`);
        });
      },
    );
}

function addUpdate(account: Command): void {
  const update = account
    .command('update')
    .description('change what is known of an account')
    .argument('<login>')
    .option('--login <login>', 'another login');
  addProfileOptions(update)
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  curfew account update alice --roles admin,auditor --name ""')
    .action((login: string, { email, name, json, ...options }: Profile & OutputOptions) => {
      const change = { ...options, ...orNull({ email, name }) };
      if (Object.keys(change).length === 0) {
        throw new AppError('usage', 'nothing to change: use --login, --email, --name, --roles or --groups');
      }
      return withAccount(login, async (db, { id }) => {
        const updated = await updateAccount(db, id, change, actWith(undefined));
        if (json) printJson(updated);
        else printLine(`Account ${updated.login} is updated.`);
      });
    });
}

function addSetPassword(account: Command): void {
  account
    .command('set-password')
    .description('set a password and end all sessions of the account')
    .argument('<login>')
    .option('--password-stdin', 'read the password from standard input')
    .addHelpText('after', '\nExample:\n  curfew account set-password alice')
    .action(async (login: string, options: PasswordOptions) => {
      const password = await readPassword(options);
      await withDatabase(async ({ db, config }) => {
        const { id: accountId } = await requireAccount(db, login);
        const hasher = createPasswordHasher(config.passwords);
        const { ended } = await setPassword({ db, hasher }, { accountId, password }, actWith(undefined));
        printLine(`The password of ${login} is set; ${counted(ended, 'session')} ended.`);
      });
    });
}

function addLogout(account: Command): void {
  account
    .command('logout')
    .description('end all sessions of an account, those for offline access too')
    .argument('<login>')
    .requiredOption('--note <text>', 'why, for the audit log', parseNote)
    .addHelpText('after', '\nExample:\n  curfew account logout alice --note "laptop stolen"')
    .action((login: string, { note }: NoteOptions) =>
      withAccount(login, async (db, { id: accountId }) => {
        const { ended } = await endSessions(db, { accountId }, { reason: 'admin_forced', ...actWith(note) });
        printLine(`Account ${login} is signed out; ${counted(ended, 'session')} ended.`);
      }),
    );
}

async function list({ json = false }: OutputOptions): Promise<void> {
  const accounts = await withDatabase(({ db }) => listAccounts(db));
  printRows(
    accounts,
    [
      ['login', ({ login }) => login],
      ['name', ({ name }) => name],
      ['email', ({ email }) => email],
      ['roles', ({ roles }) => roles],
      ['groups', ({ groups }) => groups],
      ['disabled', ({ disabledAt }) => disabledAt],
      ['id', ({ id }) => id],
    ],
    { json, none: 'There are no accounts: add one with `curfew account add`.' },
  );
}

async function withAccount(login: string, work: (db: Database, account: Account) => Promise<void>): Promise<void> {
  await withDatabase(async ({ db }) => work(db, await requireAccount(db, login)));
}

async function requireAccount(db: Database, login: string): Promise<Account> {
  const account = await findAccountByLogin(db, login);
  if (account === undefined) throw new AppError('not_found', `there is no account with the login ${login}`);
  return account;
}

function actWith(note: string | undefined): { actor: string; note?: string } {
  return { actor: commandLineActor(), ...(note !== undefined && { note }) };
}

/** Given and empty means: to be removed. */
function orNull<K extends string>(values: Record<K, string | undefined>): { [P in K]?: string | null } {
  const given = Object.entries<string | undefined>(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([key, value]) => [key, value || null])) as { [P in K]?: string | null };
}
