// What the manual says a processor does with an address: Intel SDM vol. 3A, chapter 4, 4-level and 5-level paging. Dull on purpose:
// BigInt, nothing shared with the core. Not modelled: TLBs, LAM, shadow stacks, PKS, implicit supervisor accesses.

type Switch = 'gigabytePages' | 'wp' | 'nxe' | 'smep' | 'smap' | 'ac' | 'pke';
export type Processor = { cr3: bigint; levels: 4 | 5; physicalBits: number; pkru: number } & Record<Switch, boolean>;
export type Access = { va: bigint; kind: 'read' | 'write' | 'execute'; user: boolean };
/** `writes`: the A and D updates made on the way, as physical address and new entry, in order. */
export type Answer = { level: number; writes: [bigint, bigint][] } & (
  | { cause: 'mapped'; pa: bigint; entry: bigint; write: boolean; user: boolean; execute: boolean }
  | { cause: 'absent' | 'reserved' | 'protection' | 'unbacked' | 'non-canonical'; code: number }
);

/** Translates as hardware does. `read` gives the 8 bytes at a physical address, or undefined where there is no memory. */
export function translate(cpu: Processor, access: Access, read: (pa: bigint) => bigint | undefined): Answer {
  const { va, user } = access;
  const bit = (value: bigint, n: number) => ((value >> BigInt(n)) & 1n) === 1n;
  const [fetch, store] = [access.kind === 'execute', access.kind === 'write'];
  // 4.7, figure 4-12: W/R, U/S, and I/D only where NXE or SMEP make fetches a thing of their own.
  const code = (store ? 2 : 0) | (user ? 4 : 0) | (fetch && (cpu.nxe || cpu.smep) ? 16 : 0);
  const writes: [bigint, bigint][] = [];
  const signExtended = BigInt.asUintN(64, BigInt.asIntN(cpu.levels * 9 + 12, va));
  if (signExtended !== va) return { cause: 'non-canonical', code: 0, level: 0, writes };
  let table = cpu.cr3 & 0xffffffffff000n;
  const rights = { write: true, user: true, execute: true };
  for (let level = cpu.levels - 1; ; level--) {
    const at = table + ((va >> BigInt(12 + 9 * level)) & 511n) * 8n;
    const entry = read(at);
    if (entry === undefined) return { cause: 'unbacked', code: 0, level, writes };
    if (!bit(entry, 0)) return { cause: 'absent', code, level, writes };
    // Tables 4-14 to 4-20: PS maps a page at levels 1 and 2, and is reserved above and where 1 GiB pages do not exist.
    const leaf = level === 0 || (level <= 2 && bit(entry, 7));
    const offset = (1n << BigInt(12 + 9 * level)) - 1n;
    let reserved = 0xfffffffffffffn & ~((1n << BigInt(cpu.physicalBits)) - 1n);
    if (!cpu.nxe) reserved |= 1n << 63n;
    if (level > 2 || (level === 2 && !cpu.gigabytePages)) reserved |= 1n << 7n;
    if (leaf) reserved |= offset & ~0x1fffn;
    if ((entry & reserved) !== 0n) return { cause: 'reserved', code: code | 9, level, writes };
    rights.write &&= bit(entry, 1);
    rights.user &&= bit(entry, 2);
    rights.execute &&= !bit(entry, 63);
    if (leaf) {
      // 4.6.1: access rights. 4.6.2: protection keys, which judge data accesses to user-mode addresses alone.
      let refused = user ? !rights.user : rights.user && (fetch ? cpu.smep : cpu.smap && !cpu.ac);
      refused ||= (fetch && cpu.nxe && !rights.execute) || (store && !rights.write && (user || cpu.wp));
      const key = cpu.pke && rights.user && !fetch ? cpu.pkru >>> (Number((entry >> 59n) & 15n) * 2) : 0;
      const keyRefuses = (key & 1) !== 0 || ((key & 2) !== 0 && store && (user || cpu.wp));
      if (refused || keyRefuses) return { cause: 'protection', code: code | 1 | (keyRefuses ? 32 : 0), level, writes };
    }
    // 4.8: A of each entry that is used, D of a leaf that is written through.
    const touched = entry | 0x20n | (leaf && store ? 0x40n : 0n);
    if (touched !== entry) writes.push([at, touched]);
    table = touched & 0xffffffffff000n;
    if (leaf)
      return { cause: 'mapped', pa: (table & ~offset) | (va & offset), level, entry: touched, writes, ...rights };
  }
}
