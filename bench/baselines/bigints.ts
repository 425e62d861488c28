// The walker that one writes by hand in TypeScript over a BigUint64Array: an entry is a BigInt.
//
// The same checks and the same result words as the core, one address after the other, four levels.

import * as L from '../../assembly/layout.ts';
import * as X from '../../assembly/pte/x86_64_bits.ts';

const P = 1n << BigInt(X.X86_PRESENT);
const RW = 1n << BigInt(X.X86_RW);
const US = 1n << BigInt(X.X86_USER);
const A = 1n << BigInt(X.X86_ACCESSED);
const D = 1n << BigInt(X.X86_DIRTY);
const PS = 1n << BigInt(X.X86_PSE);
const NX = 1n << BigInt(X.X86_NX);
const PFN_MASK = 0x000ffffffffff000n;
const SHIFTS = [12n, 21n, 30n, 39n];
const INSIDE = SHIFTS.map((shift) => (1n << shift) - 1n);
const MAPPED = BigInt(L.RESULT_MAPPED);
const RESULT_SHIFT = BigInt(L.RESULT_SHIFT);

/** The walker over one space. */
export function createBigIntWalker(buffer: ArrayBufferLike, space: number): BigIntWalker {
  return new BigIntWalker(buffer, space);
}

class BigIntWalker {
  private readonly entries: BigUint64Array;
  private readonly root: bigint;
  private readonly ram: number;
  private readonly frames: bigint;
  private readonly basePfn: bigint;
  private readonly flags: number;
  private readonly pkru: number;
  private readonly tableReserved: BigUint64Array;
  private readonly leafReserved: BigUint64Array;

  constructor(buffer: ArrayBufferLike, space: number) {
    this.entries = new BigUint64Array(buffer);
    const view = new DataView(buffer);
    const regime = space + L.SPACE_REGIME;
    this.root = view.getBigUint64(space + L.SPACE_ROOT, true) & PFN_MASK;
    this.ram = view.getUint32(L.CONTROL_RAM, true) >>> 3;
    this.frames = BigInt(view.getUint32(L.CONTROL_FRAMES, true));
    this.basePfn = view.getBigUint64(L.CONTROL_BASE_PFN, true);
    this.flags = view.getUint32(regime + L.REGIME_FLAGS, true);
    this.pkru = view.getUint32(regime + L.REGIME_PKRU, true);
    this.tableReserved = this.entries.slice((regime + L.REGIME_TABLE) >>> 3, ((regime + L.REGIME_TABLE) >>> 3) + 4);
    this.leafReserved = this.entries.slice((regime + L.REGIME_LEAF) >>> 3, ((regime + L.REGIME_LEAF) >>> 3) + 4);
  }

  /** Addresses from entry `input` on, result words from entry `output` on. Returns how many are mapped. */
  translateBatch(input: number, output: number, count: number, access: number): number {
    let mapped = 0;
    for (let i = 0; i < count; i++) {
      const result = this.walk(this.entries[input + i] as bigint, access);
      this.entries[output + i] = result;
      if (((result >> RESULT_SHIFT) & MAPPED) !== 0n) mapped++;
    }
    return mapped;
  }

  walk(va: bigint, access: number): bigint {
    if (BigInt.asUintN(64, BigInt.asIntN(48, va)) !== va) return fault(L.FAULT_NON_CANONICAL, 0, 0);
    let table = this.root;
    let rights = RW | US | NX;
    for (let level = 3; ; level--) {
      const frame = (table >> 12n) - this.basePfn;
      if (frame < 0n || frame >= this.frames) return fault(L.FAULT_UNBACKED, level, 0);
      const index = (va >> (SHIFTS[level] as bigint)) & 511n;
      const entry = this.entries[this.ram + Number(frame) * 512 + Number(index)] as bigint;
      if ((entry & P) === 0n) return fault(L.FAULT_ABSENT, level, this.faultCode(access));
      const leaf = level === 0 || ((entry & PS) !== 0n && level <= 2);
      const reserved = (leaf ? this.leafReserved[level] : this.tableReserved[level]) as bigint;
      if ((entry & reserved) !== 0n) {
        return fault(L.FAULT_RESERVED, level, X.X86_FAULT_P | X.X86_FAULT_RSVD | this.faultCode(access));
      }
      rights &= entry ^ NX;
      if (!leaf) {
        table = entry & PFN_MASK;
        continue;
      }
      const refused = access === 0 ? 0 : this.refuse(entry, rights, access);
      if (refused !== 0) return fault(L.FAULT_PROTECTION, level, refused);
      const inside = INSIDE[level] as bigint;
      let flags = MAPPED | (rights & (RW | US)) | (entry & (A | D)) | BigInt(level << L.RESULT_LEVEL_SHIFT);
      if ((rights & NX) === 0n) flags |= BigInt(L.RESULT_NO_EXECUTE);
      return (entry & PFN_MASK & ~inside) | (va & inside) | (flags << RESULT_SHIFT);
    }
  }

  private refuse(entry: bigint, rights: bigint, access: number): number {
    const flags = this.flags;
    const user = (access & L.ACCESS_USER) !== 0;
    const userPage = (rights & US) !== 0n;
    const write = (access & L.ACCESS_WRITE) !== 0;
    let refused = user && !userPage;
    let key = false;
    if ((access & L.ACCESS_EXECUTE) !== 0) {
      if ((flags & L.CR_NXE) !== 0 && (rights & NX) === 0n) refused = true;
      if (!user && userPage && (flags & L.CR_SMEP) !== 0) refused = true;
    } else {
      if (!user && userPage && (flags & (L.CR_SMAP | L.CR_AC)) === L.CR_SMAP) refused = true;
      if (write && (rights & RW) === 0n && (user || (flags & L.CR_WP) !== 0)) refused = true;
      if ((flags & L.CR_PKE) !== 0 && userPage) {
        const pair = this.pkru >>> (Number((entry >> BigInt(X.X86_PKEY)) & 15n) << 1);
        key = (pair & 1) !== 0 || ((pair & 2) !== 0 && write && (user || (flags & L.CR_WP) !== 0));
      }
    }
    if (!refused && !key) return 0;
    return X.X86_FAULT_P | this.faultCode(access) | (key ? X.X86_FAULT_PK : 0);
  }

  private faultCode(access: number): number {
    const fetch = (access & L.ACCESS_EXECUTE) !== 0 && (this.flags & (L.CR_NXE | L.CR_SMEP)) !== 0;
    return (
      ((access & L.ACCESS_WRITE) !== 0 ? X.X86_FAULT_W : 0) |
      ((access & L.ACCESS_USER) !== 0 ? X.X86_FAULT_U : 0) |
      (fetch ? X.X86_FAULT_I : 0)
    );
  }
}

function fault(cause: number, level: number, code: number): bigint {
  return (
    (BigInt(cause) << BigInt(L.FAULT_CAUSE_SHIFT)) |
    (BigInt(level) << BigInt(L.FAULT_LEVEL_SHIFT)) |
    (BigInt(code) << BigInt(L.FAULT_CODE_SHIFT))
  );
}
