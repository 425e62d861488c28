// Processes that fault, fork and have their pages moved, against maps of pages: every access gives what the last store gave, or the signal that the map says;
// whatever merges, reclaims, migrates or writes back pages is not seen; references and map counts are those of the entries; in the end every frame
// is free.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Area, type Kind, Machine, type Outcome, Process } from '../oracle/processes.ts';
import { layout } from '../support/core.ts';
import { P, PAGE, PRIVATE, Scene, SHARED } from '../support/mm.ts';

const SEED = Number(process.env['PAGEWALK_SEED'] ?? Date.now() & 0xffffff);
console.log(`PAGEWALK_SEED=${SEED}`);

/** Ten pages around the boundary of two leaf tables. */
const COUNT = 10;
const BASE = 0x40000000n - 5n * PAGE;
const PROTNONE = 0x100n;
const FRAME = 0xffffffffff000n;
const MOST_PROCESSES = 3;

const at = (page: number) => BASE + BigInt(page) * PAGE;
const end = (page: number) => at(page) + PAGE - 1n;

interface Place {
  process: number;
  page: number;
}

type Step = Place &
  (
    | { op: 'mmap'; count: number; kind: Kind; write: boolean; notify: boolean; fresh: boolean }
    | { op: 'store' | 'exchange' | 'load'; cpu: number; value: number }
    | { op: 'munmap' | 'dontNeed' | 'clearRefs' | 'pagemap'; count: number }
    | { op: 'mprotect'; count: number; rights: number }
    | { op: 'uffdWp'; count: number; resolve: boolean }
    | { op: 'merge'; with: Place }
    | { op: 'reclaim' | 'migrate' | 'writeBack' | 'fork' | 'exit' }
  );

const place = { process: fc.nat(MOST_PROCESSES - 1), page: fc.nat(COUNT - 1) };
const count = fc.integer({ min: 1, max: COUNT });
const cpu = fc.nat(1);
const value = fc.nat(3);
const kind = fc.constantFrom<Kind>('anon', 'anon', 'uffd', 'shared', 'copy');
const of = <O extends string, T extends object>(ops: O[], rest: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record({ op: fc.constantFrom(...ops), ...place, ...rest });
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: of(['mmap'], { count, kind, write: fc.boolean(), notify: fc.boolean(), fresh: fc.boolean() }),
  },
  { weight: 14, arbitrary: of(['store'], { cpu, value }) },
  { weight: 8, arbitrary: of(['load', 'exchange'], { cpu, value }) },
  { weight: 2, arbitrary: of(['munmap', 'dontNeed'], { count }) },
  { weight: 3, arbitrary: of(['clearRefs', 'pagemap'], { count }) },
  { weight: 3, arbitrary: of(['mprotect'], { count, rights: fc.nat(3) }) },
  { weight: 2, arbitrary: of(['uffdWp'], { count, resolve: fc.boolean() }) },
  { weight: 3, arbitrary: of(['merge'], { with: fc.record(place) }) },
  { weight: 6, arbitrary: of(['reclaim', 'migrate', 'writeBack'], {}) },
  { weight: 3, arbitrary: of(['fork'], {}) },
  { weight: 1, arbitrary: of(['exit'], {}) },
) as fc.Arbitrary<Step>;

const { VM_READ, VM_WRITE, VM_SOFTDIRTY, VM_UFFD_WP, VM_WRITENOTIFY, STATUS_OK } = layout;
const OUTCOMES: Readonly<Record<number, Outcome>> = {
  [layout.SIGNAL_MAPERR]: 'MAPERR',
  [layout.SIGNAL_ACCERR]: 'ACCERR',
  [layout.SIGNAL_USERFAULT]: 'USERFAULT',
};

function flagsOf({ kind, read, write, notify, fresh }: Area): number {
  const base = kind === 'shared' ? SHARED : PRIVATE;
  return (
    (base & ~(VM_READ | VM_WRITE)) |
    (read ? VM_READ : 0) |
    (write ? VM_WRITE : 0) |
    (kind === 'uffd' ? VM_UFFD_WP : 0) |
    (notify && kind === 'shared' ? VM_WRITENOTIFY : 0) |
    (fresh ? VM_SOFTDIRTY : 0)
  );
}

interface World {
  levels: 4 | 5;
  machine: number;
  /** HANDLER_* */
  policy: number;
  driver: boolean;
}

/** The core and the model side by side. */
class Pair {
  readonly model = new Machine(COUNT);
  private readonly mms = new Map<number, number>();
  private readonly cpus: number[];
  private readonly scene: Scene;
  private readonly file: number;
  private readonly levels: 4 | 5;
  private readonly baseline: number;

  constructor(scene: Scene, { levels, machine, policy, driver }: World) {
    this.scene = scene;
    this.levels = levels;
    const { core } = scene.rig;
    core.openZeroPage();
    this.cpus = [1, 2].map((id) => scene.cpu(id, machine));
    for (const cpu of this.cpus) core.setHandler(cpu, policy, 0);
    this.baseline = scene.u32(layout.CONTROL_LIVE);
    this.file = scene.file(COUNT);
    core.openStore(this.file);
    if (driver) core.setDriver(this.file, core.createDriver(COUNT, false, 0));
    this.begin(0, new Process());
  }

  private begin(number: number, process: Process): number {
    const mm = this.scene.mm(this.levels);
    this.mms.set(number, mm);
    this.model.processes.set(number, process);
    return mm;
  }

  run(step: Step): void {
    const { scene, model } = this;
    const { core } = scene.rig;
    const process = model.processes.get(step.process);
    const mm = this.mms.get(step.process);
    if (process === undefined || mm === undefined) return;
    const { page } = step;
    const last = 'count' in step ? Math.min(COUNT - 1, page + step.count - 1) : page;
    const pages = Array.from({ length: last - page + 1 }, (_, n) => page + n);
    scene.prepare(BASE >> 12n);
    switch (step.op) {
      case 'mmap': {
        if (pages.some((each) => process.areas.has(each))) return;
        const { kind, notify, write, fresh } = step;
        const area = { kind, notify, read: true, write, fresh };
        const file = kind === 'shared' || kind === 'copy';
        scene.vma(mm, at(page), pages.length, flagsOf(area), file ? this.file : 0, file ? page : 0);
        for (const each of pages) process.areas.set(each, { ...area });
        return;
      }
      case 'store':
      case 'exchange':
      case 'load': {
        const cpu = this.cpus[step.cpu] as number;
        const value = BigInt(step.value);
        core.switchMm(cpu, mm);
        if (step.op === 'load') {
          const status = core.handledLoad(cpu, at(page));
          expect(this.outcome(status)).toEqual(model.load(process, page));
        } else if (step.op === 'exchange') {
          const status = core.handledExchange(cpu, at(page), value);
          expect(this.outcome(status)).toEqual(model.store(process, page, value));
        } else {
          const want = model.store(process, page, value);
          const status = core.handledStore(cpu, at(page), value);
          expect(status === layout.DONE ? 'done' : OUTCOMES[status]).toBe(typeof want === 'string' ? want : 'done');
        }
        return;
      }
      case 'munmap':
        expect(core.munmap(scene.self, mm, at(page), end(last), scene.path, 0)).toBe(STATUS_OK);
        for (const each of pages) {
          process.forget(each);
          process.touched.delete(each);
          process.areas.delete(each);
        }
        return;
      case 'dontNeed':
        core.madviseDontNeed(scene.self, mm, at(page), end(last), scene.path, 0);
        for (const each of pages) process.forget(each);
        return;
      case 'clearRefs':
        core.clearRefs(scene.self, mm, 0n, (1n << 64n) - 1n, scene.path, 0);
        model.clearSoftDirty(process);
        return;
      case 'pagemap': {
        core.pagemapSoftDirty(scene.self, mm, at(page), end(last), scene.path);
        const told = new Set(scene.bits());
        for (const each of pages) {
          const area = process.areas.get(each);
          const must = area !== undefined && (area.fresh || process.dirty.has(each));
          const may = area !== undefined && (must || process.touched.has(each));
          if (must || !may) expect({ page: each, softDirty: told.has(each) }).toEqual({ page: each, softDirty: must });
        }
        return;
      }
      case 'mprotect': {
        const [read, write] = [(step.rights & 1) !== 0, (step.rights & 2) !== 0];
        const rights = (read ? VM_READ : 0) | (write ? VM_WRITE : 0);
        const status = core.mprotect(scene.self, mm, at(page), end(last), rights, scene.path, 0);
        expect(status === STATUS_OK).toBe(model.protect(process, page, last, read, write));
        return;
      }
      case 'uffdWp': {
        const areas = pages.map((each) => process.areas.get(each));
        if (areas.some((area) => area?.kind !== 'uffd')) return;
        const options = step.resolve ? layout.UFFD_WP_RESOLVE : 0;
        expect(core.uffdWriteProtect(scene.self, mm, at(page), end(last), scene.path, options)).toBe(STATUS_OK);
        for (const each of pages) {
          if (step.resolve) process.marked.delete(each);
          else if (process.known.has(each)) process.marked.add(each);
        }
        return;
      }
      case 'merge':
        this.merge(step, step.with);
        return;
      case 'reclaim':
      case 'migrate':
      case 'writeBack':
        this.move(step.op, mm, page, process);
        return;
      case 'fork': {
        const number = [0, 1, 2].find((n) => !model.processes.has(n));
        if (number === undefined) return;
        const child = this.begin(number, process.fork());
        expect(core.forkMm(scene.self, mm, child, 0)).toBe(1);
        return;
      }
      case 'exit':
        if (model.processes.size > 1) this.exit(step.process);
    }
  }

  private outcome(status: number): Outcome {
    const { agent } = this.scene.rig;
    if (status !== layout.DONE) return OUTCOMES[status] as Outcome;
    return { done: this.scene.u64(layout.AGENTS + agent * layout.AGENT_BYTES + layout.AGENT_REPLY) };
  }

  /** The folio that is mapped there, and its frame. */
  private mapped({ process, page }: Place): { folio: number; pfn: number } | undefined {
    const mm = this.mms.get(process);
    const pte = mm === undefined ? 0n : this.scene.pte(mm, at(page));
    if ((pte & (P | PROTNONE)) === 0n) return undefined;
    const pfn = Number((((pte & P) !== 0n ? pte : ~pte) & FRAME) >> 12n);
    const folio = this.scene.rig.core.folioAddress(pfn) >>> 0;
    return folio === 0 ? undefined : { folio, pfn };
  }

  /** Two pages become one, where they can: nobody sees it, but what the entry was marked with is lost. */
  private merge(one: Place, two: Place): void {
    const { scene } = this;
    const { core } = scene.rig;
    const merge = (place: Place, kfolio: number) => {
      scene.prepare();
      const mm = this.mms.get(place.process) as number;
      return core.mergePage(scene.self, mm, at(place.page), kfolio, scene.path, 0) !== 0;
    };
    const kept = this.mapped(one);
    if (kept === undefined || !merge(one, 0)) return;
    const other = this.mapped(two);
    if (other === undefined || other.folio === kept.folio || !merge(two, kept.folio)) return;
    const process = this.model.processes.get(two.process) as Process;
    process.dirty.delete(two.page);
    process.marked.delete(two.page);
  }

  private move(op: 'reclaim' | 'migrate' | 'writeBack', mm: number, page: number, process: Process): void {
    const { scene, model } = this;
    const { core } = scene.rig;
    const found = this.mapped({ process: this.numberOf(mm), page });
    if (found === undefined) return;
    const { folio, pfn } = found;
    const ofFile = (scene.u32(folio + layout.FOLIO_MAPPING) & layout.FOLIO_ANON) === 0;
    if (op === 'writeBack') {
      if (!ofFile) return;
      const index = Number(scene.u64(folio + layout.FOLIO_INDEX));
      core.writeBackFolio(scene.self, folio, scene.path, 0);
      expect(scene.u64(core.storedPage(this.file, index) >>> 0)).toBe(model.file[index]);
      return;
    }
    core.getFrame(pfn);
    let gone = false;
    if (op === 'reclaim') gone = core.reclaimFolio(scene.self, folio, scene.path, 0) !== 0;
    else {
      const to = scene.newFolio();
      gone = core.migrateFolio(scene.self, folio, to.folio, scene.path, 0) !== 0;
      core.putFolio(to.folio);
      expect(gone || (scene.flags(folio) & layout.PG_SWAPCACHE) !== 0).toBe(true);
    }
    if (!gone) core.putFolio(folio);
    // An entry of a file page that goes takes what it was marked with along, in every process.
    if (op === 'reclaim' && ofFile) for (const each of model.processes.values()) each.dirty.delete(page);
    expect(process.areas.has(page)).toBe(true);
  }

  private numberOf(mm: number): number {
    return [...this.mms].find(([, each]) => each === mm)?.[0] as number;
  }

  private exit(number: number): void {
    const { scene } = this;
    const { core } = scene.rig;
    const mm = this.mms.get(number) as number;
    for (const cpu of this.cpus) if (scene.u32(cpu + layout.CPU_MM) === mm) core.switchMm(cpu, 0);
    scene.prepare();
    expect(core.putMm(scene.self, mm, scene.path, 0)).toBe(1);
    const space = scene.space(mm);
    core.freeMm(mm);
    core.freeRoot(space);
    core.closeSpace(space);
    this.mms.delete(number);
    this.model.processes.delete(number);
  }

  /** References and map counts are those of the entries, the file and the swap cache; nothing is locked or owed. */
  compare(): void {
    const { scene } = this;
    const entries = new Map<number, number>();
    for (const [number, mm] of this.mms) {
      for (let page = 0; page < COUNT; page++) {
        const found = this.mapped({ process: number, page });
        if (found !== undefined) entries.set(found.pfn, (entries.get(found.pfn) ?? 0) + 1);
      }
      expect({ pending: scene.pending(mm), lock: scene.u32(mm + layout.MM_MMAP_LOCK) }).toEqual({
        pending: 0,
        lock: 0,
      });
    }
    for (let index = 0; index < COUNT; index++) {
      const frame = scene.u32(scene.u32(this.file + layout.MAPPING_PAGES) + 4 * index);
      if (frame !== 0) {
        const pfn = scene.rig.basePfn + frame - 1;
        entries.set(pfn, entries.get(pfn) ?? 0);
      }
    }
    for (const [pfn, mapcount] of entries) {
      const folio = scene.rig.core.folioAddress(pfn) >>> 0;
      const flags = scene.flags(folio);
      const mapping = scene.u32(folio + layout.FOLIO_MAPPING);
      const cached = (mapping !== 0 && (mapping & layout.FOLIO_ANON) === 0) || (flags & layout.PG_SWAPCACHE) !== 0;
      expect({
        pfn,
        mapcount: scene.mapcount(folio),
        refs: scene.refs(pfn),
        lock: scene.u32(folio + layout.FOLIO_LOCK),
      }).toEqual({ pfn, mapcount, refs: mapcount + (cached ? 1 : 0), lock: 0 });
      // PG_anon_exclusive says that nobody shares it.
      if ((flags & layout.PG_ANON_EXCLUSIVE) !== 0) expect({ pfn, mapcount }).toEqual({ pfn, mapcount: 1 });
    }
  }

  /** Every page of every process is what the model says; then all is given up, and every frame is free. */
  finish(): void {
    const { scene, model } = this;
    const { core } = scene.rig;
    for (const [number, process] of model.processes) {
      core.switchMm(this.cpus[0] as number, this.mms.get(number) as number);
      for (const page of process.areas.keys()) {
        expect(this.outcome(core.handledLoad(this.cpus[0] as number, at(page)))).toEqual(model.load(process, page));
      }
    }
    for (const number of [...model.processes.keys()]) this.exit(number);
    core.freeMapping(this.file);
    core.reclaim();
    expect(scene.u32(layout.CONTROL_LIVE)).toBe(this.baseline);
    expect([layout.CONTROL_BAD_FREE, layout.CONTROL_BAD_POISON].map((word) => scene.u32(word))).toEqual([0, 0]);
    expect(core.countSpoiledFrames()).toBe(0);
  }
}

const { HANDLER_COPY_IN_PTL, HANDLER_MMAP_LOCK, HANDLER_NO_ZERO_PAGE } = layout;
const { HANDLER_REUSE_COUNT, HANDLER_REUSE_MAPCOUNT, HANDLER_REUSE_NEVER } = layout;
const world = fc.record<World>({
  levels: fc.constantFrom<4 | 5>(4, 5),
  machine: fc.constantFrom(layout.MACHINE_RECHECK, layout.MACHINE_NOWCHECK, layout.MACHINE_SWDIRTY),
  policy: fc
    .tuple(
      fc.constantFrom(0, 0, HANDLER_REUSE_COUNT, HANDLER_REUSE_MAPCOUNT, HANDLER_REUSE_NEVER),
      fc.constantFrom(0, HANDLER_COPY_IN_PTL),
      fc.constantFrom(0, HANDLER_MMAP_LOCK),
      fc.constantFrom(0, HANDLER_NO_ZERO_PAGE),
    )
    .map((parts) => parts.reduce<number>((bits, part) => bits | part, 0)),
  driver: fc.boolean(),
});
const steps = fc.array(step, { minLength: 10, maxLength: 80, size: 'max' });

async function sameAsModel(given: World, program: Step[]): Promise<void> {
  const pair = new Pair(await Scene.make({ frames: 256 }), given);
  for (const step of program) {
    pair.run(step);
    pair.compare();
  }
  pair.finish();
}

test('any sequence of accesses, forks and paths: programs see what the maps say, and frames balance', {
  timeout: 120_000,
}, async () => {
  await fc.assert(fc.asyncProperty(world, steps, sameAsModel), { numRuns: 300, seed: SEED });
});

test.each([
  ['a copy is mapped without ptep_clear_flush() (I21)', layout.HANDLER_COPY_NO_FLUSH],
  ['a page is reused because one entry maps it, whoever has it in swap', layout.HANDLER_REUSE_UNLOCKED],
])('caught: %s', { timeout: 120_000 }, async (_name, policy) => {
  const broken = world.map((good) => ({ ...good, policy }));
  // Private memory from the start, so that most programs have something to share.
  const first: Step = {
    op: 'mmap',
    process: 0,
    page: 0,
    count: COUNT,
    kind: 'anon',
    write: true,
    notify: false,
    fresh: true,
  };
  const programs = steps.map((rest) => [first, ...rest]);
  const { failed } = await fc.check(fc.asyncProperty(broken, programs, sameAsModel), {
    numRuns: 5000,
    seed: SEED,
    endOnFailure: true,
  });
  expect(failed).toBe(true);
});
