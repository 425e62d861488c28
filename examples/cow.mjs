// @ts-check
// Two processes after fork: pages are shared until one side stores, and the other CPUs' TLBs hear of the copy.
import { Cpu, Folio, Kernel, Mm, MmuNotifier, PhysicalMemory, pfnOf, TLB_PRESETS, Tlb, UserThread } from 'pagewalk';

const memory = await PhysicalMemory.create();
const parent = new Mm(memory.createAddressSpace());
parent.declareAnonymous(0x400000, 4 * 4096);

const model = TLB_PRESETS['amd-zen4'];
const [first, second, third, boot] = [0, 1, 2, 3].map((id) => new Cpu(memory, id, new Tlb(memory, model)));
if (!first || !second || !third || !boot) throw new Error('no CPUs');
const kernel = new Kernel(boot);

// The parent stores to two of its pages: each first store is a fault that brings a page of zeros.
first.load(parent);
const father = new UserThread(first);
father.write(0x400000, 1n);
father.write(0x401000, 2n);
console.log('parent: faults', first.statistics.faults);

// fork() write-protects both sides. Two threads of the child load the first page through their TLBs.
const forked = kernel.fork(parent);
if (forked.kind === 'refused') throw new Error(forked.reason);
const { child } = forked;
for (const cpu of [second, third]) cpu.load(child);
const [son, sibling] = [new UserThread(second), new UserThread(third)];
const shared = folioAt(child);
console.log('after fork: mapcount', shared.mapcount, 'exclusive', shared.flags.anonExclusive);
console.log('child reads', son.read(0x400000), 'and', sibling.read(0x400000));

// One thread of the child stores: a copy takes the place of the page, after a flush that its sibling answers.
const notifier = new MmuNotifier(child);
console.log('child writes', son.write(0x400000, 10n));
console.log('its sibling reads', sibling.read(0x400000), 'the parent', father.read(0x400000));
console.log('sibling: interrupts', third.statistics.flush.answered, 'partial flushes', third.statistics.flush.partial);
for (const notice of notifier.drain()) console.log('notified:', notice.kind, 'event' in notice ? notice.event : '');

// The parent is alone with the page now: its store makes it writable as it is.
const copies = memory.audit().live;
father.write(0x400000, 3n);
console.log(
  'parent writes: frames more',
  memory.audit().live - copies,
  'exclusive',
  folioAt(parent).flags.anonExclusive,
);

notifier.dispose();
for (const cpu of [first, second, third]) cpu.load(undefined);
for (const mm of [child, parent]) {
  kernel.put(mm);
  mm.dispose();
  mm.space.dispose();
}
// The zero page stays.
console.log('frames left', memory.audit().live);
memory.dispose();

/** @param {Mm} mm */
function folioAt(mm) {
  const found = mm.space.translate(0x400000);
  const folio = found.kind === 'mapped' ? Folio.at(memory, pfnOf(found.pa)) : undefined;
  if (folio === undefined) throw new Error('no page is there');
  return folio;
}

/* Prints:
parent: faults 2
after fork: mapcount 2 exclusive false
child reads { kind: 'done', value: 1n } and { kind: 'done', value: 1n }
child writes { kind: 'done', value: 10n }
its sibling reads { kind: 'done', value: 10n } the parent { kind: 'done', value: 1n }
sibling: interrupts 1 partial flushes 1
notified: start clear
notified: secondary 
notified: end clear
parent writes: frames more 0 exclusive true
frames left 1
*/
