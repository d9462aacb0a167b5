import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type TestDatabase, testDatabase } from '../support/database.ts';

describe('the database', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.close());

  it('answers typed queries', async () => {
    await database.db.account.create({
      data: { id: 'a', login: 'ann', roles: [], groups: ['x'], createdAt: new Date(0), updatedAt: new Date(0) },
    });
    expect(await database.db.account.findMany({ select: { login: true, groups: true, createdAt: true } })).toEqual([
      { login: 'ann', groups: ['x'], createdAt: new Date(0) },
    ]);
  });
});
