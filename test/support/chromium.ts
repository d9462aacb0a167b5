import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Browser, chromium } from 'playwright-core';

const run = promisify(execFile);
const UNPACK = fileURLToPath(new URL('./unpack-chromium.js', import.meta.url));
const CACHE = fileURLToPath(new URL('../../node_modules/.cache', import.meta.url));

/**
 * Starts the real browser that npm brought, or the one that `CHROMIUM_PATH` names (the packaged one is for Linux x64).
 */
export async function launchChromium(): Promise<Browser> {
  const own = process.env.CHROMIUM_PATH;
  if (own !== undefined) return chromium.launch({ executablePath: own });
  const folder = await unpack();
  const executablePath = join(folder, 'chromium');
  return chromium.launch({
    executablePath,
    // Root may not use the sandbox; /dev/shm is small in containers.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--font-render-hinting=none'],
    env: { ...definedEnvironment(), FONTCONFIG_PATH: join(folder, 'fonts'), ...(await missingLibraries(folder)) },
  });
}

/** Unpacked once for all runs; of test files that start together each may unpack, and the first to finish wins. */
async function unpack(): Promise<string> {
  const folder = join(CACHE, `chromium-${await packagedVersion()}`);
  if (await exists(folder)) return folder;
  const draft = join(CACHE, `.chromium-${randomBytes(6).toString('hex')}`);
  await mkdir(draft, { recursive: true });
  try {
    await run(process.execPath, [UNPACK], { env: { ...process.env, NODE_OPTIONS: '', TMPDIR: draft } });
    await writeFile(join(draft, 'fonts', 'fonts.conf'), fontConfiguration(join(folder, 'fonts')));
    await rename(draft, folder).catch(async (error: unknown) => {
      if (!(await exists(folder))) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return folder;
}

/** The package's libraries only where the system has none: they are older than what newer systems bring. */
async function missingLibraries(folder: string): Promise<Record<string, string>> {
  const { stdout } = await run('ldd', [join(folder, 'chromium')]);
  if (!stdout.includes('not found')) return {};
  return { LD_LIBRARY_PATH: [join(folder, 'al2023', 'lib'), process.env.LD_LIBRARY_PATH].filter(Boolean).join(':') };
}

async function packagedVersion(): Promise<string> {
  const root = join(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium')), '..', '..');
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  return version;
}

function fontConfiguration(fonts: string): string {
  const folders = [join(fonts, 'fonts'), '/usr/share/fonts'].map((folder) => `<dir>${folder}</dir>`).join('');
  return `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>${folders}<cachedir>${join(fonts, 'cache')}</cachedir></fontconfig>\n`;
}

function definedEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
