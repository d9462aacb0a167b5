import type { AdapterFactory } from 'oidc-provider';
import type { AdapterParts } from './adapter-parts.ts';
import { createArtifactAdapter } from './artifact-adapter.ts';
import { createClientAdapter } from './client-adapter.ts';
import { createDeviceCodeAdapter } from './device-code-adapter.ts';
import { createSessionAdapter } from './session-adapter.ts';

/** What oidc-provider stores, it stores here: in Postgres, read through the live views alone. */
export function createAdapterFactory(parts: AdapterParts): AdapterFactory {
  return (model) => {
    if (model === 'Session') return createSessionAdapter(parts);
    if (model === 'DeviceCode') return createDeviceCodeAdapter(parts);
    if (model === 'Client') return createClientAdapter(parts.db);
    return createArtifactAdapter(model, parts);
  };
}
