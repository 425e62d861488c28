// Decompresses gzip with what Node and browsers both have.
//
// Guarantees: of data that ends early or is damaged, everything before is returned, and why it stopped; nothing beyond what
// `wanted` asks for is decompressed.

export interface Gunzipped {
  readonly bytes: Uint8Array;
  /** Why it stopped before the end, if it did. */
  readonly problem?: string;
}

export function isGzip(head: Uint8Array): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

/** Decompresses `compressed`; stops after the first bytes if `wanted` says that they are not what was looked for. */
export async function gunzip(compressed: Uint8Array, wanted: (head: Uint8Array) => boolean): Promise<Gunzipped> {
  const reader = inflated(compressed).getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  let problem: string | undefined;
  for (;;) {
    const step = await reader.read().catch(reasonOf);
    if (typeof step === 'string') {
      problem = step;
      break;
    }
    if (step.done) break;
    chunks.push(step.value);
    length += step.value.length;
    if (chunks.length === 1 && !wanted(step.value)) {
      await reader.cancel().catch(() => {});
      break;
    }
  }
  const bytes = join(chunks, length);
  return problem === undefined ? { bytes } : { bytes, problem };
}

/** Node hands on zlib's error as it is, or as the cause of one without a message, by who comes first. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || (error.cause === undefined ? error.name : reasonOf(error.cause));
}

/** An error discards what was decompressed and not yet read, so the end is told only after the reader had its turn. */
function inflated(compressed: Uint8Array): ReadableStream<Uint8Array> {
  const PIECE = 65536;
  let at = 0;
  const pieces = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      if (at < compressed.length) {
        controller.enqueue(new Uint8Array(compressed.subarray(at, at + PIECE)));
        at += PIECE;
      } else {
        await new Promise((turn) => setTimeout(turn));
        controller.close();
      }
    },
  });
  return pieces.pipeThrough(new DecompressionStream('gzip'));
}

function join(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
