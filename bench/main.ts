import { type Arguments, HELP, parseArguments } from './arguments.ts';
import { CONTENDER_NAMES, type Contender, startContender } from './contender.ts';
import { makeAccounts } from './fixtures.ts';
import { createHttpClient, type HttpClient } from './http-client.ts';
import { countOperation, measureTurn, type OperationCounts, type Turn } from './measure.ts';
import { type BenchPostgres, startPostgres } from './postgres.ts';
import { chooseCores, pin } from './processes.ts';
import { describeMachine, writeResults } from './report-files.ts';
import { resultRows, stormRows, textTable } from './report-table.ts';
import { measureStorm, type StormTurn } from './storm.ts';
import { summarise, summariseStorm } from './summary.ts';
import { STORM, WORKLOAD_NAMES, WORKLOADS } from './workloads.ts';

interface Running extends Contender {
  http: HttpClient;
}

/** Turns as they are made, in the order of the rounds: what happens to the machine happens to all contenders. */
async function run(settings: Arguments, postgres: BenchPostgres, contenders: readonly Running[]) {
  const turns: Turn[] = [];
  const storms: StormTurn[] = [];
  const counts: OperationCounts[] = [];
  const notApplicable: { workload: string; contender: string }[] = [];
  const workloads = WORKLOADS.filter(({ name }) => settings.workloads.includes(name));
  const withStorm = settings.workloads.includes(STORM);
  const unable = new Set<string>();

  for (const workload of workloads) {
    for (const contender of contenders) {
      try {
        const count = await countOperation(contender, contender.http, workload, postgres);
        counts.push(count);
        progress(
          `counted ${workload.name} · ${contender.name}: ${count.statements.toFixed(1)} statements, ${count.commits.toFixed(1)} commits`,
        );
        if (settings.statements) printStatements(count);
      } catch (error) {
        if (!workload.optional) throw error;
        unable.add(`${workload.name} ${contender.name}`);
        notApplicable.push({ workload: workload.title, contender: contender.name });
        progress(`${workload.name} · ${contender.name}: n/a (${error instanceof Error ? error.message : error})`);
      }
    }
  }

  const all =
    settings.rounds * contenders.length * (workloads.length + (withStorm ? 1 : 0)) - settings.rounds * unable.size;
  let done = 0;
  for (let round = 1; round <= settings.rounds; round += 1) {
    for (const workload of workloads) {
      for (const contender of contenders) {
        if (unable.has(`${workload.name} ${contender.name}`)) continue;
        const turn = await measureTurn(contender, contender.http, workload, postgres, { ...settings, round });
        turns.push(turn);
        done += 1;
        progress(
          `[${done}/${all}] round ${round} ${workload.name} · ${contender.name}: ${turn.perSecond.toFixed(0)}/s, ` +
            `p50 ${turn.p50Ms.toFixed(1)} ms, p99 ${turn.p99Ms.toFixed(1)} ms, ` +
            `CPU ${turn.serverCpuMs.toFixed(2)} + ${turn.postgresCpuMs.toFixed(2)} ms`,
        );
      }
    }
    for (const contender of withStorm ? contenders : []) {
      const turn = await measureStorm(contender, contender.http, postgres, { ...settings, round });
      storms.push(turn);
      done += 1;
      const [line] = summariseStorm([turn]);
      progress(
        `[${done}/${all}] round ${round} storm · ${contender.name}: introspection p99 ${line?.quietP99Ms.toFixed(1)} ms quiet, ` +
          `${line?.stormP99Ms.toFixed(1)} ms in the storm, ${turn.signInsPerSecond.toFixed(1)} sign-ins/s`,
      );
    }
  }
  return { turns, storms, counts, notApplicable };
}

/** What is kept must not come from a part of the run, from a profiled one or from another build. */
function isWhole({ write, workloads, contenders, profile, dist }: Arguments): boolean {
  const everything = WORKLOAD_NAMES.every((name) => workloads.includes(name));
  const everyone = CONTENDER_NAMES.every((name) => contenders.includes(name));
  return write && everything && everyone && profile === undefined && dist === undefined;
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}

function printStatements({ texts }: OperationCounts): void {
  for (const { calls, milliseconds, query } of texts) {
    progress(`  ${calls.toFixed(2)} × ${milliseconds.toFixed(3)} ms  ${query.slice(0, 180)}`);
  }
}

async function main(): Promise<void> {
  const settings = parseArguments(process.argv.slice(2));
  if (settings === undefined) {
    process.stdout.write(`${HELP}\n`);
    return;
  }
  const cores = await chooseCores();
  if (cores) await pin(process.pid, cores.load);
  else progress('No second core or no taskset: nothing is pinned, so only the CPU figures can be compared.');
  progress('starting Postgres and the contenders …');
  const accounts = await makeAccounts();
  // In a profile, time that Postgres has the server's core would look like the server's own.
  const postgres = await startPostgres(settings.profile === undefined ? cores?.served : cores?.load);
  const contenders: Running[] = [];
  try {
    for (const name of settings.contenders) {
      const contender = await startContender(name, { ...settings, postgres, accounts });
      contenders.push({ ...contender, http: createHttpClient(contender.issuer) });
    }
    const measured = await run(settings, postgres, contenders);
    const lines = summarise(measured.turns, measured.counts);
    const stormLines = summariseStorm(measured.storms);
    process.stdout.write(`\n${textTable(resultRows(lines))}\n`);
    if (stormLines.length > 0) process.stdout.write(`\n${textTable(stormRows(stormLines))}\n`);
    if (isWhole(settings)) {
      const { rounds, seconds, warmUpSeconds } = settings;
      const { turns, counts, notApplicable } = measured;
      await writeResults(new URL('./', import.meta.url), {
        measuredAt: new Date().toISOString(),
        machine: describeMachine(postgres.version, cores !== undefined),
        settings: { rounds, seconds, warmUpSeconds },
        lines,
        stormLines,
        notApplicable,
        turns,
        counts,
      });
    }
  } finally {
    for (const { http, stop } of contenders) {
      await http.close();
      await stop();
    }
    await postgres.stop();
  }
}

// Contenders and Postgres end with this process, which has to end by itself for that.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  if (error instanceof Error && error.cause instanceof Error) process.stderr.write(`${error.cause.message}\n`);
  process.exitCode = 1;
}
