// The walker that one writes by hand in TypeScript over a Uint32Array: an entry is two words, an address is two numbers.
//
// The same checks and the same result words as the core, one address after the other, four levels.

import * as L from '../../assembly/layout.ts';
import * as X from '../../assembly/pte/x86_64_bits.ts';

const P = 1 << X.X86_PRESENT;
const RW = 1 << X.X86_RW;
const US = 1 << X.X86_USER;
const A = 1 << X.X86_ACCESSED;
const D = 1 << X.X86_DIRTY;
const PS = 1 << X.X86_PSE;
const NX = 1 << (X.X86_NX - 32);
const FRAME_WORDS = 1024;

export class PairsWalker {
  private readonly words: Uint32Array;
  private readonly root: number;
  private readonly ram: number;
  private readonly frames: number;
  private readonly basePfn: number;
  private readonly flags: number;
  private readonly pkru: number;
  /** Reserved bits by level, low and high word. */
  private readonly tableReserved: Uint32Array;
  private readonly leafReserved: Uint32Array;
  /** The result of the last walk. */
  low = 0;
  high = 0;

  constructor(buffer: ArrayBufferLike, space: number) {
    this.words = new Uint32Array(buffer);
    const at = (address: number) => this.words[address >>> 2]!;
    this.root = pfnOf(at(space + L.SPACE_ROOT), at(space + L.SPACE_ROOT + 4));
    this.ram = at(L.CONTROL_RAM) >>> 2;
    this.frames = at(L.CONTROL_FRAMES);
    this.basePfn = at(L.CONTROL_BASE_PFN) + at(L.CONTROL_BASE_PFN + 4) * 2 ** 32;
    const regime = space + L.SPACE_REGIME;
    this.flags = at(regime + L.REGIME_FLAGS);
    this.pkru = at(regime + L.REGIME_PKRU);
    this.tableReserved = this.words.slice((regime + L.REGIME_TABLE) >>> 2, ((regime + L.REGIME_TABLE) >>> 2) + 8);
    this.leafReserved = this.words.slice((regime + L.REGIME_LEAF) >>> 2, ((regime + L.REGIME_LEAF) >>> 2) + 8);
  }

  /** Addresses as pairs at word `input`, result words as pairs at word `output`. Returns how many are mapped. */
  translateBatch(input: number, output: number, count: number, access: number): number {
    const words = this.words;
    let mapped = 0;
    for (let i = 0; i < count; i++) {
      mapped += this.walk(words[input + 2 * i]!, words[input + 2 * i + 1]!, access);
      words[output + 2 * i] = this.low;
      words[output + 2 * i + 1] = this.high;
    }
    return mapped;
  }

  /** `pages` pages from an address on. */
  translateRange(low: number, high: number, pages: number, output: number, access: number): number {
    const words = this.words;
    let mapped = 0;
    for (let i = 0; i < pages; i++) {
      mapped += this.walk(low, high, access);
      words[output + 2 * i] = this.low;
      words[output + 2 * i + 1] = this.high;
      low = (low + 4096) >>> 0;
      if (low < 4096) high = (high + 1) >>> 0;
    }
    return mapped;
  }

  /** One translation, as the core's `translate` gives it: PFN, and the flags in place of the offset. */
  translate(low: number, high: number, access: number): number {
    this.walk(low, high, access);
    return (this.high & 0xfffff) * 0x100000000 + (((this.low & ~0xfff) | (this.high >>> 20)) >>> 0);
  }

  private walk(vaLow: number, vaHigh: number, access: number): number {
    if ((vaHigh << 16) >> 16 !== (vaHigh | 0)) return this.fault(L.FAULT_NON_CANONICAL, 0, 0);
    const words = this.words;
    let pfn = this.root;
    let rights = RW | US;
    let noExecute = 0;
    for (let level = 3; ; level--) {
      const frame = pfn - this.basePfn;
      if (frame < 0 || frame >= this.frames) return this.fault(L.FAULT_UNBACKED, level, 0);
      const index = (level === 3 ? vaHigh >>> 7 : level === 2 ? (vaHigh << 2) | (vaLow >>> 30) : vaLow >>> (12 + 9 * level)) & 511;
      const slot = this.ram + frame * FRAME_WORDS + 2 * index;
      const low = words[slot]!;
      const high = words[slot + 1]!;
      if ((low & P) === 0) return this.fault(L.FAULT_ABSENT, level, this.faultCode(access));
      const leaf = level === 0 || ((low & PS) !== 0 && level <= 2);
      const reserved = leaf ? this.leafReserved : this.tableReserved;
      if ((low & reserved[2 * level]!) !== 0 || (high & reserved[2 * level + 1]!) !== 0) {
        return this.fault(L.FAULT_RESERVED, level, X.X86_FAULT_P | X.X86_FAULT_RSVD | this.faultCode(access));
      }
      rights &= low;
      noExecute |= high & NX;
      if (!leaf) {
        pfn = pfnOf(low, high);
        continue;
      }
      const refused = access === 0 ? 0 : this.refuse(high, rights, noExecute, access);
      if (refused !== 0) return this.fault(L.FAULT_PROTECTION, level, refused);
      const flags = L.RESULT_MAPPED | rights | (low & (A | D)) | (level << L.RESULT_LEVEL_SHIFT) | (noExecute === 0 ? 0 : L.RESULT_NO_EXECUTE);
      const insideLow = level === 0 ? 0xfff : level === 1 ? 0x1fffff : 0x3fffffff;
      this.low = (low & ~insideLow) | (vaLow & insideLow);
      this.high = (high & 0xfffff) | (flags << 20);
      return 1;
    }
  }

  private refuse(entryHigh: number, rights: number, noExecute: number, access: number): number {
    const flags = this.flags;
    const user = (access & L.ACCESS_USER) !== 0;
    const userPage = (rights & US) !== 0;
    const write = (access & L.ACCESS_WRITE) !== 0;
    let refused = user && !userPage;
    let key = false;
    if ((access & L.ACCESS_EXECUTE) !== 0) {
      if ((flags & L.CR_NXE) !== 0 && noExecute !== 0) refused = true;
      if (!user && userPage && (flags & L.CR_SMEP) !== 0) refused = true;
    } else {
      if (!user && userPage && (flags & (L.CR_SMAP | L.CR_AC)) === L.CR_SMAP) refused = true;
      if (write && (rights & RW) === 0 && (user || (flags & L.CR_WP) !== 0)) refused = true;
      if ((flags & L.CR_PKE) !== 0 && userPage) {
        const pair = this.pkru >>> (((entryHigh >>> (X.X86_PKEY - 32)) & 15) << 1);
        key = (pair & 1) !== 0 || ((pair & 2) !== 0 && write && (user || (flags & L.CR_WP) !== 0));
      }
    }
    if (!refused && !key) return 0;
    return X.X86_FAULT_P | this.faultCode(access) | (key ? X.X86_FAULT_PK : 0);
  }

  private faultCode(access: number): number {
    const fetch = (access & L.ACCESS_EXECUTE) !== 0 && (this.flags & (L.CR_NXE | L.CR_SMEP)) !== 0;
    return ((access & L.ACCESS_WRITE) !== 0 ? X.X86_FAULT_W : 0) | ((access & L.ACCESS_USER) !== 0 ? X.X86_FAULT_U : 0) | (fetch ? X.X86_FAULT_I : 0);
  }

  private fault(cause: number, level: number, code: number): number {
    this.low = (level << L.FAULT_LEVEL_SHIFT) | (code << L.FAULT_CODE_SHIFT);
    this.high = cause << (L.FAULT_CAUSE_SHIFT - 32);
    return 0;
  }
}

function pfnOf(low: number, high: number): number {
  return (high & 0xfffff) * 0x100000 + (low >>> 12);
}
