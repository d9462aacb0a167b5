import pg from 'pg';
import { type PlainAccount, servePlainProvider } from './plain-provider.ts';
import { createPostgresAdapter } from './postgres-adapter.ts';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });

async function findAccountBy(column: 'id' | 'login', value: string): Promise<PlainAccount | undefined> {
  const { rows } = await pool.query<PlainAccount>(
    `SELECT id, login, password_hash AS "passwordHash", email, name FROM account WHERE ${column} = $1`,
    [value],
  );
  return rows[0];
}

await servePlainProvider({
  adapter: createPostgresAdapter(pool),
  findAccount: (id) => findAccountBy('id', id),
  findAccountByLogin: (login) => findAccountBy('login', login),
});
