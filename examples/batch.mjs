// @ts-check
// A million translations in one call: addresses in and results out as typed arrays over the memory of the core.
import { frameOfPage, hex, isMappedPage, PhysicalMemory, vpn } from 'pagewalk';

const memory = await PhysicalMemory.create({ sizeBytes: 64 * 2 ** 20, heapBytes: 32 * 2 ** 20 });
const space = memory.createAddressSpace();

// 4 GiB of virtual memory over frames that are nobody's RAM here: only the tables need room.
const GiB = 2 ** 30;
space.map(0x1_0000_0000, 0, 4 * GiB, { read: true, write: true, user: true });

const count = 1_000_000;
const batch = space.batch(count);
// Addresses are pairs of 32-bit words, low word first; a BigUint64Array over the same bytes is `batch.addresses`.
for (let n = 0, state = 1; n < count; n++) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // Numerical Recipes' generator, seed 1
  batch.addressWords[2 * n] = state;
  batch.addressWords[2 * n + 1] = 1;
}
console.log('mapped:', batch.translate(count, { access: 'user-read' }));
console.log('the first:', hex(batch.addresses[0] ?? 0n), '→', batch.decode(0).kind);

// One at a time without making an object, with a software TLB in front.
const tlb = space.softTlb();
const result = tlb.translatePage(vpn(0x1_0000_3));
if (isMappedPage(result)) console.log('page 0x100003 → frame', hex(frameOfPage(result)));

batch.dispose();
space.dispose();
memory.dispose();

/* Prints:
mapped: 1000000
the first: 0x13c88596c → mapped
page 0x100003 → frame 0x3
*/
