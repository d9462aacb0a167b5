import type { ErrorLog } from '../pages/error-handler.ts';
import { formatDuration, parseDuration } from '../policy/durations.ts';
import { createCurfewClient } from './curfew-client.ts';
import { createDemoApp } from './demo-app.ts';
import { DEMO_CLIENTS, type DemoClientId, demoOrigin } from './demo-declaration.ts';
import type { DemoPorts } from './demo-ports.ts';

export interface DemoClientsOptions {
  issuer: string;
  /** From `openDemoPorts`; closed with the clients. */
  ports: DemoPorts;
  secrets: Record<DemoClientId, string>;
  log: ErrorLog;
}

export interface RunningDemo {
  addresses: { name: string; address: string }[];
  close(): Promise<void>;
}

/** Starts the demo clients on ports that are open already. Curfew itself may start later: they discover it when needed. */
export function startDemoClients({ issuer, ports, secrets, log }: DemoClientsOptions): RunningDemo {
  const addresses = DEMO_CLIENTS.map(({ name }, i) => ({
    name,
    address: `${demoOrigin(ports.numbers[i === 0 ? 0 : 1])}/`,
  }));
  DEMO_CLIENTS.forEach(({ clientId, name, kind, idle, absolute }, i) => {
    const origin = demoOrigin(ports.numbers[i === 0 ? 0 : 1]);
    const client = createCurfewClient({ issuer, clientId, clientSecret: secrets[clientId], origin });
    const other = addresses[i === 0 ? 1 : 0] ?? { name: '', address: issuer };
    const cookieName = `${clientId}_session`;
    const [idleText, absoluteText] = [idle, absolute].map((limit) => formatDuration(parseDuration(limit)));
    const limits = `Here a session ends after ${idleText} without activity, and after ${absoluteText} at the latest.`;
    const app = createDemoApp({ site: { name, kind, issuer, limits, other }, origin, cookieName, client, log });
    ports.servers[i === 0 ? 0 : 1].removeAllListeners('request').on('request', app.callback());
  });
  return { addresses, close: () => ports.close() };
}
