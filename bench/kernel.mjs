// Question: what does the running kernel take for the same to real memory? ×1.00: its mprotect(). For orientation: nothing is judged.
//
// 1 GiB of private pages of 4 KiB, present and written before each call, outside the timed part. The core does the same to tables alone: it has no
// system call, no VMAs to look at, and no pages behind the entries; its flush has no CPU to interrupt.

import { release } from 'node:os';
import { BASE } from './machine.mjs';
import { table } from './table.mjs';

const PAGES = 2 ** 18;

export const kernel = {
  name: 'kernel',
  leafMib: 2,
  async *tables(machine, options) {
    const { native, call, core, layout, memory, space } = machine;
    if (!native) return;
    call[5] = PAGES;
    if (native.kernelMap() === 0) return;
    const done = (name) => () => {
      if (native[name]() === 0) throw new Error(`the kernel refused ${name}`);
    };
    const dirty = done('kernelDirty');
    const scan = core.heapAllocate(layout.SCAN_BYTES) >>> 0;
    const view = new DataView(memory.buffer);
    view.setBigUint64(scan + layout.SCAN_VA, BASE, true);
    view.setBigUint64(scan + layout.SCAN_LAST, BASE + BigInt(PAGES) * 4096n - 1n, true);
    for (const word of [layout.SCAN_BITMAP, layout.SCAN_TRACKER, layout.SCAN_FLAGS])
      view.setUint32(scan + word, 0, true);
    const rights = layout.PROT_READ | layout.PROT_WRITE | layout.PROT_EXECUTE | layout.PROT_USER;
    const prot = rights | layout.PROT_ACCESSED | layout.PROT_DIRTY;
    const restore = () => {
      core.unmap(space, BASE, BigInt(PAGES) * 4096n);
      core.map(space, BASE, 0x1000_0000n, BigInt(PAGES) * 4096n, prot, 0);
    };
    const changes = (name) => () => {
      core[name](space, scan);
      const touched = Number(view.getBigUint64(scan + layout.SCAN_TOUCHED, true));
      if (touched !== PAGES) throw new Error(`${name} touched ${touched} entries of ${PAGES}`);
    };
    const rows = [
      { name: 'Linux, mprotect to read only', count: PAGES, before: dirty, run: done('kernelProtect') },
      { name: 'core, write-protect', count: PAGES, before: restore, run: changes('wrprotectRange') },
    ];
    try {
      native.kernelClearRefs();
      rows.push({ name: 'Linux, clear_refs of 1', count: PAGES, before: dirty, run: done('kernelClearRefs') });
      rows.push({ name: 'core, age', count: PAGES, before: restore, run: changes('ageRange') });
      yield await table(options, {
        title: 'the running kernel, for orientation',
        rows,
        parameters: `${PAGES} pages, Linux ${release()}`,
        judge: () => [],
      });
    } finally {
      restore();
      native.kernelUnmap();
      core.heapFree(scan);
    }
  },
};
