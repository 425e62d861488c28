// Everything that tables map, by plain recursion over their slots: what `list` must find, in its order.
//
// Nothing shared with the core. Slots that hold zero are not looked at one by one: `slotsOf` says which do not.

import type { Processor } from './x86.ts';

export type Found = { va: bigint; size: bigint; entry: bigint } & (
  | { kind: 'page'; pa: bigint; level: number; write: boolean; user: boolean; execute: boolean }
  | { kind: 'reserved' }
  | { kind: 'unbacked'; table: bigint }
  | { kind: 'loop'; table: bigint }
);

type Rights = { write: boolean; user: boolean; execute: boolean };

/** `slotsOf` gives the entries of a table that are not zero, by ascending slot, or undefined where there is no memory. */
export function findAll(
  cpu: Processor,
  slotsOf: (table: bigint) => [number, bigint][] | undefined,
  followLoops: boolean,
): Found[] {
  const found: Found[] = [];
  const sign = (va: bigint) => BigInt.asUintN(64, BigInt.asIntN(cpu.levels * 9 + 12, va));
  const descend = (table: bigint, level: number, base: bigint, path: bigint[], rights: Rights): void => {
    const size = 1n << BigInt(12 + 9 * level);
    for (const [slot, entry] of slotsOf(table) ?? []) {
      if ((entry & 1n) === 0n) continue;
      const va = sign(base + BigInt(slot) * size);
      const leaf = level === 0 || (level <= 2 && (entry & 0x80n) !== 0n);
      let reserved = 0xfffffffffffffn & ~((1n << BigInt(cpu.physicalBits)) - 1n);
      if (!cpu.nxe) reserved |= 1n << 63n;
      if (level > 2 || (level === 2 && !cpu.gigabytePages)) reserved |= 0x80n;
      if (leaf) reserved |= (size - 1n) & ~0x1fffn;
      const pa = entry & 0xffffffffff000n & ~(size - 1n);
      if ((entry & reserved) !== 0n) {
        found.push({ kind: 'reserved', va, size, entry });
        continue;
      }
      const now = {
        write: rights.write && (entry & 2n) !== 0n,
        user: rights.user && (entry & 4n) !== 0n,
        execute: rights.execute && entry >> 63n === 0n,
      };
      const below = entry & 0xffffffffff000n;
      if (leaf) found.push({ kind: 'page', va, size, entry, pa, level, ...now });
      else if (slotsOf(below) === undefined) found.push({ kind: 'unbacked', va, size, entry, table: below });
      else if (!followLoops && path.includes(below)) found.push({ kind: 'loop', va, size, entry, table: below });
      else descend(below, level - 1, va, [...path, below], now);
    }
  };
  const root = cpu.cr3 & 0xffffffffff000n;
  descend(root, cpu.levels - 1, 0n, [root], { write: true, user: true, execute: true });
  return found.sort((a, b) => (a.va < b.va ? -1 : 1));
}
