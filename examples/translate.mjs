// @ts-check
// One address space from nothing: map, translate, access like hardware, fault, explain.
import { hex, PhysicalMemory } from 'pagewalk';

const memory = await PhysicalMemory.create({ sizeBytes: 64 * 2 ** 20 });
const space = memory.createAddressSpace({ format: 'x86-64' });

// Four pages of user memory at 0x400000, in physical memory at 0xabc000.
space.map(0x400000, 0xabc000, 4 * 4096, { read: true, write: true, user: true });

// Where does an address go? Nothing is changed by asking.
const found = space.translate(0x401234, 'user-read');
if (found.kind === 'mapped') console.log('0x401234 →', hex(found.pa), found.rights);

// An access as the CPU makes it sets A on the way down, and D for a write.
const written = space.access(0x401234, 'user-write');
if (written.kind === 'mapped') console.log('after a write: accessed', written.accessed, 'dirty', written.dirty);

// What cannot be done is an answer, with the error code that the CPU would push.
const refused = space.translate(0x401234, 'user-execute');
if (refused.kind === 'fault') console.log('execute:', refused.cause, 'error code', hex(refused.code));

// Every entry on the way.
for (const { name, table, index, entry, fields } of space.explain(0x401234).levels) {
  console.log(name.padEnd(5), hex(table), `[${index}]`, hex(entry), fields.map((field) => field.name).join(' '));
}

space.dispose();
memory.dispose();

/* Prints:
0x401234 → 0xabd234 { read: true, write: true, execute: false, user: true }
after a write: accessed true dirty true
execute: protection error code 0x15
PML4E 0x0 [0] 0x1027 P RW US A
PDPTE 0x1000 [0] 0x2027 P RW US A
PDE   0x2000 [2] 0x3027 P RW US A
PTE   0x3000 [1] 0x8000000000abd067 P RW US A D NX
*/
