import { AsyncLocalStorage } from 'node:async_hooks';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PrismaPg } from '@prisma/adapter-pg';
import {
  bindMigrationAwareSqlAdapterFactory,
  ColumnTypeEnum,
  type SqlDriverAdapter,
} from '@prisma/driver-adapter-utils';
import type { SchemaEngine } from '@prisma/schema-engine-wasm/schema_engine_bg';
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg';
import pg from 'pg';

const BINDINGS = '@prisma/schema-engine-wasm/schema_engine_bg';
const CHAR_OID = 18;
const TEXT_OID = 25;

export interface SchemaEngineOptions {
  /** Prisma schema files, path and content; only a comparison needs them. */
  datamodels?: [path: string, content: string][];
  /** Changes a script before it runs. */
  rewriteScript?: (script: string) => string;
}

/**
 * Lends Prisma's own schema engine, which runs as WebAssembly in this process: nothing is downloaded.
 */
export async function withSchemaEngine<T>(
  url: string,
  { datamodels, rewriteScript = (script) => script }: SchemaEngineOptions,
  use: (engine: SchemaEngine) => Promise<T>,
): Promise<T> {
  await loadEngine();
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  pool.on('error', () => undefined);
  try {
    const adapter = bindMigrationAwareSqlAdapterFactory(new SchemaAdapterFactory(pool, rewriteScript));
    const engine = await bindings.SchemaEngine.new({ datamodels }, () => undefined, adapter);
    try {
      return await use(engine);
    } finally {
      engine.free();
    }
  } finally {
    await pool.end();
  }
}

/**
 * The pg adapter made fit for schema work: as it comes it splits scripts at every semicolon, even inside
 * functions and comments, and refuses the system catalogues' type "char".
 *
 * A script sent whole is one implicit transaction: all of it happens or nothing.
 */
class SchemaAdapterFactory extends PrismaPg {
  readonly #rewriteScript: (script: string) => string;
  readonly #charColumns: AsyncLocalStorage<number[]>;

  constructor(pool: pg.Pool, rewriteScript: (script: string) => string) {
    const charColumns = new AsyncLocalStorage<number[]>();
    super(showCharAsText(pool, (column) => charColumns.getStore()?.push(column)));
    this.#rewriteScript = rewriteScript;
    this.#charColumns = charColumns;
  }

  override async connect(): ReturnType<PrismaPg['connect']> {
    const adapter = await super.connect();
    const queryRaw: SqlDriverAdapter['queryRaw'] = adapter.queryRaw.bind(adapter);
    adapter.queryRaw = (query) => {
      const charColumns: number[] = [];
      return this.#charColumns.run(charColumns, async () => {
        const result = await queryRaw(query);
        for (const column of charColumns) result.columnTypes[column] = ColumnTypeEnum.Character;
        return result;
      });
    };
    // Without parameters the simple protocol takes any number of statements.
    adapter.executeScript = async (script) => {
      await adapter.executeRaw({ sql: this.#rewriteScript(script), args: [], argTypes: [] });
    };
    return adapter;
  }
}

function showCharAsText(pool: pg.Pool, onCharColumn: (column: number) => void): pg.Pool {
  return new Proxy(pool, {
    get(target, property) {
      if (property !== 'query') return Reflect.get(target, property);
      return async (query: pg.QueryConfig) => {
        const result = await target.query(query);
        // A script has one result for each statement, and nobody reads them.
        if (Array.isArray(result)) return result;
        result.fields.forEach((field, column) => {
          if (field.dataTypeID !== CHAR_OID) return;
          field.dataTypeID = TEXT_OID;
          onCharColumn(column);
        });
        return result;
      };
    },
  });
}

/** The parts of the WebAssembly API in use; Node has it, its type definitions don't. */
interface WebAssemblyApi {
  instantiate(
    bytes: Uint8Array,
    imports: Record<string, unknown>,
  ): Promise<{ instance: { exports: { __wbindgen_start(): void } } }>;
}
declare const WebAssembly: WebAssemblyApi;

let loading: Promise<void> | undefined;

function loadEngine(): Promise<void> {
  loading ??= instantiateEngine();
  return loading;
}

async function instantiateEngine(): Promise<void> {
  const folder = dirname(createRequire(import.meta.url).resolve(BINDINGS));
  const bytes = await readFile(join(folder, 'schema_engine_bg.wasm'));
  const imports = Object.fromEntries(Object.entries(bindings).map(withoutHold));
  const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': imports });
  bindings.__wbg_set_wasm(instance.exports);
  // The engine reports a panic to this global before it traps.
  Object.assign(globalThis, { PRISMA_WASM_PANIC_REGISTRY: { set_message: () => undefined } });
  instance.exports.__wbindgen_start();
}

/** The engine leaves a timer of 10 s behind, for a lock that it got at once; no process should wait for that. */
function withoutHold([name, binding]: [string, unknown]): [string, unknown] {
  if (!name.startsWith('__wbg_setTimeout_')) return [name, binding];
  return [name, (callback: () => void, milliseconds: number) => setTimeout(callback, milliseconds).unref()];
}
