// Texts in columns: how wide each is, and where its lines break.

/** Breaks a text into lines of at most `width`, at spaces, else behind punctuation, else anywhere; further lines are indented by two. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  const indent = /^ */.exec(text)?.[0] ?? '';
  const further = `${indent}  `.slice(0, Math.max(0, width - 8));
  let rest = text.trimEnd();
  while (rest.length > width) {
    const least = lines.length === 0 ? indent.length : further.length;
    const space = rest.lastIndexOf(' ', width);
    const mark = Math.max(...[...'(,._'].map((letter) => rest.lastIndexOf(letter, width - 1) + 1));
    const end = space > least ? space : mark > least ? mark : width;
    lines.push(rest.slice(0, end).trimEnd());
    rest = further + rest.slice(end).trimStart();
  }
  lines.push(rest);
  return lines;
}

/** Several things beside each other, separated by commas, as few lines as they need. */
export function fill(parts: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const [n, part] of parts.entries()) {
    const text = n === parts.length - 1 ? part : `${part},`;
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + text.length <= width) lines[lines.length - 1] = `${last} ${text}`;
    else lines.push(...wrap(text, width));
  }
  return lines;
}

/**
 * Widths of columns that want so much and together may have `total`: a narrow one gets what it wants, the others share the rest. None gets less
 * than `least`.
 */
export function widths(wanted: readonly number[], total: number, least: number): number[] {
  const given = wanted.map(() => 0);
  const open = new Set(wanted.keys());
  let left = total;
  for (;;) {
    const share = Math.max(least, Math.floor(left / Math.max(1, open.size)));
    const modest = [...open].filter((n) => (wanted[n] as number) <= share);
    if (modest.length === 0 || open.size === 0) {
      for (const n of open) given[n] = share;
      return given;
    }
    for (const n of modest) {
      given[n] = wanted[n] as number;
      left -= wanted[n] as number;
      open.delete(n);
    }
  }
}
