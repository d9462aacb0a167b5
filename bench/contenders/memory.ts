import MemoryAdapter from 'oidc-provider/lib/adapters/memory_adapter.js';
import LRU from 'oidc-provider/lib/helpers/lru.js';
import type { BenchAccount } from '../fixtures.ts';
import { type PlainAccount, servePlainProvider } from './plain-provider.ts';

/** By default it keeps 1000 entries, and soon forgets who is signed in. */
const store = new LRU({ maxSize: 200_000 });

const accounts: PlainAccount[] = (JSON.parse(process.env.BENCH_ACCOUNTS ?? '[]') as BenchAccount[]).map(
  ({ id, login, hash }) => ({ id, login, passwordHash: hash, email: `${login}@example.test`, name: login }),
);
const byId = new Map(accounts.map((account) => [account.id, account]));
const byLogin = new Map(accounts.map((account) => [account.login, account]));

await servePlainProvider({
  adapter: (model: string) => new MemoryAdapter(model, store),
  findAccount: async (id) => byId.get(id),
  findAccountByLogin: async (login) => byLogin.get(login),
});
