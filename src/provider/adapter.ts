import type { AdapterFactory } from 'oidc-provider';
import type { PayloadCipher } from '../artifacts/payload-cipher.ts';
import type { PolicyInForce } from '../sessions/begin-session.ts';
import type { Database } from '../storage/database.ts';
import { createArtifactAdapter } from './artifact-adapter.ts';
import { createClientAdapter } from './client-adapter.ts';
import type { Lifetimes, ToHost } from './lifetimes.ts';
import { createSessionAdapter } from './session-adapter.ts';

export interface AdapterParts {
  db: Database;
  cipher: PayloadCipher;
  policy: () => PolicyInForce;
  toHost: ToHost;
  lifetimes: Lifetimes;
}

/** What oidc-provider stores, it stores here: in Postgres, read through the live views alone. */
export function createAdapterFactory(parts: AdapterParts): AdapterFactory {
  return (model) => {
    if (model === 'Session') return createSessionAdapter(parts);
    if (model === 'Client') return createClientAdapter(parts.db);
    return createArtifactAdapter(model, parts);
  };
}
