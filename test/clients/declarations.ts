import { type CurfewYaml, parseCurfewYaml } from '../../src/clients/curfew-yaml.ts';

export function declared(text: string): CurfewYaml {
  return parseCurfewYaml(text, { fileName: 'curfew.yaml' });
}

export const notes = `
  - client_id: notes
    redirect_uris: [https://notes.example.com/cb]
    backchannel_logout_uri: https://notes.example.com/logout
    data: [restricted]
    first_party: true`;

export const chat = `
  - client_id: chat
    redirect_uris: [https://chat.example.com/cb]
    token_endpoint_auth_method: none
    presence: true`;

export const robot = `
  - client_id: robot
    redirect_uris: []
    grant_types: [client_credentials]`;
