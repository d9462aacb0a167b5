import * as client from 'openid-client';
import type { Browser, Page } from './browser.ts';
import { type Curfew, PASSWORD, SECRET } from './curfew.ts';
import { newBrowser, type Tokens } from './relying-party.ts';

export const DEVICE_YAML = `
clients:
  - client_id: tv
    client_name: Living Room
    token_endpoint_auth_method: none
    grant_types: [urn:ietf:params:oauth:grant-type:device_code, refresh_token]
    first_party: true
    backchannel_logout_uri: https://tv.example/backchannel
  - client_id: terminal
    client_name: Terminal
    grant_types: [urn:ietf:params:oauth:grant-type:device_code, refresh_token]
  - client_id: app
    redirect_uris: [https://app.example/cb]
    grant_types: [authorization_code, refresh_token]
    first_party: true
policy:
  default: { idle: 15m, absolute: 8h, accessToken: 1h, activity: [interactive, refresh], device: { idle: 2d, absolute: 10d } }
  rules: []
`;

export interface Device {
  configuration: client.Configuration;
  /** Asks for a device code. */
  begin(scope?: string): Promise<client.DeviceAuthorizationResponse>;
  /** Asks once for tokens, as a device does again and again. */
  poll(deviceCode: string): Promise<Tokens>;
  refresh(refreshToken: string | undefined): Promise<Tokens>;
  introspect(token: string): Promise<client.IntrospectionResponse>;
}

/** A device on openid-client, as somebody would write it. */
export async function device(issuer: string, clientId = 'tv'): Promise<Device> {
  const authentication = clientId === 'tv' ? client.None() : client.ClientSecretBasic(SECRET);
  const configuration = await client.discovery(new URL(issuer), clientId, {}, authentication, {
    execute: [client.allowInsecureRequests],
  });
  return {
    configuration,
    begin: (scope = 'openid profile') => client.initiateDeviceAuthorization(configuration, { scope }),
    poll: (deviceCode) =>
      client.genericGrantRequest(configuration, 'urn:ietf:params:oauth:grant-type:device_code', {
        device_code: deviceCode,
      }),
    refresh: (refreshToken) => client.refreshTokenGrant(configuration, refreshToken ?? ''),
    introspect: (token) => client.tokenIntrospection(configuration, token),
  };
}

/** Enters a user code, as far as the question whether to allow the device. */
export async function enterCode(curfew: Pick<Curfew, 'issuer'>, browser: Browser, userCode: string): Promise<Page> {
  return browser.submit(await browser.open(`${curfew.issuer}/device`), { user_code: userCode });
}

/** Enters a user code and allows the device, signing in and consenting on the way if asked. */
export async function approve(
  curfew: Pick<Curfew, 'issuer'>,
  userCode: string,
  { login = 'alice', browser = newBrowser(curfew.issuer) }: { login?: string; browser?: Browser } = {},
): Promise<{ browser: Browser; page: Page }> {
  let page = await browser.submit(await enterCode(curfew, browser, userCode), {}, 'Allow this device');
  if (page.text.includes('name="password"')) page = await browser.submit(page, { login, password: PASSWORD }, '/login');
  if (page.text.includes('/consent"')) page = await browser.submit(page, {}, '/consent');
  return { browser, page };
}
