import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { freePort } from '../support/curfew.ts';
import { type CurfewProcess, runProcess, startProcess, temporaryFolder } from '../support/server-process.ts';

const DEMO_READY = /Stop with Ctrl-C/;
const CURFEW_YAML = `
clients:
  - client_id: notes
    redirect_uris: [http://127.0.0.1:5000/cb]
`;

describe('who has looked at the demo and goes on with clients of their own', () => {
  let cwd: string;
  let env: Record<string, string>;
  let demo: CurfewProcess;

  beforeEach(async () => {
    cwd = await temporaryFolder();
    env = { PORT: String(await freePort()) };
    writeFileSync(join(cwd, 'curfew.yaml'), CURFEW_YAML);
    demo = await startProcess({ cwd, env, until: DEMO_READY });
  });

  async function clientsInForce(): Promise<string[]> {
    const { stdout } = await runProcess({ cwd, env, args: ['client', 'list', '--json'] });
    const clients = JSON.parse(stdout) as { clientId: string; disabledAt?: string | null }[];
    return clients.filter(({ disabledAt }) => !disabledAt).map(({ clientId }) => clientId);
  }

  it('finds what they applied beside it after a restart, rather than the demo again', async () => {
    expect(await runProcess({ cwd, env, args: ['apply', 'curfew.yaml'] })).toMatchObject({ code: 0 });
    await demo.stop();

    const again = await startProcess({ cwd, env });
    expect(await again.printed(/No demo starts here, for somebody has declared clients or policy/)).toBeTruthy();
    expect(again.stdout()).not.toContain('Team Wiki');
    expect(await clientsInForce()).toEqual(['notes']);
    await again.stop();
  });

  it('has CONFIG applied in the place of the demo at once, and is reminded of its accounts', async () => {
    await demo.stop();
    const own = await startProcess({ cwd, env: { ...env, CONFIG: 'curfew.yaml' } });
    expect(own.stdout()).toMatch(/Applied \S+curfew\.yaml:\n\+ client notes\n- client payroll-admin: gets disabled/);
    expect(own.stdout()).toMatch(/Secret of client notes, shown only now: \S{43}\n/);
    expect(own.stdout()).toContain('accounts alice and admin may still sign in');
    expect(await clientsInForce()).toEqual(['notes']);
    await own.stop();
  });
});

it('tells whoever starts without a demo how somebody gets to sign in', async () => {
  const cwd = await temporaryFolder();
  writeFileSync(join(cwd, 'curfew.yaml'), CURFEW_YAML);
  const server = await startProcess({ cwd, env: { CONFIG: 'curfew.yaml' } });
  expect(await server.printed(/Nobody can sign in yet: npx curfew account add --login NAME/)).toBeTruthy();
  await server.stop();
});
