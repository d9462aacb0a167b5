import { createServer } from 'node:http';
import { demoYaml } from '../../src/demo/demo-declaration.ts';
import { openDemoPorts } from '../../src/demo/demo-ports.ts';
import { startDemoClients } from '../../src/demo/start-demo-clients.ts';
import { type Curfew, freePort, SECRET, startCurfew } from './curfew.ts';

/** As in the demo, but that nothing except its person keeps a session alive, and nothing except the end ends a token. */
const DEMO_POLICY = `
  default: { idle: 2m, absolute: 10m, accessToken: 1h, warnBefore: 30s, activity: [interactive] }
  rules:
    - name: restricted data
      when: { data: [restricted] }
      limits: { idle: 1m, absolute: 4m, warnBefore: 20s, activity: [interactive], offline: forbid }
`;

export interface DemoCurfew extends Curfew {
  /** Address of the demo client that anybody may read. */
  wiki: string;
  /** Address of the demo client that serves restricted data. */
  payroll: string;
  /** Redirect URIs of the two clients that only say "Arrived". */
  redirectUris: { app: string; third: string };
}

/**
 * Curfew with the two demo clients in front of it, `app` for tests that hold tokens themselves, and `third`, which asks
 * for consent.
 */
export async function startDemoCurfew({ policy = DEMO_POLICY }: { policy?: string } = {}): Promise<DemoCurfew> {
  const ports = await openDemoPorts([0, 0]);
  const [clients = ''] = demoYaml(ports.numbers).split('policy:');
  const arrival = createServer((_request, response) => {
    response
      .writeHead(200, { 'content-type': 'text/html' })
      .end('<!doctype html><link rel="icon" href="data:,"><h1>Arrived</h1>');
  });
  const port = await freePort();
  await new Promise<void>((resolve) => arrival.listen(port, '127.0.0.1', resolve));
  const redirectUris = { app: `http://127.0.0.1:${port}/app`, third: `http://127.0.0.1:${port}/third` };
  const curfew = await startCurfew({
    yaml: `${clients}
  - client_id: app
    redirect_uris: [${redirectUris.app}]
    grant_types: [authorization_code, refresh_token]
    first_party: true
  - client_id: third
    client_name: Third Party
    redirect_uris: [${redirectUris.third}]
policy:${policy}`,
  });
  const demo = startDemoClients({
    issuer: curfew.issuer,
    ports,
    secrets: { 'team-wiki': SECRET, 'payroll-admin': SECRET },
    log: { warn: () => undefined, error: () => undefined },
  });
  const [wiki = '', payroll = ''] = demo.addresses.map(({ address }) => address);
  return {
    ...curfew,
    wiki,
    payroll,
    redirectUris,
    async close() {
      arrival.closeAllConnections();
      arrival.close();
      await demo.close();
      await curfew.close();
    },
  };
}
