import type { GuessThrottle } from '../accounts/guess-throttle.ts';
import type { PayloadCipher } from '../artifacts/payload-cipher.ts';
import type { PolicyInForce } from '../sessions/begin-session.ts';
import type { Database } from '../storage/database.ts';
import type { Lifetimes, ToHost } from './lifetimes.ts';

/** What oidc-provider's hooks and adapters work with. */
export interface AdapterParts {
  db: Database;
  cipher: PayloadCipher;
  policy: () => PolicyInForce;
  toHost: ToHost;
  lifetimes: Lifetimes;
  /** The first makes the HMACs of user codes, all of them find. */
  userCodeKeys: readonly Uint8Array[];
  guesses: GuessThrottle;
}
