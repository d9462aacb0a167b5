import { CONTENDER_TITLES, type ContenderName } from './contender.ts';
import type { Line } from './summary.ts';

const COLOURS: Readonly<Record<ContenderName, string>> = {
  memory: '#9aa5b1',
  'hand-written': '#52606d',
  curfew: '#2563eb',
};
const TITLE = 'CPU per operation, server and Postgres together; hand-written adapter = 1; dashed: aim';
const LEFT = 240;
const WIDTH = 560;
const BAR = 16;
const GAP = 22;
const TOP = 64;

/** Bars of the CPU time of an operation against that of the hand-written adapter, the aims marked: an SVG document. */
export function plotRatios(lines: readonly Line[]): string {
  const shown = lines.filter(({ ratio }) => ratio !== undefined);
  const greatest = Math.max(1.2, ...shown.map(({ ratio = 0 }) => ratio)) * 1.08;
  const x = (ratio: number) => LEFT + (ratio / greatest) * WIDTH;
  const parts: string[] = [];
  let y = TOP;
  for (const title of new Set(shown.map((line) => line.title))) {
    const bars = shown.filter((line) => line.title === title);
    const height = bars.length * BAR;
    parts.push(text(LEFT - 10, y + height / 2 + 4, title, 'end'));
    bars.forEach(({ contender, ratio = 0 }, at) => {
      const top = y + at * BAR;
      parts.push(
        `<rect x="${LEFT}" y="${top}" width="${(x(ratio) - LEFT).toFixed(1)}" height="${BAR - 2}" fill="${COLOURS[contender]}"/>`,
        text(x(ratio) + 5, top + BAR - 5, ratio.toFixed(2), 'start', 11),
      );
    });
    const aim = bars.find((line) => line.aim !== undefined)?.aim;
    if (aim !== undefined) {
      parts.push(
        `<line x1="${x(aim)}" x2="${x(aim)}" y1="${y - 4}" y2="${y + height + 2}" stroke="#dc2626" stroke-width="2" stroke-dasharray="4 3"/>`,
      );
    }
    y += height + GAP;
  }
  const legend = (Object.keys(COLOURS) as ContenderName[]).map((contender, at) => {
    const left = 20 + at * 240;
    return `<rect x="${left}" y="34" width="12" height="12" fill="${COLOURS[contender]}"/>${text(left + 18, 44, CONTENDER_TITLES[contender], 'start', 12)}`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${LEFT + WIDTH + 80} ${y}" font-family="system-ui, sans-serif">`,
    `<title>${TITLE}</title>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    text(20, 22, TITLE, 'start', 14),
    ...legend,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

function text(x: number, y: number, content: string, anchor: 'start' | 'end', size = 13): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" font-size="${size}" text-anchor="${anchor}" fill="#1f2933">${escaped}</text>`;
}
