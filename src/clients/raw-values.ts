/** Values as they stand in a file, before or beside the schema: what has another type than asked for is not there. */
export type RawBlock = Readonly<Record<string, unknown>>;

export function isBlock(value: unknown): value is RawBlock {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function asBlock(value: unknown): RawBlock {
  return isBlock(value) ? value : {};
}

export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The texts of a list, each with its place in it. */
export function textsOf(value: unknown): { text: string; index: number }[] {
  return asList(value).flatMap((text, index) => (typeof text === 'string' ? [{ text, index }] : []));
}
