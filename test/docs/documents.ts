import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Document {
  /** From the root of the repository. */
  path: string;
  text: string;
}

/** A file of the repository as it is read. */
export function readDocument(path: string): Document {
  return { path, text: readFileSync(join(ROOT, path), 'utf8') };
}

/** Everything that is written for people. */
export function allDocuments(): Document[] {
  const top = readdirSync(ROOT).filter((name) => name.endsWith('.md'));
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name));
  return [...top, ...docs].sort().map(readDocument);
}

/** The fenced blocks of a language, in their order. */
export function blocksOf({ text }: Document, language: string): string[] {
  return [...text.matchAll(/^```(\S*)\n([\s\S]*?)^```$/gm)]
    .filter(([, tag]) => tag === language)
    .map(([, , block = '']) => block);
}

/** The rows of the table that has this first heading, each cell without the marks of code. */
export function tableOf({ text, path }: Document, firstHeading: string): string[][] {
  const lines = text.split('\n');
  const cellsOf = (line: string) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replace(/^`([^`]*)`$/, '$1'));
  const start = lines.findIndex((line) => line.startsWith('|') && cellsOf(line)[0] === firstHeading);
  if (start < 0) throw new Error(`${path} has no table that begins with ${firstHeading}`);
  const rest = lines.slice(start + 2);
  const end = rest.findIndex((line) => !line.startsWith('|'));
  return rest.slice(0, end < 0 ? undefined : end).map(cellsOf);
}

/** Where links of a document lead that name nothing: files that are not there, headings that no file has. */
export function brokenLinks(document: Document): string[] {
  const links = [...document.text.matchAll(/(?<!`)\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  return links.filter((target) => !/^(?:https?|mailto):/.test(target) && !leadsSomewhere(document, target));
}

function leadsSomewhere({ path }: Document, target: string): boolean {
  const [file = '', anchor] = target.split('#');
  const found = file === '' ? path : relative(ROOT, join(ROOT, dirname(path), file));
  if (found.startsWith('..') || !existsSync(join(ROOT, found))) return false;
  return anchor === undefined || anchorsOf(readDocument(found)).has(anchor);
}

function anchorsOf({ text }: Document): Set<string> {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}
