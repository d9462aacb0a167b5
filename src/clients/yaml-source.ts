import {
  type Document,
  type ErrorCode,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
} from 'yaml';

export type Path = readonly (string | number)[];

/** Something wrong in the file; `at: 'key'` points at the last key of the path rather than at its value. */
export interface Problem {
  path: Path;
  message: string;
  at?: 'key' | 'value';
}

/** A problem of the YAML text itself, where there may be no path. */
export interface SyntaxProblem {
  offset: number;
  message: string;
}

export interface YamlSource {
  /** Plain values; what is here after syntax problems is only part of what was meant. */
  value: unknown;
  syntaxProblems: SyntaxProblem[];
  offsetOf(path: Path, at: 'key' | 'value'): number;
  positionOf(offset: number): { line: number; col: number };
}

/** Reads a YAML 1.2 file so that every later problem can be told by line and column. */
export function readYamlSource(text: string): YamlSource {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    logLevel: 'error',
  });
  const syntaxProblems = [...document.errors, ...document.warnings].map(({ code, message, pos: [start, _end] }) => ({
    offset: start,
    message: sentences[code]?.(text.slice(start)) ?? message,
  }));
  const { value, problem } = toPlainValue(document);
  if (problem !== undefined) syntaxProblems.push({ offset: 0, message: problem });
  return {
    value,
    syntaxProblems,
    offsetOf: (path, at) => offsetOf(document, path, at),
    positionOf: (offset) => lines.linePos(offset),
  };
}

/** Where the parser speaks to programmers, our own words. */
const sentences: Partial<Record<ErrorCode, (rest: string) => string>> = {
  DUPLICATE_KEY: (rest) => `duplicate key ${/^[^\s:,}]+/.exec(rest)?.[0] ?? ''}`.trimEnd(),
  MULTIPLE_DOCS: () => 'a second document begins here: the file must hold one',
};

function toPlainValue(document: Document): { value?: unknown; problem?: string } {
  try {
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    JSON.stringify(value);
    return { value };
  } catch (error) {
    if (error instanceof ReferenceError) return { problem: error.message };
    return { problem: 'an alias (*name) refers to what it is part of' };
  }
}

/** The offset of what a path names, or of the innermost thing around it that is in the file. */
function offsetOf(document: Document, path: Path, at: 'key' | 'value'): number {
  let offset = startOf(document.contents) ?? 0;
  let node: unknown = document.contents;
  for (const [i, step] of path.entries()) {
    const found = childOf(document, node, step);
    if (found === undefined) return offset;
    const keyOnly = at === 'key' && i === path.length - 1;
    offset = (keyOnly ? found.keyOffset : (startOf(found.value) ?? found.keyOffset)) ?? offset;
    node = found.value;
  }
  return offset;
}

interface Child {
  keyOffset: number | undefined;
  value: unknown;
}

function childOf(document: Document, parent: unknown, step: string | number): Child | undefined {
  const node = isAlias(parent) ? parent.resolve(document) : parent;
  if (isSeq(node) && typeof step === 'number') {
    const value = node.items[step];
    return value === undefined ? undefined : { keyOffset: startOf(value), value };
  }
  if (!isMap(node)) return undefined;
  const pair = node.items.find(({ key }: Pair) => (isScalar(key) ? String(key.value) : key) === String(step));
  return pair === undefined ? undefined : { keyOffset: startOf(pair.key), value: pair.value };
}

/** An empty value (`key:`) has a place but no length; pointing at its key is clearer. */
function startOf(node: unknown): number | undefined {
  if (!isNode(node) || !node.range) return undefined;
  return isScalar(node) && node.range[0] === node.range[1] ? undefined : node.range[0];
}
