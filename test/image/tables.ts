// Page tables put together by hand, as images: what tests of readers and of the command line walk.

/** Bits of an x86-64 entry, written down here from the manual (Intel SDM vol. 3A, table 4-20). */
export const P = 1n;
export const RW = 2n;
export const US = 4n;
export const PCD = 16n;
export const A = 32n;
export const D = 64n;
export const PS = 128n;
export const G = 256n;
export const NX = 1n << 63n;

/** Tables by physical address. */
export class Tables {
  readonly #pages = new Map<number, BigUint64Array>();

  /** Sets entry `index` of the table at `table`, which is made if it is not there. */
  set(table: number, index: number, entry: bigint): this {
    let page = this.#pages.get(table);
    if (page === undefined) {
      page = new BigUint64Array(512);
      this.#pages.set(table, page);
    }
    page[index] = entry;
    return this;
  }

  /** The tables with their addresses. */
  pages(): [pa: number, bytes: Uint8Array][] {
    return [...this.#pages].map(([pa, words]) => [pa, new Uint8Array(words.buffer)]);
  }

  /** As a raw image of `sizeBytes`. */
  raw(sizeBytes: number): Uint8Array {
    const bytes = new Uint8Array(sizeBytes);
    for (const [pa, page] of this.pages()) bytes.set(page, pa);
    return bytes;
  }

  /** As a capture PTPG0001. */
  ptpg(): Uint8Array {
    const pages = this.pages();
    const bytes = new Uint8Array(16 + pages.length * 4104);
    const view = new DataView(bytes.buffer);
    bytes.set([...'PTPG0001'].map((c) => c.charCodeAt(0)));
    view.setUint32(8, 4096, true);
    view.setUint32(12, pages.length, true);
    for (const [n, [pa, page]] of pages.entries()) {
      view.setBigUint64(16 + n * 4104, BigInt(pa), true);
      bytes.set(page, 24 + n * 4104);
    }
    return bytes;
  }
}

/**
 * A bit of everything: root 0x1000, pages of each size, rights that a level above takes away, a recursive entry (510), a
 * table outside the image (entry 5), reserved bits.
 */
export function sampleTables(): Tables {
  const tables = new Tables()
    .set(0x1000, 0, 0x2000n | P | RW | US | A)
    .set(0x1000, 5, 0x7fff000n | P | RW | US)
    .set(0x1000, 256, 0x5000n | P | RW)
    .set(0x1000, 510, 0x1000n | P | RW)
    .set(0x2000, 0, 0x3000n | P | RW | US | A)
    .set(0x2000, 1, 0x40000000n | P | RW | US | PS | A | D)
    .set(0x3000, 0, 0x4000n | P | RW | US | A)
    .set(0x3000, 1, 0x200000n | P | RW | US | PS)
    .set(0x3000, 2, 0x4000n | P | US | NX)
    .set(0x3000, 3, 0x602000n | P | RW | US | PS)
    .set(0x5000, 511, 0x80000000n | P | RW | PS | G | NX);
  for (let n = 0n; n < 8n; n++) {
    tables.set(0x4000, Number(n), ((0x100n + n) << 12n) | P | RW | US | A | (n % 2n === 0n ? D : 0n));
  }
  return tables
    .set(0x4000, 9, 0x109000n | P | US | NX)
    .set(0x4000, 10, 0xfee00000n | P | RW | US | PCD)
    .set(0x4000, 11, 0x123456000n | P);
}

/** 512^4 pages out of four tables, none of which folds with its neighbour: a listing that never ends. */
export function endlessTables(): Tables {
  const tables = new Tables();
  for (let n = 0; n < 512; n++) {
    tables
      .set(0x1000, n, 0x2000n | P | RW | US)
      .set(0x2000, n, 0x3000n | P | RW | US)
      .set(0x3000, n, 0x4000n | P | RW | US)
      .set(0x4000, n, (BigInt(1000 - n) << 12n) | P | RW | US);
  }
  return tables;
}
