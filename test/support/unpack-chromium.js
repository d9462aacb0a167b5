// Unpacks the browser into TMPDIR. A process of its own, because the package changes the environment as it goes.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import chromium, { inflate } from '@sparticuz/chromium';

const build = dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium'));
await chromium.executablePath();
// Libraries that a system without a desktop may lack.
await inflate(join(build, '..', '..', 'bin', 'al2023.tar.br'));
