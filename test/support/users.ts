// A process with two threads on real workers, whose faults are handled, beside a kernel path that the test runs in a thread of its own.
//
// Guarantees: what the threads see of each other is checked by themselves (roles/user.mjs); the test looks at what they had stored when (`completed`,
// `wrote`). In the end every frame that faults brought is free, no lock is held, and the counters of the TLBs add up.

import { Worker } from 'node:worker_threads';
import { expect } from 'vitest';
import { layout, makeRig } from './core.ts';
import { PAGE, PRIVATE, Scene } from './mm.ts';

export const SEED = Number(process.env['PAGEWALK_SEED'] ?? Date.now() & 0xffffff);

export const MACHINES = {
  recheck: layout.MACHINE_RECHECK,
  nowcheck: layout.MACHINE_NOWCHECK,
  swdirty: layout.MACHINE_SWDIRTY,
} as const;

export interface UsersOptions {
  build?: 'release' | 'chaos';
  machine?: keyof typeof MACHINES;
  pages?: number;
  mode?: 'exact' | 'small' | 'zapped';
  /** Flags of the VMA beside VM_SOFTDIRTY; private memory, readable and writable, if nothing is said. */
  flags?: number;
  /** A file behind it, whose frames are those of a device in a row (`pfn`), or come from its page cache; with a driver or without. */
  file?: 'page' | 'pfn' | 'no-driver';
  /** HANDLER_* */
  policy?: number;
}

const USERS = 2;
const LEAST_ROUNDS = 10;
/** Words of the notes; behind the first 16, tables by user and page. */
const [STOP, EPOCH, READY, FAILED] = [0, 1, 2, 3];
const VA = 0x400000n;

export interface Report {
  errors: string[];
  counts: { stores: number; loads: number; refused: number };
}

export class Users {
  readonly scene: Scene;
  readonly mm: number;
  readonly pages: number;
  readonly va = VA;
  readonly last: bigint;
  readonly cpus: number[];
  readonly file: number;
  readonly driver: number;
  private readonly notes: Int32Array<SharedArrayBuffer>;
  private readonly reports: Promise<Report>[];
  private readonly baseline: number;

  private constructor(scene: Scene, options: UsersOptions) {
    const { machine = 'recheck', pages = 4, mode = 'exact', flags = PRIVATE, file, policy = 0, build } = options;
    const { rig } = scene;
    const { core } = rig;
    this.scene = scene;
    this.pages = pages;
    this.last = VA + BigInt(pages) * PAGE - 1n;
    core.openZeroPage();
    const frames = file === 'pfn' ? core.allocateFrames(pages, 1, layout.FRAME_DATA) : 0;
    this.mm = scene.mm();
    this.baseline = scene.u32(layout.CONTROL_LIVE);
    this.file = file === undefined ? 0 : scene.file(pages);
    this.driver = 0;
    if (this.file !== 0) core.openStore(this.file);
    if (file === 'page' || file === 'pfn') {
      this.driver = core.createDriver(pages, file === 'pfn', frames) >>> 0;
      core.setDriver(this.file, this.driver);
    }
    scene.vma(this.mm, VA, pages, flags | layout.VM_SOFTDIRTY, this.file);
    this.cpus = Array.from({ length: USERS }, (_, id) => scene.cpu(id + 1, MACHINES[machine], this.mm));
    for (const cpu of this.cpus) core.setHandler(cpu, policy, 0);
    this.notes = new Int32Array(new SharedArrayBuffer(4 * (16 + 3 * USERS * pages)));
    this.reports = this.cpus.map(
      (cpu, id) =>
        new Promise<Report>((resolve, reject) => {
          const { module, memory } = rig;
          const workerData = {
            ...{ module, memory, layout: { ...layout }, cpu, va: VA, pages, users: USERS, id, mode, notes: this.notes },
            ...{ seed: SEED + id, chaos: build === 'chaos' },
          };
          const worker = new Worker(new URL('./roles/user.mjs', import.meta.url), { workerData });
          worker.once('message', resolve);
          worker.once('error', reject);
        }),
    );
  }

  /** Starts the threads. */
  static async start(options: UsersOptions = {}): Promise<Users> {
    const { build = 'release' } = options;
    const users = new Users(Scene.over(await makeRig({ frames: 256, build })), options);
    if (build === 'chaos') users.core.tuneChaos(SEED + 99, 3, 2000);
    while (Atomics.load(users.notes, READY) < USERS) await new Promise((resolve) => setTimeout(resolve, 5));
    return users;
  }

  get core() {
    return this.scene.rig.core;
  }

  // ---- what the threads have done

  /** For each page and user, `user * pages + page`: the counter of the last store that completed. */
  completed(): number[] {
    return this.field(0);
  }

  /** Pages on which a store completed that had begun in epoch `epoch`. */
  wroteIn(epoch: number): number[] {
    const wrote = this.field(1);
    return Array.from({ length: this.pages }, (_, page) => page).filter((page) =>
      this.cpus.some((_, user) => wrote[user * this.pages + page] === epoch),
    );
  }

  /** Stores that begin from here on are of this epoch. */
  begin(epoch: number): void {
    Atomics.store(this.notes, EPOCH, epoch);
  }

  /** Loads that begin from here on find no store up to these counters. */
  forbid(counters: number[]): void {
    counters.forEach((counter, n) => {
      Atomics.store(this.notes, 16 + 2 * USERS * this.pages + n, counter);
    });
  }

  private field(n: number): number[] {
    const from = 16 + n * USERS * this.pages;
    return Array.from({ length: USERS * this.pages }, (_, k) => Atomics.load(this.notes, from + k));
  }

  /** Lets the threads go on for a while. */
  pause(loads = 2000): void {
    for (let n = 0; n < loads; n++) Atomics.load(this.notes, STOP);
  }

  // ---- the frames beneath

  /** The frame that is mapped at a page, if a folio is. */
  frameAt(page: number): number | undefined {
    const { scene } = this;
    const pte = scene.pte(this.mm, VA + BigInt(page) * PAGE);
    if ((pte & 1n) === 0n) return undefined;
    return Number((pte >> 12n) & 0xffffffffffn);
  }

  /** The folio there with a reference more, for a path that gives it up. */
  hold(page: number): { folio: number; pfn: number } | undefined {
    const pfn = this.frameAt(page);
    if (pfn === undefined) return undefined;
    const folio = this.core.tryGetFolio(pfn) >>> 0;
    if (folio === 0) return undefined;
    // It may have gone, and come back as another page, before it was held.
    if (this.frameAt(page) === pfn) return { folio, pfn };
    this.core.putFolio(folio);
    return undefined;
  }

  // ---- the end

  /**
   * Runs `round` for `milliseconds`, or until it, or a thread, complains; then stops the threads. Returns all complaints.
   */
  async run(
    milliseconds: number,
    round: (n: number) => string | undefined,
  ): Promise<{ errors: string[]; rounds: number }> {
    const errors: string[] = [];
    const end = Date.now() + milliseconds;
    let rounds = 0;
    // At least some rounds, however slow the machine is.
    const failed = () => errors.length > 0 || Atomics.load(this.notes, FAILED) !== 0;
    while ((Date.now() < end || rounds < LEAST_ROUNDS) && !failed()) {
      const complaint = round(++rounds);
      if (complaint !== undefined) errors.push(`round ${rounds}: ${complaint}`);
    }
    const reports = await this.stop();
    return { errors: [...errors, ...reports.flatMap((report) => report.errors)], rounds };
  }

  async stop(): Promise<Report[]> {
    Atomics.store(this.notes, STOP, 1);
    const reports = await Promise.all(this.reports);
    for (const { counts } of reports) expect(counts.stores + counts.refused).toBeGreaterThan(0);
    return reports;
  }

  /** Takes everything down: every frame is free, no flush is owed, counters add up. */
  balance(): void {
    const { scene, core } = this;
    for (const cpu of this.cpus) {
      const tlb = scene.u32(cpu + layout.CPU_TLB);
      const at = (offset: number) => scene.u64(tlb + offset);
      const hits = at(layout.TLB_DESCRIPTORS + layout.ARRAY_HITS);
      expect(hits + at(layout.TLB_MISSES)).toBe(at(layout.TLB_ACCESSES));
      core.loadMm(cpu, 0, 0);
    }
    expect(scene.pending(this.mm)).toBe(0);
    scene.prepare();
    expect(core.munmap(scene.self, this.mm, VA, this.last, scene.path, 0)).toBe(layout.STATUS_OK);
    if (this.file !== 0) core.freeMapping(this.file);
    core.reclaim();
    // Pages that somebody had locked when their last entry went stay in the swap cache until they are reclaimed.
    for (let pfn = core.nextLiveFrame(0); pfn >= 0; pfn = core.nextLiveFrame(pfn + 1)) {
      const folio = core.folioAddress(pfn) >>> 0;
      if (folio === 0 || (scene.flags(folio) & layout.PG_SWAPCACHE) === 0) continue;
      core.getFrame(pfn);
      scene.prepare();
      expect(core.reclaimFolio(scene.self, folio, scene.path, 0)).toBe(1);
    }
    expect(scene.u32(layout.CONTROL_LIVE)).toBe(this.baseline);
    expect([layout.CONTROL_BAD_FREE, layout.CONTROL_BAD_POISON].map((word) => scene.u32(word))).toEqual([0, 0]);
    expect(core.countSpoiledFrames()).toBe(0);
  }
}
