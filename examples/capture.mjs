// @ts-check
// The page tables of a real Linux kernel, out of a capture of its physical memory: list what is mapped, translate one
// address, find who maps a frame.
import { fileURLToPath } from 'node:url';
import { hex, openImage, PhysicalMemory, pfnOf, physicalAddress } from 'pagewalk';

const path = fileURLToPath(new URL('../test/fixtures/captures/x86_64-4l-nopti.ptpg.gz', import.meta.url));
const image = await openImage(path);

// Tables lie anywhere in physical memory; each is brought when a walk first comes to it.
const memory = await PhysicalMemory.createSparse({ pages: image.pages });
const space = memory.openAddressSpace({ root: physicalAddress(0x3090000) });
/** @param {import('pagewalk').PhysicalAddress} table */
const fetch = (table) => image.page(table);

let runs = 0;
let bytes = 0n;
for (const record of space.mappings({ fetch })) {
  if (record.kind === 'hole') throw new Error(`no table at ${hex(record.table)}`);
  runs += 1;
  bytes += record.sizeBytes;
}
console.log(`${runs} runs, ${bytes / 1024n} KiB`);

const code = space.translate(0x401000, 'user-execute', fetch);
if (code.kind === 'mapped') {
  console.log('0x401000 →', hex(code.pa));
  for (const { va, level } of space.mappingsOf(pfnOf(code.pa))) console.log('mapped at', hex(va), 'level', level);
}

space.dispose();
memory.dispose();
await image.close();

/* Prints:
317 runs, 196832 KiB
0x401000 → 0x78f3000
mapped at 0x401000 level 0
mapped at 0xffff8c07c7800000 level 1
*/
