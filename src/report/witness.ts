// A violation that threads showed, and how it comes about: the explorer's shortest interleaving to it, and the token that repeats it.

import type { Trace } from '../explore/index.ts';
import type { Variant } from '../litmus/index.ts';
import { diagramOf } from './diagram.ts';
import { diagramText, type Style } from './diagramtext.ts';
import { traceJson } from './tracejson.ts';

export interface Witness {
  readonly scenario: string;
  readonly id: string | undefined;
  readonly variant: Variant;
  readonly invariant: string;
  readonly token: string;
  readonly trace: Trace;
  /** What `pagewalk replay` needs beside the token, with a space before it. */
  readonly argument: string;
  /** What an invariant says, where its file says it. */
  readonly sentences: ReadonlyMap<string, string>;
}

/** Lines, with the interleaving in columns. */
export function* witnessText(
  { invariant, token, trace, argument, sentences }: Witness,
  { width, style }: { readonly width: number; readonly style: (format: Style, text: string) => string },
): Generator<string> {
  yield `  ${invariant}: the shortest interleaving`;
  yield* diagramText(
    diagramOf(trace, (each) => sentences.get(each)),
    { width, style },
  );
  yield `pagewalk replay ${token}${argument}`;
  yield '';
}

/** `{"scenario","id","variant","forbidden","token","interleaving"}` */
export function witnessJson({ scenario, id, variant, invariant, token, trace, sentences }: Witness): string {
  const head = JSON.stringify({ scenario, id: id ?? null, variant, forbidden: invariant, token });
  const diagram = diagramOf(trace, (each) => sentences.get(each));
  return `${head.slice(0, -1)},"interleaving":${traceJson(trace, diagram)}}`;
}
