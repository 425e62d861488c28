// Flushes that are put off: of reclaim's unmaps, and of migrations; against a dull model, and in every order of steps.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { layout, makeRig, reply } from '../support/core.ts';
import { enter, leave, look, makeScene, type Scene, store, VA } from '../support/scene.ts';
import { type Call, type ExploreRig, everyState, makeExploreRig } from '../support/stepper.ts';

const { CPU_GENERATION, MM_FLUSH_BATCHED, MM_TLB_GEN, UBC_BYTES } = layout;
const small = () => makeExploreRig({ frames: 16, heapBytes: 1 << 16 });
const RW = 2n;
const D = 0x40n;
const FRAME = 0xffffffffff000n;

describe('what an mm remembers of deferred unmaps', () => {
  test('any sequence: pending and flushed are those of the dull model, and a flush is made if they differ', async () => {
    const rig = await makeRig({ frames: 16 });
    const { core, u32, u64 } = rig;
    const { cpus, mm } = makeScene(rig, { cpus: 2 });
    const [self] = cpus as [number];
    const batch = core.heapAllocate(UBC_BYTES) >>> 0;
    const word = (mm + MM_FLUSH_BATCHED) / 4;
    const command = fc.oneof(
      { weight: 4, arbitrary: fc.record({ op: fc.constant('defer' as const), writable: fc.boolean() }) },
      { weight: 1, arbitrary: fc.record({ op: fc.constant('pending' as const) }) },
      { weight: 1, arbitrary: fc.record({ op: fc.constant('flush' as const), dirty: fc.boolean() }) },
    );
    // Begun anywhere, so that the counts run over.
    const start = fc.record({
      pending: fc.integer({ min: 0, max: 0x4000 }),
      flushed: fc.integer({ min: 0, max: 0x4000 }),
    });
    fc.assert(
      fc.property(start, fc.array(command, { maxLength: 30 }), ({ pending, flushed }, commands) => {
        u32[word] = pending | (flushed << 16);
        u32.fill(0, batch / 4, (batch + UBC_BYTES) / 4);
        const model = { pending, flushed, required: false, writable: false };
        for (const command of commands) {
          const before = u64[(mm + MM_TLB_GEN) / 8] as bigint;
          const grew = () => Number((u64[(mm + MM_TLB_GEN) / 8] as bigint) - before);
          const current = () => u64[(self + CPU_GENERATION) / 8] === u64[(mm + MM_TLB_GEN) / 8];
          if (command.op === 'defer') {
            core.deferUnmapFlush(batch, self, mm, VA, command.writable);
            if (model.pending > 0x3fff) Object.assign(model, { pending: 1, flushed: 0 });
            else model.pending++;
            model.required = true;
            model.writable ||= command.writable;
            expect(grew()).toBe(1);
          } else if (command.op === 'pending') {
            core.flushBatchedPending(self, mm, 0);
            expect(grew()).toBe(model.pending === model.flushed ? 0 : 1);
            if (model.pending !== model.flushed) expect(current()).toBe(true);
            model.flushed = model.pending;
          } else {
            const due = command.dirty ? model.writable : model.required;
            if (command.dirty) core.flushUnmappedDirty(batch, self, 0);
            else core.flushUnmapped(batch, self, 0);
            expect(grew()).toBe(0);
            if (due) expect(current()).toBe(true);
            if (due) Object.assign(model, { required: false, writable: false });
          }
          expect(u32[word]).toBe((model.pending | (model.flushed << 16)) >>> 0);
          const [required, writable] = [layout.UBC_REQUIRED, layout.UBC_WRITABLE].map((at) => u32[(batch + at) / 4]);
          expect({ required, writable }).toEqual({
            required: Number(model.required),
            writable: Number(model.writable),
          });
        }
      }),
      { numRuns: 300 },
    );
  });

  /** Every order of an unmap whose flush is deferred and of a flush in its place by `program`; does the mm say it is flushed when it is not? */
  async function forgotten(program: (cpu: number, scene: Scene) => Call[]) {
    const rig = await small();
    const scene = makeScene(rig, { cpus: 2, cached: [1] });
    const { cpus, mm, slot } = scene;
    const [self, other] = cpus as [number, number];
    const batch = rig.core.heapAllocate(UBC_BYTES) >>> 0;
    const word = (mm + MM_FLUSH_BATCHED) / 4;
    let wrong = 0;
    everyState(
      rig,
      () => {
        rig.u32[word] = 1;
        return [
          rig.cpu(
            (core) => core.ptepGetAndClear(slot),
            (core) => core.deferUnmapFlush(batch, self, mm, VA, true) as undefined,
          ),
          rig.cpu(...program(other, scene)),
        ];
      },
      () => {
        const settled = ((rig.u32[word] as number) & 0x7fff) === (rig.u32[word] as number) >>> 16;
        const behind = rig.u64[(other + CPU_GENERATION) / 8] !== rig.u64[(mm + MM_TLB_GEN) / 8];
        if (settled && behind) wrong++;
      },
    );
    return wrong;
  }

  test('an unmap that comes during the flush is not forgotten (5ee2fa2f0636)', async () => {
    expect(await forgotten((cpu, { mm }) => [(core) => core.flushBatchedPending(cpu, mm, 0) as undefined])).toBe(0);
  });

  test('caught: what is flushed is noted without looking whether more is pending since', async () => {
    const wrong = await forgotten((cpu, { mm }) => [
      (core) => core.flushMm(cpu, mm, 0n, -1n, layout.REQUEST_ALL, true, 0),
      (core) => {
        // Two steps: the read and the store of a careless kernel.
        const pending = core.ptepGet(mm + MM_FLUSH_BATCHED) & 0x7fffn;
        return pending;
      },
      (core) => core.storeAndWake(mm + MM_FLUSH_BATCHED, 2 | (2 << 16)) as undefined,
    ]);
    expect(wrong).toBeGreaterThan(0);
  });
});

describe('reclaim defers, and mprotect finds the entry gone (K)', () => {
  /** When mprotect has returned, no store may land. */
  async function race(settles: boolean, hardware: number) {
    const rig = await small();
    const { cpus, mm, slot, word } = makeScene(rig, { cpus: 3, cached: [2], hardware });
    const [reclaim, protect, user] = cpus as [number, number, number];
    const batch = rig.core.heapAllocate(UBC_BYTES) >>> 0;
    const lock = rig.core.heapAllocate(64) >>> 0;
    const take: Call = (core) => core.writeLock(lock) as undefined;
    const release: Call = (core) => core.writeUnlock(lock) as undefined;
    const settle: Call = (core) => core.flushBatchedPending(protect, mm, 0) as undefined;
    let late = 0;
    let gone = 0;
    everyState(
      rig,
      () => {
        rig.u32.fill(0, lock / 4, lock / 4 + 4);
        rig.core.enterUser(user);
        return [
          rig.cpu(
            take,
            (core) => core.ptepGetAndClear(slot),
            (core) => core.deferUnmapFlush(batch, reclaim, mm, VA, true) as undefined,
            release,
            (core) => core.flushUnmapped(batch, reclaim, 0),
          ),
          rig.cpu(take, look(slot), ...(settles ? [settle] : []), release, look(word)),
          rig.cpu(store(user, 7n), leave(user)),
        ];
      },
      ([, mprotect]) => {
        const { results } = mprotect as { results: unknown[] };
        if (results[1] !== 0n) return;
        gone++;
        if (results.at(-1) !== rig.u64[word / 8]) late++;
      },
    );
    expect(gone).toBeGreaterThan(0);
    return late;
  }

  test.each([
    ['interrupts', 0],
    ['broadcast', layout.HW_BROADCAST],
  ])(
    '%s: with flush_tlb_batched_pending no store lands (K0); caught without (K1)',
    { timeout: 180_000 },
    async (_, hardware) => {
      expect(await race(true, hardware)).toBe(0);
      expect(await race(false, hardware)).toBeGreaterThan(0);
    },
  );
});

describe('migration with the flush put off (G)', () => {
  const CAPACITY = 2;

  /** The page moves to another frame and stays readable; then somebody makes it writable and writes; a reader that knows of the write looks. */
  async function coherence(options: { settle: boolean; flags?: number; hardware?: number }) {
    const { settle, flags = 0, hardware = 0 } = options;
    const rig = await small();
    const { core } = rig;
    core.openFolios();
    const scene = makeScene(rig, { cpus: 3, hardware });
    const { cpus, mm, slot } = scene;
    const [kernel, writer, reader] = cpus as [number, number, number];
    const [old, fresh] = [core.allocateFolio(), core.allocateFolio()];
    const [oldFolio, freshFolio] = [core.folioAddress(old) >>> 0, core.folioAddress(fresh) >>> 0];
    const [oldWord, freshWord] = [old, fresh].map((pfn) => core.frameAddress(pfn) >>> 0) as [number, number];
    const pages = core.createDeferred(CAPACITY, flags) >>> 0;
    const entry = (pfn: number) => ((rig.u64[slot / 8] as bigint) & ~FRAME & ~RW & ~D) | (BigInt(pfn) << 12n);
    const flag = core.heapAllocate(64) >>> 0;
    rig.u64[slot / 8] = entry(old);
    core.enterUser(reader);
    core.userLoad(reader, VA);
    core.leaveUser(reader);
    const refs = (pfn: number) => rig.u32[((core.frameMeta(pfn) >>> 0) + layout.META_REFS) / 4];
    const seen = new Set<string>();
    const read: Call = (c) => (c.userLoad(reader, VA) === layout.DONE ? reply(rig)[0] : -1n);
    const { states } = everyState(
      rig,
      () => {
        rig.u64[oldWord / 8] = 1n;
        rig.u64[freshWord / 8] = 1n;
        rig.u32[flag / 4] = 0;
        core.enterUser(reader);
        return [
          rig.cpu(
            (c) => c.setPte(slot, entry(fresh)) as undefined,
            (c) => c.keepMigrated(pages, kernel, mm, VA, oldFolio, freshFolio),
            // mprotect, or a write fault, of another CPU: under the page-table lock, so after that.
            ...(settle ? [((c) => c.settleMigrated(pages, writer, freshFolio, 0)) as Call] : []),
            (c) => c.setPte(slot, entry(fresh) | RW) as undefined,
            enter(writer),
            store(writer, 2n),
            leave(writer),
            (c) => c.storeAndWake(flag, 1) as undefined,
          ),
          // Between two accesses: the reader answers what is pending before it looks at the flag.
          rig.cpu(
            (c) => c.takeInterrupts(reader) as undefined,
            (c) => c.ptepGet(flag) & 1n,
            read,
            leave(reader),
          ),
        ];
      },
      ([migrate, user]) => {
        const [, knew, value] = user?.results ?? [];
        seen.add(`${knew === 1n ? 'knew' : 'early'} ${value}`);
        expect(migrate?.results[1]).toBe(1);
        if (settle) expect([refs(old), refs(fresh)]).toEqual([0, 1]);
      },
    );
    return { states, seen };
  }

  test.each([
    ['interrupts', 0],
    ['broadcast', layout.HW_BROADCAST],
  ])(
    '%s: who settles before the entry becomes writable keeps readers coherent (G6), and the old frame is free then',
    async (_, hardware) => {
      const { seen, states } = await coherence({ settle: true, hardware });
      expect(seen).not.toContain('knew 1');
      expect(seen).toContain('knew 2');
      expect(states).toBeGreaterThan(100);
    },
  );

  test('caught: an upgrade without it (G1)', async () => {
    expect((await coherence({ settle: false })).seen).toContain('knew 1');
  });

  test('with broadcasts the invalidation went out when the page moved: only accesses in flight are waited for', async () => {
    expect((await coherence({ settle: false, hardware: layout.HW_BROADCAST })).seen).not.toContain('knew 1');
  });

  test('a list that is full takes no more until it is flushed, and gives every reference back', async () => {
    const rig = await makeRig({ frames: 32 });
    const { core } = rig;
    core.openFolios();
    const { cpus, mm } = makeScene(rig, { cpus: 1 });
    const [self] = cpus as [number];
    const pages = core.createDeferred(CAPACITY, 0) >>> 0;
    const refs = (pfn: number) => rig.u32[((core.frameMeta(pfn) >>> 0) + layout.META_REFS) / 4];
    const folio = (pfn: number) => core.folioAddress(pfn) >>> 0;
    const pairs = Array.from({ length: 3 }, () => [core.allocateFolio(), core.allocateFolio()] as [number, number]);
    const addresses = pairs.map((pair) => pair.map(folio) as [number, number]);
    const kept = addresses.map(([old, fresh]) => core.keepMigrated(pages, self, mm, VA, old, fresh));
    expect(kept).toEqual([1, 1, 0]);
    expect(pairs.flat().map(refs)).toEqual([1, 2, 1, 2, 1, 1]);
    expect(core.settleMigrated(pages, self, addresses[2]?.[1] as number, 0)).toBe(0);
    expect(core.flushMigrated(pages, self, 0)).toBe(CAPACITY);
    expect(pairs.flat().map(refs)).toEqual([0, 1, 0, 1, 1, 1]);
    expect(core.settleMigrated(pages, self, addresses[0]?.[1] as number, 0)).toBe(0);
    expect(core.flushMigrated(pages, self, 0)).toBe(0);
  });
});

test('deferring is worth it if another CPU runs the mm', async () => {
  const rig: ExploreRig = await small();
  const { cpus, mm } = makeScene(rig, { cpus: 2 });
  const [self, other] = cpus as [number, number];
  expect(rig.core.shouldDeferFlush(self, mm)).toBe(1);
  rig.core.loadMm(other, 0, 0);
  expect(rig.core.shouldDeferFlush(self, mm)).toBe(0);
  rig.core.setHardware(self, layout.HW_BROADCAST, 0n);
  expect(rig.core.shouldDeferFlush(self, mm)).toBe(1);
});
