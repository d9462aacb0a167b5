/** A column of a table: its heading and what stands in it for a row. */
export type Column<Row> = readonly [heading: string, cell: (row: Row) => Cell];

export type Cell = string | number | boolean | Date | readonly string[] | null | undefined;

export interface OutputOptions {
  json?: boolean;
}

/** Prints for a program what `--json` asks for: one document, instants in ISO 8601. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

export function printLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Prints rows as JSON, or as a table with a sentence in place of one that would be empty. */
export function printRows<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  { json, none }: OutputOptions & { none: string },
): void {
  if (json) printJson(rows);
  else if (rows.length === 0) printLine(none);
  else printLine(table(rows, columns));
}

/** Lays rows out in columns as wide as their widest cell. */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const lines = [
    columns.map(([heading]) => heading.toUpperCase()),
    ...rows.map((row) => columns.map(([, cell]) => format(cell(row)))),
  ];
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((text, at) => text.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Lays names and values out in two columns; what has no value is left out. */
export function fields(pairs: readonly (readonly [name: string, value: Cell])[]): string {
  const shown = pairs.map(([name, value]) => [name, format(value)] as const).filter(([, text]) => text !== ABSENT);
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown.map(([name, text]) => `${name.padEnd(width)}  ${text}`).join('\n');
}

const ABSENT = '-';

/** What came over the network is shown without the control characters that a terminal would obey. */
function format(value: Cell): string {
  if (value === null || value === undefined) return ABSENT;
  if (value instanceof Date) return value.toISOString();
  const text = typeof value === 'object' ? value.join(' ') : String(value);
  return text === '' ? ABSENT : text.replace(/\p{Cc}/gu, '\uFFFD');
}

/** Says a number of things: `1 session`, `2 sessions`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
