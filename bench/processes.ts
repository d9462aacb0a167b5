import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** USER_HZ, which Linux fixes at 100 for programs. @see proc(5) */
const TICKS_PER_SECOND = 100;

interface ProcessTimes {
  parent: number;
  ownSeconds: number;
  /** Of children that have ended and were waited for. */
  endedChildrenSeconds: number;
}

async function timesOf(pid: number): Promise<ProcessTimes | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat === undefined) return undefined;
  // The name, in parentheses, may contain spaces.
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [parent = 0, utime = 0, stime = 0, cutime = 0, cstime = 0] = [1, 11, 12, 13, 14].map((at) => fields[at]);
  return {
    parent,
    ownSeconds: (utime + stime) / TICKS_PER_SECOND,
    endedChildrenSeconds: (cutime + cstime) / TICKS_PER_SECOND,
  };
}

/** CPU time of one process with all its threads, seconds. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  return (await timesOf(pid))?.ownSeconds ?? Number.NaN;
}

/** CPU time of a process and of all its children, those that ended included: a Postgres with its backends. */
export async function cpuSecondsOfTree(pid: number): Promise<number> {
  const root = await timesOf(pid);
  if (root === undefined) return Number.NaN;
  const children = await Promise.all((await childrenOf(pid)).map(timesOf));
  return children.reduce((sum, child) => sum + (child?.ownSeconds ?? 0), root.ownSeconds + root.endedChildrenSeconds);
}

export async function childrenOf(pid: number): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter(Number.isInteger);
  const parents = await Promise.all(pids.map(async (each) => (await timesOf(each))?.parent));
  return pids.filter((_, at) => parents[at] === pid);
}

export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

/** One core for what is measured and one for the load. */
export interface Cores {
  served: string;
  load: string;
}

/** @returns undefined where processes can't be pinned or there is one core only */
export async function chooseCores(): Promise<Cores | undefined> {
  const status = await readFile('/proc/self/status', 'utf8');
  const list = /^Cpus_allowed_list:\s+(\S+)/m.exec(status)?.[1] ?? '';
  const cores = list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, at) => String(first + at));
  });
  const hasTaskset = await run('taskset', ['--version']).then(
    () => true,
    () => false,
  );
  const [served, load] = cores;
  return hasTaskset && served !== undefined && load !== undefined ? { served, load } : undefined;
}

/** Pins a process with its threads; children made later inherit it. */
export async function pin(pid: number, core: string): Promise<void> {
  await run('taskset', ['--all-tasks', '--cpu-list', '--pid', core, String(pid)]);
}
