import { type CurfewYaml, parseCurfewYaml } from '../clients/curfew-yaml.ts';

/** The two clients of the demo, in the order of their ports, and what applies to a plain person there. */
export const DEMO_CLIENTS = [
  { clientId: 'team-wiki', name: 'Team Wiki', kind: 'wiki', idle: '2m', absolute: '10m' },
  { clientId: 'payroll-admin', name: 'Payroll Admin', kind: 'payroll', idle: '1m', absolute: '4m' },
] as const;

export type DemoClientId = (typeof DEMO_CLIENTS)[number]['clientId'];
export type DemoKind = (typeof DEMO_CLIENTS)[number]['kind'];
/** What the policy of the demo is said to come from. */
export const DEMO_SOURCE = 'demo';

export type DemoPortNumbers = readonly [wiki: number, payroll: number];

/**
 * Where a demo client is met. Not `localhost`, where the issuer is: cookies ignore ports, so that the clients would be
 * sent the cookies of the provider.
 */
export function demoOrigin(port: number): string {
  return `http://127.0.0.1:${port}`;
}

/** What an administrator would write for the demo: limits short enough to be watched. */
export function demoYaml([wiki, payroll]: DemoPortNumbers): string {
  const [plain, restricted] = DEMO_CLIENTS;
  const client = (port: number, index: 0 | 1) => `
  - client_id: ${DEMO_CLIENTS[index].clientId}
    client_name: ${DEMO_CLIENTS[index].name}
    client_uri: ${demoOrigin(port)}/
    redirect_uris: [${demoOrigin(port)}/callback]
    post_logout_redirect_uris: [${demoOrigin(port)}/]
    backchannel_logout_uri: ${demoOrigin(port)}/backchannel-logout
    backchannel_logout_session_required: true
    grant_types: [authorization_code, refresh_token]
    scope: openid profile email
    first_party: true
    presence: true`;
  return `# The demo. Real limits are longer: see the built-in default.
clients:${client(wiki, 0)}${client(payroll, 1)}
    data: [restricted]
policy:
  default: { idle: ${plain.idle}, absolute: ${plain.absolute}, accessToken: 1m, warnBefore: 30s, activity: [interactive, refresh] }
  rules:
    - name: privileged people
      when: { roles: [admin] }
      limits: { idle: 90s, absolute: 8m, concurrent: 1, activity: [interactive] }
    - name: restricted data
      when: { data: [restricted] }
      limits: { idle: ${restricted.idle}, absolute: ${restricted.absolute}, warnBefore: 20s, activity: [interactive], offline: forbid }
`;
}

/** @throws AppError `invalid_configuration` never, unless the file above is wrong */
export function demoDeclaration({ ports }: { ports: DemoPortNumbers }): CurfewYaml {
  return parseCurfewYaml(demoYaml(ports), { fileName: DEMO_SOURCE });
}
