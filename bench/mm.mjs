// An mm of small pages with frames of their own, and CPUs with a TLB each, for the sections that flush.
//
// Guarantees: the CPUs run nothing yet; `dispose` gives all of it back, whatever became of the entries: each frame loses one reference.

/** `pages` pages from `at` on, writable and dirty, and `cpus` CPUs. */
export function makeMm({ core, layout }, at, pages, cpus) {
  const space = core.createSpace(layout.FORMAT_X86_64) >>> 0;
  core.setRegime(space, layout.CR_WP | layout.CR_NXE, 0, 46);
  const prot = layout.PROT_READ | layout.PROT_WRITE | layout.PROT_USER | layout.PROT_ACCESSED | layout.PROT_DIRTY;
  const frames = Array.from({ length: pages }, () => core.allocateFrame(layout.FRAME_DATA));
  for (const [page, pfn] of frames.entries()) {
    const status = core.map(space, at + BigInt(page) * 4096n, BigInt(pfn) << 12n, 4096n, prot, 0);
    if (pfn < 0 || status !== layout.STATUS_OK)
      throw new Error(`no room for page ${page}: pfn ${pfn}, status ${status}`);
  }
  const mm = core.createMm(space, true) >>> 0;
  const tlbs = Array.from({ length: cpus }, () => core.createTlb(1, 64, 12, 9, layout.INCLUSION_NONE, 1) >>> 0);
  for (const tlb of tlbs) core.setTlbArray(tlb, 0, 16, 4, 1, 1, layout.SERVES_DATA, layout.POLICY_LRU);
  const ids = tlbs.map((tlb, id) => core.createCpu(id, tlb, layout.MACHINE_RECHECK) >>> 0);
  const dispose = () => {
    for (const cpu of ids) core.loadMm(cpu, 0, 0);
    for (const cpu of ids) core.freeCpu(cpu);
    for (const tlb of tlbs) core.disposeTlb(tlb);
    core.unmap(space, at, BigInt(pages) * 4096n);
    for (const pfn of frames) core.putFrame(pfn);
    core.freeMm(mm);
    core.closeSpace(space);
  };
  return { space, mm, cpus: ids, frames, dispose };
}
