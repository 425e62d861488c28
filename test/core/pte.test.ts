// Linux's pte_* and ptep_* as Linux has them (v6.6, arch/x86/include/asm/pgtable.h): each by example, and what must hold of any entry.

import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { CoreExports } from '../../src/core/exports.ts';
import { layout, makeRig, type Rig } from '../support/core.ts';

const bit = (n: number) => 1n << BigInt(n);
const P = bit(0);
const RW = bit(1);
const US = bit(2);
const PWT = bit(3);
const PCD = bit(4);
const A = bit(5);
const D = bit(6);
const PSE = bit(7);
const G = bit(8);
const SPECIAL = bit(9);
const UFFD_WP = bit(10);
const SOFT_DIRTY = bit(11);
const DEVMAP = bit(57);
const SAVED_DIRTY = bit(58);
const PKEY = 15n << 59n;
const NX = bit(63);
const PFN = 0x000ffffffffff000n;
const { PROT_READ, PROT_WRITE, PROT_EXECUTE, PROT_USER } = layout;

let rig: Rig;
let core: CoreExports;
let slot: number;
beforeAll(async () => {
  rig = await makeRig();
  core = rig.core;
  slot = core.frameAddress(core.allocateFrame(layout.FRAME_TABLE)) >>> 0;
});

const entry = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const unsigned = (value: bigint) => BigInt.asUintN(64, value);
/** As an entry is while every change of it goes through the helpers: SAVED_DIRTY without RW only, D with RW only. */
const orderly = entry.map((pte) => ((pte & RW) !== 0n ? pte & ~SAVED_DIRTY : pte & ~D));
const holds = (arbitrary: fc.Arbitrary<bigint>, check: (pte: bigint) => void) =>
  fc.assert(
    fc.property(arbitrary, (pte) => {
      check(pte);
    }),
    { numRuns: 2000 },
  );

type Name<F> = { [K in keyof CoreExports]: CoreExports[K] extends F ? K : never }[keyof CoreExports];
type Predicate = Name<(pte: bigint) => number>;
type Change = Name<(pte: bigint) => bigint>;

describe('what an entry says', () => {
  const predicates: [Predicate, bigint][] = [
    ['pteYoung', A],
    ['pteUser', US],
    ['pteGlobal', G],
    ['pteHuge', PSE],
    ['pteSpecial', SPECIAL],
    ['pteSoftDirty', SOFT_DIRTY],
    ['pteUffdWp', UFFD_WP],
    ['pteSwpSoftDirty', bit(1)],
    ['pteSwpUffdWp', bit(2)],
  ];
  for (const [name, mask] of predicates) {
    test(`${name} is bit ${mask.toString(2).length - 1} and nothing else`, () => {
      holds(entry, (pte) => expect(core[name](pte) !== 0).toBe((pte & mask) !== 0n));
    });
  }

  test('pteExec is NX clear', () => {
    holds(entry, (pte) => expect(core.pteExec(pte) !== 0).toBe((pte & NX) === 0n));
  });

  test('pteNone overlooks A and D, which an erratum may set in an empty entry', () => {
    expect([0n, A, D, A | D].map((pte) => core.pteNone(pte))).toEqual([1, 1, 1, 1]);
    holds(entry, (pte) => expect(core.pteNone(pte) !== 0).toBe((pte & ~(A | D)) === 0n));
  });

  test('ptePresent holds for PROTNONE too, which hardware does not see', () => {
    expect(core.ptePresent(P)).toBe(1);
    expect(core.ptePresent(G)).toBe(1);
    expect(core.ptePresent(RW | US | A | D)).toBe(0);
  });

  test('pteDirty is D or SAVED_DIRTY', () => {
    expect([D, SAVED_DIRTY, D | SAVED_DIRTY, SOFT_DIRTY].map((pte) => core.pteDirty(pte))).toEqual([1, 1, 1, 0]);
  });

  test('pteWrite is RW, or D without RW: a shadow-stack page', () => {
    expect([RW, RW | D, D, 0n, SAVED_DIRTY].map((pte) => core.pteWrite(pte | P))).toEqual([1, 1, 1, 0, 0]);
  });

  test('ptePkey is bits 59 to 62', () => {
    holds(entry, (pte) => expect(core.ptePkey(pte)).toBe(Number((pte >> 59n) & 15n)));
  });

  test('ptePfn turns the frame number of an entry that is not present back round', () => {
    expect(core.ptePfn(0x12345_000n | P)).toBe(0x12345);
    expect(core.ptePfn((~0x12345_000n & PFN) | G)).toBe(0x12345);
    expect(core.ptePfn(0n)).toBe(0);
    expect(core.ptePfn(PFN | P)).toBe(2 ** 40 - 1);
  });

  test('pteSame compares all 64 bits: an A that the hardware set makes a difference', () => {
    expect(core.pteSame(P | RW, P | RW)).toBe(1);
    expect(core.pteSame(P | RW, P | RW | A)).toBe(0);
    expect(core.pteSame(NX, 0n)).toBe(0);
  });
});

describe('how an entry is changed', () => {
  const changes: [Change, bigint, bigint][] = [
    ['pteMkclean', 0n, D | SAVED_DIRTY],
    ['pteMkyoung', A, 0n],
    ['pteMkold', 0n, A],
    ['pteMkexec', 0n, NX],
    ['pteMknexec', NX, 0n],
    ['pteMkhuge', PSE, 0n],
    ['pteClrhuge', 0n, PSE],
    ['pteMkglobal', G, 0n],
    ['pteClrglobal', 0n, G],
    ['pteMkspecial', SPECIAL, 0n],
    ['pteMksoftDirty', SOFT_DIRTY, 0n],
    ['pteClearSoftDirty', 0n, SOFT_DIRTY],
    ['pteClearUffdWp', 0n, UFFD_WP],
  ];
  for (const [name, set, clear] of changes) {
    test(`${name} changes its own bit and no other, and twice is once`, () => {
      holds(entry, (pte) => {
        const once = unsigned(core[name](pte));
        expect(once).toBe((pte | set) & ~clear);
        expect(unsigned(core[name](once))).toBe(once);
      });
    });
  }

  test('pteMkdirty sets D and SOFT_DIRTY of a writable entry', () => {
    expect(unsigned(core.pteMkdirty(P | RW))).toBe(P | RW | D | SOFT_DIRTY);
  });

  test('pteMkdirty of a read-only entry sets SAVED_DIRTY, never D: it must not become a shadow stack', () => {
    expect(unsigned(core.pteMkdirty(P))).toBe(P | SAVED_DIRTY | SOFT_DIRTY);
  });

  test('pteMkclean takes back what pteMkdirty did, but for SOFT_DIRTY', () => {
    holds(entry, (pte) => {
      const clean = unsigned(core.pteMkclean(pte));
      expect(unsigned(core.pteMkclean(core.pteMkdirty(pte)))).toBe(clean | SOFT_DIRTY);
      expect(core.pteDirty(clean)).toBe(0);
    });
  });

  test('pteWrprotect moves D to SAVED_DIRTY, so the page stays dirty and is no shadow stack', () => {
    expect(unsigned(core.pteWrprotect(P | RW | D))).toBe(P | SAVED_DIRTY);
    expect(unsigned(core.pteWrprotect(P | RW))).toBe(P);
    holds(entry, (pte) => {
      const protectedPte = unsigned(core.pteWrprotect(pte));
      expect(core.pteWrite(protectedPte)).toBe(0);
      expect(core.pteDirty(protectedPte)).toBe(core.pteDirty(pte));
      expect(unsigned(core.pteWrprotect(protectedPte))).toBe(protectedPte);
      expect((protectedPte ^ pte) & ~(RW | D | SAVED_DIRTY)).toBe(0n);
    });
  });

  test('pteMkwrite brings D back', () => {
    expect(unsigned(core.pteMkwrite(P | SAVED_DIRTY))).toBe(P | RW | D);
    holds(orderly, (pte) => {
      const writable = unsigned(core.pteMkwrite(pte));
      expect(core.pteWrite(writable)).toBe(1);
      expect(writable & SAVED_DIRTY).toBe(0n);
      expect(core.pteDirty(writable)).toBe(core.pteDirty(pte));
      if ((pte & RW) !== 0n) expect(unsigned(core.pteMkwrite(core.pteWrprotect(pte)))).toBe(pte);
    });
  });

  test('pteMkuffdWp also write-protects', () => {
    expect(unsigned(core.pteMkuffdWp(P | RW | D))).toBe(P | UFFD_WP | SAVED_DIRTY);
    holds(entry, (pte) => expect(core.pteMkuffdWp(pte)).toBe(core.pteWrprotect(pte | UFFD_WP)));
  });
});

describe('pteModify', () => {
  const rights = fc
    .tuple(fc.integer({ min: 1, max: 7 }), fc.constantFrom(0, PROT_USER), fc.nat({ max: 15 }))
    .map(([rwx, user, key]) => rwx | user | (key << layout.PROT_PKEY_SHIFT));
  const present = orderly.map((pte) => pte | P);

  test('keeps frame, A, dirty, soft-dirty, uffd-wp, special and caching', () => {
    const kept = PFN | A | SOFT_DIRTY | UFFD_WP | SPECIAL | PWT | PCD | PSE;
    fc.assert(
      fc.property(present, rights, (pte, prot) => {
        const now = unsigned(core.pteModify(pte, prot));
        expect(now & kept).toBe(pte & kept);
        expect(core.pteDirty(now)).toBe(core.pteDirty(pte));
      }),
    );
  });

  test('keeps DEVMAP, which _PAGE_CHG_MASK holds', () => {
    expect(unsigned(core.pteModify(P | DEVMAP | SPECIAL, PROT_READ)) & DEVMAP).toBe(DEVMAP);
  });

  test('gives the new rights and the new key', () => {
    fc.assert(
      fc.property(present, rights, (pte, prot) => {
        const now = unsigned(core.pteModify(pte, prot));
        expect(now & P).toBe(P);
        expect((now & RW) !== 0n).toBe((prot & PROT_WRITE) !== 0);
        expect((now & NX) === 0n).toBe((prot & PROT_EXECUTE) !== 0);
        expect((now & US) !== 0n).toBe((prot & PROT_USER) !== 0);
        expect(now & PKEY).toBe(BigInt(prot >> layout.PROT_PKEY_SHIFT) << 59n);
      }),
    );
  });

  test('from writable to read-only, D becomes SAVED_DIRTY; and back', () => {
    const dirty = P | RW | D | A | NX;
    const readOnly = unsigned(core.pteModify(dirty, PROT_READ));
    expect(readOnly).toBe(P | SAVED_DIRTY | A | NX);
    expect(unsigned(core.pteModify(readOnly, PROT_READ | PROT_WRITE))).toBe(dirty);
  });

  test('leaves the D of a shadow-stack page alone', () => {
    expect(unsigned(core.pteModify(P | D | US | NX, PROT_READ | PROT_USER)) & (RW | D | SAVED_DIRTY)).toBe(D);
  });

  test('without any right makes PROTNONE of it: the hardware sees nothing, and the frame number is inverted', () => {
    fc.assert(
      fc.property(present, (pte) => {
        const none = unsigned(core.pteModify(pte, 0));
        expect(none & (P | RW | G)).toBe(G);
        expect(none & PFN).toBe(~pte & PFN);
        expect(core.ptePresent(none)).toBe(1);
        expect(core.ptePfn(none)).toBe(core.ptePfn(pte));
        expect(core.pteDirty(none)).toBe(core.pteDirty(pte));
      }),
    );
  });

  test('from PROTNONE back gives the frame that it was', () => {
    fc.assert(
      fc.property(present, rights, (pte, prot) => {
        const direct = unsigned(core.pteModify(pte, prot));
        const detour = unsigned(core.pteModify(core.pteModify(pte, 0), prot));
        expect(core.ptePfn(detour)).toBe(core.ptePfn(direct));
        expect(core.pteDirty(detour)).toBe(core.pteDirty(direct));
        expect(detour & ~(D | SAVED_DIRTY)).toBe(direct & ~(D | SAVED_DIRTY));
      }),
    );
  });
});

describe('makePte', () => {
  test('places each protection where the manual has it', () => {
    const make = (prot: number, level = 0) => unsigned(core.makePte(0x40000000n, level, prot)) & ~0x40000000n;
    expect(make(PROT_READ)).toBe(P | NX);
    expect(make(PROT_READ | PROT_EXECUTE)).toBe(P);
    expect(make(PROT_READ | PROT_WRITE | PROT_USER)).toBe(P | RW | US | NX);
    expect(make(PROT_EXECUTE | layout.PROT_GLOBAL)).toBe(P | G);
    expect(make(PROT_EXECUTE | layout.PROT_ACCESSED | layout.PROT_DIRTY)).toBe(P | A | D);
    expect(make(PROT_EXECUTE | layout.PROT_WRITE_THROUGH | layout.PROT_NO_CACHE)).toBe(P | PWT | PCD);
    expect(make(PROT_EXECUTE | layout.PROT_SOFT_DIRTY | layout.PROT_UFFD_WP)).toBe(P | SOFT_DIRTY | UFFD_WP);
    expect(make(PROT_EXECUTE | layout.PROT_SPECIAL)).toBe(P | SPECIAL);
    expect(make(PROT_EXECUTE | (9 << layout.PROT_PKEY_SHIFT))).toBe(P | (9n << 59n));
    expect(make(PROT_EXECUTE | layout.PROT_PAT)).toBe(P | bit(7));
    for (const level of [1, 2]) {
      expect(make(PROT_EXECUTE, level)).toBe(P | PSE);
      expect(make(PROT_EXECUTE | layout.PROT_PAT, level)).toBe(P | PSE | bit(12));
    }
  });
});

describe('entries in memory', () => {
  const word = () => rig.u64[slot / 8] as bigint;
  const put = (pte: bigint) => {
    rig.u64[slot / 8] = pte;
  };

  test('ptepGet reads and setPte writes all 64 bits', () => {
    holds(entry, (pte) => {
      core.setPte(slot, pte);
      expect(word()).toBe(pte);
      expect(unsigned(core.ptepGet(slot))).toBe(pte);
    });
  });

  test('ptepGetAndClear returns what was there and leaves none', () => {
    holds(entry, (pte) => {
      put(pte);
      expect(unsigned(core.ptepGetAndClear(slot))).toBe(pte);
      expect(word()).toBe(0n);
    });
  });

  test('ptepSetWrprotect is pteWrprotect in place', () => {
    holds(entry, (pte) => {
      put(pte);
      core.ptepSetWrprotect(slot);
      expect(word()).toBe(unsigned(core.pteWrprotect(pte)));
    });
  });

  test('ptepTestAndClearYoung tells whether A was set, and clears nothing else', () => {
    holds(entry, (pte) => {
      put(pte);
      expect(core.ptepTestAndClearYoung(slot) !== 0).toBe((pte & A) !== 0n);
      expect(word()).toBe(pte & ~A);
    });
  });

  test('between ptepModifyProtStart and Commit the entry is none', () => {
    const pte = 0x5000n | P | RW | D | A;
    put(pte);
    const old = unsigned(core.ptepModifyProtStart(slot));
    expect(old).toBe(pte);
    expect(core.pteNone(core.ptepGet(slot))).toBe(1);
    core.ptepModifyProtCommit(slot, core.pteModify(old, PROT_READ));
    expect(word()).toBe(0x5000n | P | A | NX | SAVED_DIRTY);
  });

  test('neighbours of the entry are not touched', () => {
    const at = slot / 8;
    rig.u64[at + 1] = 0x1111n;
    rig.u64[at + 2] = P | RW | A | D;
    rig.u64[at + 3] = 0x3333n;
    core.ptepSetWrprotect(slot + 16);
    core.ptepTestAndClearYoung(slot + 16);
    core.ptepModifyProtCommit(slot + 16, core.ptepModifyProtStart(slot + 16));
    core.ptepGetAndClear(slot + 16);
    expect([rig.u64[at + 1], rig.u64[at + 2], rig.u64[at + 3]]).toEqual([0x1111n, 0n, 0x3333n]);
  });
});
