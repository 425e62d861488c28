// QEMU's answers to 10,000 random accesses are ours: result, error code, and every word that A and D updates changed.
//
// Where QEMU differs from the manual, the manual wins: each such test belongs to one of the classes that the data set names, and
// the classes have exactly the sizes that it states.

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { framesOf, layout, makeRig } from '../support/core.ts';

interface Configuration {
  maxphyaddr: number;
  gbpages: boolean;
  cr3: string;
  tables_at: string;
  table_pages: number;
  tests: number;
  differences_from_model: Record<string, number>;
}

interface Answer {
  va: string;
  access: 'r' | 'w' | 'x';
  cpl: 0 | 3;
  wp: 0 | 1;
  smep: 0 | 1;
  smap: 0 | 1;
  nxe: 0 | 1;
  ac: 0 | 1;
  pkru?: string;
  result: 'ok' | 'PF' | 'GP';
  err?: number;
  pa?: string;
  changed?: [string, string][];
  model?: [number, number];
}

const PAGE_FAULT = 14;
const NO_PRESENT_BIT = 'RSVD fault reported without P (SDM: bit 3 only together with bit 0)';
const LEAF_ACCESSED = 'A set in a 1 GiB leaf (or a PS=1 PDPTE) although the access faulted';
const KINDS = { r: layout.ACCESS_READ, w: layout.ACCESS_WRITE, x: layout.ACCESS_EXECUTE };

const fixture = (name: string) => readFileSync(new URL(`../fixtures/fuzz/${name}`, import.meta.url));

for (const [name, format] of [
  ['x86-mode4-max-1', layout.FORMAT_X86_64],
  ['x86-mode5-max-1', layout.FORMAT_X86_64_LA57],
] as const) {
  test(`${name}: QEMU and the core agree, apart from the differences that are listed, as often as they are listed`, async () => {
    const setup = JSON.parse(fixture(`${name}.json`).toString()) as Configuration;
    const tables = gunzipSync(fixture(`${name}.tables.bin.gz`));
    const lines = gunzipSync(fixture(`${name}.jsonl.gz`))
      .toString()
      .trim()
      .split('\n');
    const basePfn = Number(setup.tables_at) / 4096;
    const rig = await makeRig({ frames: setup.table_pages, basePfn });
    const { core } = rig;
    const memory = framesOf(rig, 0, setup.table_pages);
    expect(tables.length).toBe(memory.length);
    const original = new BigUint64Array(new Uint8Array(tables).buffer);
    const words = new BigUint64Array(memory.buffer, memory.byteOffset, memory.length / 8);
    const space = core.openSpace(format, BigInt(setup.cr3));
    const differences: Record<string, number> = {};

    for (const line of lines) {
      const asked = JSON.parse(line) as Answer;
      words.set(original);
      const flags =
        (asked.wp && layout.CR_WP) |
        (asked.nxe && layout.CR_NXE) |
        (asked.smep && layout.CR_SMEP) |
        (asked.smap && layout.CR_SMAP) |
        (asked.ac && layout.CR_AC) |
        (asked.pkru === undefined ? 0 : layout.CR_PKE) |
        (setup.gbpages ? layout.CR_GBPAGES : 0);
      core.setRegime(space, flags, Number(asked.pkru ?? 0), setup.maxphyaddr);
      const access = KINDS[asked.access] | (asked.cpl === 3 ? layout.ACCESS_USER : 0) | layout.ACCESS_TOUCH;
      const result = BigInt.asUintN(64, core.accessWord(space, BigInt(asked.va), access));

      const ours = describe(result);
      const changed = new Map<string, bigint>();
      for (let i = 0; i < words.length; i++) {
        if (words[i] !== original[i]) changed.set(`0x${(basePfn * 4096 + i * 8).toString(16)}`, words[i] as bigint);
      }
      const theirs = new Map((asked.changed ?? []).map(([pa, entry]) => [pa, BigInt(entry)]));

      const classes: string[] = [];
      let err = asked.err ?? 0;
      if (ours.result === 'PF' && (ours.err & 9) === 9 && err === (ours.err & ~1)) {
        classes.push(NO_PRESENT_BIT);
        err |= 1;
      }
      // A word more than the manual allows, A in an entry with P and PS set, of an access that faulted.
      for (const [pa, entry] of theirs) {
        const before = original[(Number(pa) - basePfn * 4096) / 8] as bigint;
        if (asked.result !== 'PF' || changed.has(pa) || (entry & 0x81n) !== 0x81n || entry !== (before | 0x20n))
          continue;
        theirs.delete(pa);
        classes.push(LEAF_ACCESSED);
      }
      if (classes.length > 0) {
        const kind = classes.join(' + ');
        differences[kind] = (differences[kind] ?? 0) + 1;
        expect({ line, model: asked.model }).toEqual({ line, model: [PAGE_FAULT, ours.err] });
      } else {
        expect({ line, model: asked.model }).toEqual({ line, model: undefined });
      }
      expect({ line, result: ours.result, err: ours.err }).toEqual({ line, result: asked.result, err });
      expect({ line, changed }).toEqual({ line, changed: theirs });
      if (asked.pa !== undefined) expect({ line, pa: ours.pa }).toEqual({ line, pa: BigInt(asked.pa) });
    }

    expect(lines.length).toBe(setup.tests);
    expect(differences).toEqual(setup.differences_from_model);
  });
}

function describe(word: bigint): { result: 'ok' | 'PF' | 'GP'; err: number; pa: bigint } {
  if (((word >> BigInt(layout.RESULT_SHIFT)) & 1n) === 1n) return { result: 'ok', err: 0, pa: word & 0xfffffffffffffn };
  const cause = Number((word >> BigInt(layout.FAULT_CAUSE_SHIFT)) & 15n);
  if (cause === layout.FAULT_NON_CANONICAL) return { result: 'GP', err: 0, pa: 0n };
  if (cause === layout.FAULT_UNBACKED) throw new Error('a table outside the table pages');
  return { result: 'PF', err: Number((word >> BigInt(layout.FAULT_CODE_SHIFT)) & 0xffffn), pa: 0n };
}
