import { Command, Option } from 'commander';
import { findAccountByLogin } from '../accounts/accounts.ts';
import { AppError } from '../errors.ts';
import { END_REASONS, type EndReason } from '../policy/end-reason.ts';
import type { SessionKind } from '../policy/limits.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import {
  findSessionDetails,
  type LifeState,
  listSessions,
  type SessionFilter,
  type SessionSummary,
} from '../sessions/session-queries.ts';
import type { Database } from '../storage/database.ts';
import { describeSession, sessionColumns } from './describe-session.ts';
import { commandLineActor, parseCount, parseNote } from './options.ts';
import { counted, type OutputOptions, printJson, printLine, printRows } from './output.ts';
import { withDatabase } from './with-database.ts';

const MAX_LISTED = 10_000;

interface ListOptions extends OutputOptions {
  account?: string;
  client?: string;
  kind?: SessionKind;
  state?: LifeState;
  reason?: EndReason;
  limit: number;
}

export function sessionCommand(): Command {
  const session = new Command('session').description('who is signed in, until when, and why it ended');
  session
    .command('list')
    .description('list sessions, the newest first')
    .option('--account <login>', 'of this account only')
    .option('--client <client-id>', 'in which this client takes or took part only')
    .addOption(new Option('--kind <kind>', 'of this kind only').choices(['browser', 'offline', 'device']))
    .addOption(new Option('--state <state>', 'in this state only').choices(['live', 'ended']))
    .addOption(new Option('--reason <reason>', 'ended for this reason only').choices(END_REASONS))
    .option('--limit <count>', 'at most so many', parseCount(MAX_LISTED), 50)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  curfew session list --account alice --state live
  curfew session list --state ended --reason idle_timeout --limit 10 --json`,
    )
    .action(list);
  session
    .command('show')
    .description('show a session: its limits and what set each, deadlines, clients, deliveries')
    .argument('<uid>')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  curfew session show xEqcLwMGbgXg0Wy1ZpnXk --json')
    .action(show);
  session
    .command('end')
    .description('end a session now')
    .argument('<uid>')
    .requiredOption('--note <text>', 'why, for the audit log', parseNote)
    .addHelpText('after', '\nExample:\n  curfew session end xEqcLwMGbgXg0Wy1ZpnXk --note "shared computer"')
    .action(end);
  return session;
}

async function list({ account, client, kind, state, reason, limit, json = false }: ListOptions): Promise<void> {
  const sessions = await withDatabase(async ({ db }) => {
    const filter: SessionFilter = {
      limit,
      ...(account !== undefined && { accountId: await requireAccountId(db, account) }),
      ...(client !== undefined && { clientId: client }),
      ...(kind && { kind }),
      ...(state && { state }),
      ...(reason && { reason }),
    };
    return listSessions(db, filter);
  });
  printRows<SessionSummary>(sessions, sessionColumns, { json, none: 'There are no such sessions.' });
}

async function show(uid: string, { json }: OutputOptions): Promise<void> {
  const session = await withDatabase(({ db }) => findSessionDetails(db, uid));
  if (session === undefined) throw noSession(uid);
  if (json) printJson(session);
  else printLine(describeSession(session));
}

async function end(uid: string, { note }: { note: string }): Promise<void> {
  const { ended, session } = await withDatabase(async ({ db }) => {
    const act = { reason: 'admin_forced', actor: commandLineActor(), note } as const;
    const { ended } = await endSessions(db, { uids: [uid] }, act);
    return { ended, session: await findSessionDetails(db, uid) };
  });
  if (session === undefined) throw noSession(uid);
  if (ended > 0) printLine(`${counted(ended, 'session')} ended.`);
  else printLine(`The session was over already: ${session.endReason} at ${session.endedAt?.toISOString()}.`);
}

async function requireAccountId(db: Database, login: string): Promise<string> {
  const account = await findAccountByLogin(db, login);
  if (account === undefined) throw new AppError('not_found', `--account: there is no account with the login ${login}`);
  return account.id;
}

function noSession(uid: string): AppError {
  return new AppError('not_found', `there is no session ${uid}`);
}
