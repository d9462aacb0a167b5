import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';
import type pg from 'pg';

interface Row {
  payload: AdapterPayload;
  expires_at: Date | null;
  consumed_at: Date | null;
}

/** An adapter as somebody would write it for Postgres in an afternoon: one JSONB table, one statement for each call. */
export function createPostgresAdapter(pool: pg.Pool): AdapterFactory {
  return (type: string): Adapter => {
    async function findBy(column: 'id' | 'uid' | 'user_code', value: string): Promise<AdapterPayload | undefined> {
      const { rows } = await pool.query<Row>(
        `SELECT payload, expires_at, consumed_at FROM oidc_payload WHERE ${column} = $1 AND type = $2`,
        [value, type],
      );
      const [row] = rows;
      if (row === undefined || (row.expires_at !== null && row.expires_at <= new Date())) return undefined;
      return { ...row.payload, ...(row.consumed_at !== null && { consumed: true }) };
    }

    return {
      async upsert(id, payload, expiresIn) {
        const expiresAt = expiresIn ? new Date(Date.now() + expiresIn * 1000) : null;
        await pool.query(
          `INSERT INTO oidc_payload (id, type, payload, grant_id, user_code, uid, expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7)
           ON CONFLICT (id, type) DO UPDATE SET payload = $3, grant_id = $4, user_code = $5, uid = $6, expires_at = $7`,
          [
            id,
            type,
            JSON.stringify(payload),
            payload.grantId ?? null,
            payload.userCode ?? null,
            payload.uid ?? null,
            expiresAt,
          ],
        );
      },
      find: (id) => findBy('id', id),
      findByUid: (uid) => findBy('uid', uid),
      findByUserCode: (userCode) => findBy('user_code', userCode),
      async destroy(id) {
        await pool.query('DELETE FROM oidc_payload WHERE id = $1 AND type = $2', [id, type]);
      },
      async consume(id) {
        await pool.query('UPDATE oidc_payload SET consumed_at = now() WHERE id = $1 AND type = $2', [id, type]);
      },
      async revokeByGrantId(grantId) {
        await pool.query('DELETE FROM oidc_payload WHERE grant_id = $1', [grantId]);
      },
    };
  };
}
