import { createServer, type Server } from 'node:http';
import type { DemoPortNumbers } from './demo-declaration.ts';

const LOOPBACK = '127.0.0.1';

/** Ports that listen already, so that nobody takes them between being chosen and being used. */
export interface DemoPorts {
  numbers: DemoPortNumbers;
  /** Those that were wanted and are in use by others. */
  taken: number[];
  servers: readonly [wiki: Server, payroll: Server];
  close(): Promise<void>;
}

/** Opens the ports of the demo; where a wanted one is taken, a free one. Until clients start there, they answer 503. */
export async function openDemoPorts(wanted: DemoPortNumbers = [4001, 4002]): Promise<DemoPorts> {
  const wiki = await openPort(wanted[0]);
  const payroll = await openPort(wanted[1]);
  return {
    numbers: [wiki.port, payroll.port],
    taken: wanted.filter((port, i) => port !== [wiki, payroll][i]?.port),
    servers: [wiki.server, payroll.server],
    async close() {
      await Promise.all([wiki, payroll].map(({ server }) => closeServer(server)));
    },
  };
}

async function openPort(wanted: number): Promise<{ server: Server; port: number }> {
  const server = createServer((_request, response) => {
    response.writeHead(503, { 'retry-after': '1', 'content-type': 'text/plain' }).end('Starting …\n');
  });
  try {
    await listen(server, wanted);
  } catch (error) {
    if (!isTaken(error)) throw error;
    await listen(server, 0);
  }
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a listening server has a port');
  return { server, port: address.port };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, LOOPBACK, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function isTaken(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EADDRINUSE' || code === 'EACCES';
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
