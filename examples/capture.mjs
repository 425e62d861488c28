// @ts-check
// The page tables of a real Linux kernel, out of a capture of its physical memory (the format is in
// test/fixtures/captures/README.md): list what is mapped, explain one address, find who maps a frame.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { hex, PhysicalMemory, pfn, physicalAddress } from 'pagewalk';

const capture = gunzipSync(readFileSync(new URL('../test/fixtures/captures/x86_64-4l-nopti.ptpg.gz', import.meta.url)));
const pages = new Map();
for (let at = 16; at < capture.length; at += 8 + 4096) {
  pages.set(capture.readBigUInt64LE(at), capture.subarray(at + 8, at + 8 + 4096));
}

// Tables lie anywhere in physical memory; each is brought when a walk first comes to it.
const memory = await PhysicalMemory.createSparse({ pages: pages.size });
const space = memory.openAddressSpace({ root: physicalAddress(0x3090000) });
/** @param {bigint} table */
const fetch = (table) => pages.get(table);

let runs = 0;
let bytes = 0n;
for (const record of space.mappings({ fetch })) {
  if (record.kind === 'hole') throw new Error(`no table at ${hex(record.table)}`);
  runs += 1;
  bytes += record.sizeBytes;
}
console.log(`${runs} runs, ${bytes / 1024n} KiB`);

const code = space.translate(0x401000, 'user-execute');
if (code.kind === 'mapped') {
  console.log('0x401000 →', hex(code.pa));
  for (const { va, level } of space.mappingsOf(pfn(Number(code.pa >> 12n))))
    console.log('mapped at', hex(va), 'level', level);
}

/* Prints:
317 runs, 196832 KiB
0x401000 → 0x78f3000
mapped at 0x401000 level 0
mapped at 0xffff8c07c7800000 level 1
*/
