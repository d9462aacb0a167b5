import type { Adapter, AdapterPayload } from 'oidc-provider';
import { findClient } from '../clients/registry.ts';
import type { Database } from '../storage/database.ts';
import { currentContext, stateOf } from './request-state.ts';

/** Hands registered clients to oidc-provider, read anew each time: a disabled one is unknown at once. */
export function createClientAdapter(db: Database): Adapter {
  const refuse = async (): Promise<never> => {
    throw new Error('clients are declared in curfew.yaml');
  };
  return {
    async find(clientId) {
      const client = await findClient(db, clientId);
      if (client === undefined || client.disabledAt !== undefined) return undefined;
      stateOf(currentContext()).clients.set(clientId, client);
      return {
        ...client.metadata,
        client_id: clientId,
        // Of the secret we know the hash: what is presented is hashed before it is compared with this.
        ...(client.secretHash && { client_secret: Buffer.from(client.secretHash).toString('base64url') }),
      } as AdapterPayload;
    },
    upsert: refuse,
    destroy: refuse,
    consume: refuse,
    findByUid: refuse,
    findByUserCode: refuse,
    revokeByGrantId: refuse,
  };
}
