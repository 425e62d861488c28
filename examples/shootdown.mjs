// @ts-check
// Why a flush is owed: a CPU stores through a stale TLB entry after its page was write-protected.
import { Cpu, Mm, PageBitmap, PhysicalMemory, SharedFile, TLB_PRESETS, Tlb, vpn } from 'pagewalk';

const memory = await PhysicalMemory.create();
const space = memory.createAddressSpace();
const mm = new Mm(space);

// Sixteen pages of a file, shared and writable at 0x400000.
const file = new SharedFile(memory);
const first = memory.allocateFrames(16);
mm.declare(0x400000, 16 * 4096, file, 0);
space.map(0x400000, BigInt(first) * 4096n, 16 * 4096, { read: true, write: true, user: true });

// Two CPUs, each with the TLB of a real processor. The first runs the kernel's part, the second the user's.
const model = TLB_PRESETS['amd-zen4'];
const kernel = new Cpu(memory, 0, new Tlb(memory, model));
const user = new Cpu(memory, 1, new Tlb(memory, model));
user.load(mm);

user.enterUser();
console.log('store to page 3:', user.write(0x403000, 1n).kind);
user.leaveUser();

// Clean and record: the page is in the bitmap, its PTE is clean, and the TLBs were flushed.
const bitmap = new PageBitmap(memory, vpn(0), 16);
const cleaned = file.cleanAndRecord(kernel, 0, 15, bitmap);
console.log(
  'cleaned:',
  cleaned.touched,
  'page, recorded:',
  [...bitmap],
  'interrupted:',
  cleaned.flush.interrupted,
  'CPU',
);

// The same by hand, and without the flush: the store goes on, and no PTE tells of it.
user.enterUser();
user.write(0x403000, 2n);
user.leaveUser();
const slot = space.entryAddress(0x403000);
if (slot === undefined) throw new Error('no entry');
memory.pte.ptepSetWrprotect(slot);
user.enterUser();
console.log('write-protected, not flushed, store:', user.write(0x403000, 3n).kind);
user.leaveUser();

kernel.flush(mm, { va: 0x403000, sizeBytes: 4096 });
user.enterUser();
console.log('flushed, store:', user.write(0x403000, 4n).kind);
user.leaveUser();

/* Prints:
store to page 3: done
cleaned: 1 page, recorded: [ 3 ] interrupted: 1 CPU
write-protected, not flushed, store: done
flushed, store: fault
*/
