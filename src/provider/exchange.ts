import type { KoaContextWithOIDC } from 'oidc-provider';
import { consumeArtifact, storeBoundArtifact } from '../artifacts/store.ts';
import type { Database } from '../storage/database.ts';
import { transact } from '../storage/transact.ts';
import { type Exchange, stateOf } from './request-state.ts';
import { sessionLost } from './session-expired.ts';

/** Whether this is the last token of the answer: oidc-provider rotates first, but for a code it refreshes last. */
export function isLastToken({ used }: Exchange, ctx: KoaContextWithOIDC, model: string): boolean {
  if (used.model === 'RefreshToken') return model === 'AccessToken';
  return model === 'RefreshToken' || !ctx.oidc.client?.grantTypeAllowed('refresh_token');
}

/**
 * Stores all of it, or nothing; of parallel exchanges of one code or token one succeeds.
 *
 * @throws the standard error for one that was used before, or whose session is over
 */
export async function storeExchange(db: Database, ctx: KoaContextWithOIDC, exchange: Exchange): Promise<void> {
  const isUsable = await transact(db, async (tx) => {
    if (!(await consumeArtifact(tx, exchange.used.idHash))) return false;
    for (const { artifact, binding } of exchange.tokens) {
      const issuesTokens = artifact.model === 'AccessToken';
      if (!(await storeBoundArtifact(tx, artifact, binding, { issuesTokens }))) throw sessionLost(ctx);
    }
    return true;
  });
  if (!isUsable) await exchange.refuse();
  delete stateOf(ctx).exchange;
}
