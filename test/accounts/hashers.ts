import { createPasswordHasher, type PasswordHasher } from '../../src/accounts/password-hasher.ts';

/** Argon2id at its cheapest: tests are about who hashes when, not about how long it takes. */
export const cheap = { memoryKib: 64, iterations: 2, parallelism: 1 };

export function cheapHasher(parameters = cheap): PasswordHasher {
  return createPasswordHasher({ parameters, concurrency: 2, maxWaiting: 100 });
}

/** A hasher that notes which hashes it was asked to verify. */
export function watchedHasher(hasher: PasswordHasher): PasswordHasher & { verified: (string | undefined)[] } {
  const verified: (string | undefined)[] = [];
  return {
    ...hasher,
    verified,
    verify: (stored, password) => {
      verified.push(stored);
      return hasher.verify(stored, password);
    },
  };
}
