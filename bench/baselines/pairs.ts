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

/** What stands between an author and the tables: typed-array loads and 32-bit arithmetic. */
export function createPairsWalker(buffer: ArrayBufferLike, space: number) {
  const words = new Uint32Array(buffer);
  const at = (address: number) => (words[address >>> 2] as number) | 0;
  const rootLow = at(space + L.SPACE_ROOT);
  const rootHigh = at(space + L.SPACE_ROOT + 4);
  const ram = at(L.CONTROL_RAM) >>> 2;
  const frames = at(L.CONTROL_FRAMES);
  const basePfn = at(L.CONTROL_BASE_PFN);
  const cr = at(space + L.SPACE_REGIME + L.REGIME_FLAGS);
  const pkru = at(space + L.SPACE_REGIME + L.REGIME_PKRU);
  // Reserved bits. The high words are alike at all levels; in the low words only PS at level 3 and the gaps of large leaves are.
  const tableLow3 = at(space + L.SPACE_REGIME + L.REGIME_TABLE + 24);
  const tableHigh = at(space + L.SPACE_REGIME + L.REGIME_TABLE + 4);
  const leafLow2 = at(space + L.SPACE_REGIME + L.REGIME_LEAF + 16);
  const leafLow1 = at(space + L.SPACE_REGIME + L.REGIME_LEAF + 8);
  const leafHigh = at(space + L.SPACE_REGIME + L.REGIME_LEAF + 4);
  /** The result of the last walk. */
  let resultLow = 0;
  let resultHigh = 0;

  /** Returns 1 if the address is mapped. */
  function walk(vaLow: number, vaHigh: number, access: number): number {
    if ((vaHigh << 16) >> 16 !== (vaHigh | 0)) return fault(L.FAULT_NON_CANONICAL, 0, 0);
    let slot = slotOf(rootLow, rootHigh, vaHigh >>> 7);
    if (slot < 0) return fault(L.FAULT_UNBACKED, 3, 0);
    let low = (words[slot] as number) | 0;
    let high = (words[slot + 1] as number) | 0;
    if ((low & P) === 0) return fault(L.FAULT_ABSENT, 3, faultCode(access));
    if (((low & tableLow3) | (high & tableHigh)) !== 0) return reserved(3, access);
    let rights = (RW | US) & low;
    let noExecute = high;

    slot = slotOf(low, high, (vaHigh << 2) | (vaLow >>> 30));
    if (slot < 0) return fault(L.FAULT_UNBACKED, 2, 0);
    low = (words[slot] as number) | 0;
    high = (words[slot + 1] as number) | 0;
    if ((low & P) === 0) return fault(L.FAULT_ABSENT, 2, faultCode(access));
    if ((low & PS) !== 0) return large(low, high, rights & low, noExecute | high, 2, vaLow, access);
    if ((high & tableHigh) !== 0) return reserved(2, access);
    rights &= low;
    noExecute |= high;

    slot = slotOf(low, high, vaLow >>> 21);
    if (slot < 0) return fault(L.FAULT_UNBACKED, 1, 0);
    low = (words[slot] as number) | 0;
    high = (words[slot + 1] as number) | 0;
    if ((low & P) === 0) return fault(L.FAULT_ABSENT, 1, faultCode(access));
    if ((low & PS) !== 0) return large(low, high, rights & low, noExecute | high, 1, vaLow, access);
    if ((high & tableHigh) !== 0) return reserved(1, access);
    rights &= low;
    noExecute |= high;

    slot = slotOf(low, high, vaLow >>> 12);
    if (slot < 0) return fault(L.FAULT_UNBACKED, 0, 0);
    low = (words[slot] as number) | 0;
    high = (words[slot + 1] as number) | 0;
    if ((low & P) === 0) return fault(L.FAULT_ABSENT, 0, faultCode(access));
    if ((high & leafHigh) !== 0) return reserved(0, access);
    return arrive(low, high, rights & low, noExecute | high, 0, 0xfff, vaLow, access);
  }

  /** Index of the word where entry `index` of the table stands that an entry refers to, or -1 outside the window. */
  function slotOf(low: number, high: number, index: number): number {
    // A window below 16 TiB: then a PFN inside it has 32 bits.
    const frame = (((high << 20) | (low >>> 12)) - basePfn) >>> 0;
    if (frame >= frames || (high & 0xff000) !== 0) return -1;
    return (ram + (frame << 10) + ((index & 511) << 1)) | 0;
  }

  function large(
    low: number,
    high: number,
    rights: number,
    noExecute: number,
    level: number,
    vaLow: number,
    access: number,
  ) {
    if (((low & (level === 1 ? leafLow1 : leafLow2)) | (high & leafHigh)) !== 0) return reserved(level, access);
    return arrive(low, high, rights, noExecute, level, level === 1 ? 0x1fffff : 0x3fffffff, vaLow, access);
  }

  function arrive(
    low: number,
    high: number,
    rights: number,
    noExecute: number,
    level: number,
    inside: number,
    vaLow: number,
    access: number,
  ): number {
    if (access !== 0) {
      const refused = refuse(high, rights, noExecute & NX, access);
      if (refused !== 0) return fault(L.FAULT_PROTECTION, level, refused);
    }
    const flags =
      L.RESULT_MAPPED | rights | (low & (A | D)) | (level << L.RESULT_LEVEL_SHIFT) | ((noExecute >>> 31) << 11);
    resultLow = (low & ~inside) | (vaLow & inside);
    resultHigh = (high & 0xfffff) | (flags << 20);
    return 1;
  }

  function refuse(entryHigh: number, rights: number, noExecute: number, access: number): number {
    const user = (access & L.ACCESS_USER) !== 0;
    const userPage = (rights & US) !== 0;
    const write = (access & L.ACCESS_WRITE) !== 0;
    let refused = user && !userPage;
    let key = false;
    if ((access & L.ACCESS_EXECUTE) !== 0) {
      if ((cr & L.CR_NXE) !== 0 && noExecute !== 0) refused = true;
      if (!user && userPage && (cr & L.CR_SMEP) !== 0) refused = true;
    } else {
      if (!user && userPage && (cr & (L.CR_SMAP | L.CR_AC)) === L.CR_SMAP) refused = true;
      if (write && (rights & RW) === 0 && (user || (cr & L.CR_WP) !== 0)) refused = true;
      if ((cr & L.CR_PKE) !== 0 && userPage) {
        const pair = pkru >>> (((entryHigh >>> (X.X86_PKEY - 32)) & 15) << 1);
        key = (pair & 1) !== 0 || ((pair & 2) !== 0 && write && (user || (cr & L.CR_WP) !== 0));
      }
    }
    if (!refused && !key) return 0;
    return X.X86_FAULT_P | faultCode(access) | (key ? X.X86_FAULT_PK : 0);
  }

  function faultCode(access: number): number {
    const fetch = (access & L.ACCESS_EXECUTE) !== 0 && (cr & (L.CR_NXE | L.CR_SMEP)) !== 0;
    return (
      ((access & L.ACCESS_WRITE) !== 0 ? X.X86_FAULT_W : 0) |
      ((access & L.ACCESS_USER) !== 0 ? X.X86_FAULT_U : 0) |
      (fetch ? X.X86_FAULT_I : 0)
    );
  }

  function reserved(level: number, access: number): number {
    return fault(L.FAULT_RESERVED, level, X.X86_FAULT_P | X.X86_FAULT_RSVD | faultCode(access));
  }

  function fault(cause: number, level: number, code: number): number {
    resultLow = (level << L.FAULT_LEVEL_SHIFT) | (code << L.FAULT_CODE_SHIFT);
    resultHigh = cause << (L.FAULT_CAUSE_SHIFT - 32);
    return 0;
  }

  return {
    /** Addresses as pairs at word `input`, result words as pairs at word `output`. Returns how many are mapped. */
    translateBatch(input: number, output: number, count: number, access: number): number {
      let mapped = 0;
      for (let i = 0; i < count; i++) {
        mapped += walk((words[input + 2 * i] as number) | 0, (words[input + 2 * i + 1] as number) | 0, access);
        words[output + 2 * i] = resultLow;
        words[output + 2 * i + 1] = resultHigh;
      }
      return mapped;
    },

    /** `pages` pages from an address on. */
    translateRange(low: number, high: number, pages: number, output: number, access: number): number {
      let mapped = 0;
      for (let i = 0; i < pages; i++) {
        mapped += walk(low, high, access);
        words[output + 2 * i] = resultLow;
        words[output + 2 * i + 1] = resultHigh;
        low = (low + 4096) | 0;
        if (low >>> 12 === 0) high = (high + 1) | 0;
      }
      return mapped;
    },

    /** One translation, as the core's `translate` gives it: PFN, and the flags in place of the offset. */
    translate(low: number, high: number, access: number): number {
      walk(low, high, access);
      return (resultHigh & 0xfffff) * 0x100000000 + (((resultLow & ~0xfff) | (resultHigh >>> 20)) >>> 0);
    },
  };
}
