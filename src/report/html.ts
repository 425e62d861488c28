// What both engines found, as one HTML file.
//
// Guarantees: the file is complete: it refers to nothing, and its policy lets it load nothing and run nothing but its own script. Names and
// texts of scenarios are escaped. Every table is there without JavaScript. Equal findings and an equal `about` give equal bytes.

import { h } from 'preact';
import { renderToString } from 'preact-render-to-string';
import { script, scriptHash, style, styleHash } from '../../build/report.js';
import type { CheckedVariant } from './checked.ts';
import { type About, modelOf } from './html/model.ts';
import { Report } from './html/report.tsx';
import { pack } from './html/walk.ts';

export type { About } from './html/model.ts';

const POLICY = [
  "default-src 'none'",
  `script-src '${scriptHash}'`,
  `style-src '${styleHash}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/** The report of `pagewalk check` and `pagewalk stress`, of variants in the order in which they are to be read. */
export function reportHtml(checked: readonly CheckedVariant[], about: About): string {
  const model = modelOf(checked, about);
  // In a script element nothing ends the text but `</`, and nothing else has to be escaped.
  const walks = JSON.stringify(pack(model.walks)).replace(/</g, '\\u003c');
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    '<meta name="referrer" content="no-referrer">',
    `<title>pagewalk: ${model.totals.surprises === 0 ? 'no surprise' : 'surprises'}</title>`,
    '<link rel="icon" href="data:,">',
    `<style>${style}</style>`,
    '</head>',
    '<body>',
    renderToString(h(Report, { model })),
    `<script type="application/json" id="walks">${walks}</script>`,
    `<script>${script}</script>`,
    '</body>',
    '</html>',
    '',
  ].join('\n');
}
