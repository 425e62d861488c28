// Kernel paths that take pages away or put others in their place, beside two threads on real workers that store, load and fault: every thread finds what
// it stored, nothing is read that was freed, and frames and references balance in the end. Each check is shown to bark at the variant that breaks the
// promise. Seeds are printed; interleavings are the machine's.

import { describe, expect, test } from 'vitest';
import { layout } from '../support/core.ts';
import { PAGE } from '../support/mm.ts';
import { type MACHINES, SEED, Users, type UsersOptions } from '../support/users.ts';

console.log(`PAGEWALK_SEED=${SEED}`);
const MILLISECONDS = 300;
/** How long a twin may take until it is caught; most take less than a second. */
const PATIENCE = 60_000;

interface Scenario {
  users: UsersOptions;
  prepare?: (users: Users) => void;
  path?: number;
  shoot?: number;
  /** A complaint if a promise was broken. Threads go on meanwhile, and complain themselves. */
  round: (users: Users, variant: Variant, n: number) => string | undefined;
  finish?: (users: Users) => void;
}

interface Variant {
  path: number;
  shoot: number;
}

async function run(scenario: Scenario, milliseconds: number, balances: boolean) {
  const { path = 0, shoot = 0, round } = scenario;
  const users = await Users.start(scenario.users);
  scenario.prepare?.(users);
  const { errors } = await users.run(milliseconds, (n) => round(users, { path, shoot }, n));
  if (balances) {
    scenario.finish?.(users);
    users.balance();
  }
  return { errors };
}

function holdsAndBarks(
  scenario: Scenario,
  machines: (keyof typeof MACHINES)[],
  twins: Record<string, Partial<Scenario>>,
): void {
  test.each(machines)('%s: holds', { timeout: 30_000 }, async (machine) => {
    const { errors } = await run({ ...scenario, users: { ...scenario.users, machine } }, MILLISECONDS, true);
    expect(errors).toEqual([]);
  });
  for (const [name, twin] of Object.entries(twins)) {
    test(`the check barks: ${name}`, { timeout: 90_000 }, async () => {
      const users = { ...scenario.users, ...twin.users };
      const { errors } = await run({ ...scenario, ...twin, users }, PATIENCE, false);
      expect(errors.length).toBeGreaterThan(0);
    });
  }
}

/** Takes the pages out by `path`; loads that begin afterwards find nothing that was stored before. */
function zap(users: Users, path: () => unknown): undefined {
  const before = users.completed();
  path();
  users.forbid(before);
  users.pause(500);
  return undefined;
}

describe('MADV_DONTNEED: what was stored before is not seen after it, and no freed frame is', () => {
  const round: Scenario['round'] = (users, { path, shoot }) => {
    const { scene, core, mm } = users;
    scene.prepare(0n, shoot);
    return zap(users, () => core.madviseDontNeed(scene.self, mm, users.va, users.last, scene.path, path));
  };
  holdsAndBarks({ users: { mode: 'zapped' }, round }, ['recheck', 'nowcheck', 'swdirty'], {
    'pages are freed before the flush': { path: layout.PATH_FREE_EARLY },
    'the flush is not waited for': { shoot: layout.SHOOT_POSTED },
  });
});

describe('the OOM reaper: the same, while the threads go on', () => {
  const round: Scenario['round'] = (users, { path, shoot }) => {
    const { scene, core, mm } = users;
    scene.prepare(0n, shoot);
    const before = users.completed();
    // mmap_lock may be taken: then nothing was done.
    if (core.reapMm(scene.self, mm, scene.path, path) !== 0) users.forbid(before);
    users.pause(500);
    return undefined;
  };
  const shoot = layout.SHOOT_ELIDE_FULLMM;
  holdsAndBarks({ users: { mode: 'zapped' }, shoot, round }, ['recheck', 'swdirty'], {
    'its gather is one of the whole mm, whose flush is elided (H1)': { path: layout.REAPER_FULLMM },
  });
});

describe('reclaim with its flush deferred: no store is lost', () => {
  const round: Scenario['round'] = (users, { path, shoot }, n) => {
    const { scene, core } = users;
    const held = users.hold(n % users.pages);
    if (held === undefined) return undefined;
    scene.prepare(0n, shoot);
    if (core.reclaimFolio(scene.self, held.folio, scene.path, path) === 0) core.putFolio(held.folio);
    return undefined;
  };
  holdsAndBarks({ users: { pages: 3 }, round }, ['recheck', 'nowcheck', 'swdirty'], {
    'no flush before a page is written out (K3)': { path: layout.RECLAIM_NO_FLUSH_DIRTY },
    'no flush before a page is freed (K4)': { path: layout.RECLAIM_NO_FLUSH | layout.RECLAIM_NO_FLUSH_DIRTY },
  });
});

describe('migration: no store is lost, and none is read late', () => {
  let list = 0;
  const round: Scenario['round'] = (users, { path, shoot }, n) => {
    const { scene, core } = users;
    const held = users.hold(n % users.pages);
    if (held === undefined) return undefined;
    const target = core.allocateFolio();
    const to = target < 0 ? 0 : core.folioAddress(target) >>> 0;
    scene.prepare(0n, shoot);
    scene.rig.u32[(scene.path + layout.PATH_DEFERRED) / 4] = list;
    if (to === 0 || core.migrateFolio(scene.self, held.folio, to, scene.path, path) === 0) core.putFolio(held.folio);
    if (to !== 0) core.putFolio(to);
    if (list !== 0 && n % 8 === 0) core.flushMigrated(list, scene.self, 0);
    return undefined;
  };
  const forget = () => {
    list = 0;
  };
  /** Flushes that are put off, and handlers that settle before they make an entry writable. */
  const defer = (users: Users) => {
    list = users.core.createDeferred(32, 0) >>> 0;
    users.core.setDeferred(users.mm, list);
  };
  const finish = (users: Users) => {
    if (list !== 0) users.core.flushMigrated(list, users.scene.self, 0);
  };
  holdsAndBarks({ users: {}, prepare: forget, round, finish }, ['recheck', 'nowcheck', 'swdirty'], {
    'the flush is not waited for': { shoot: layout.SHOOT_POSTED },
  });
  describe('with the flush put off (migrc)', () => {
    const users = { policy: layout.HANDLER_UNPEND };
    holdsAndBarks({ users, prepare: defer, round, finish }, ['recheck'], {
      'of writable entries, too (G9)': { path: layout.MIGRATE_DEFER_WRITABLE },
    });
  });
});

describe('KSM: no store to a page that was merged is lost', () => {
  const round: Scenario['round'] = (users, { path, shoot }, n) => {
    const { scene, core, mm } = users;
    const [one, two] = [n % 2, 1 - (n % 2)].map((page) => users.va + BigInt(page) * PAGE) as [bigint, bigint];
    scene.prepare(0n, shoot);
    if (core.mergePage(scene.self, mm, one, 0, scene.path, path) === 0) return undefined;
    const kept = users.hold(n % 2);
    if (kept === undefined) return undefined;
    scene.prepare(0n, shoot);
    if ((scene.flags(kept.folio) & layout.PG_KSM) !== 0) {
      core.mergePage(scene.self, mm, two, kept.folio, scene.path, path);
    }
    core.putFolio(kept.folio);
    return undefined;
  };
  holdsAndBarks({ users: { mode: 'small', pages: 2 }, round }, ['recheck', 'nowcheck', 'swdirty'], {
    'replace_page() without a flush (E19)': { path: layout.KSM_REPLACE_NO_FLUSH },
  });
});

describe('fork and copy-on-write: no store is lost, and none of the parent’s after the fork is the child’s', () => {
  let reader = 0;
  const prepare = (users: Users) => {
    reader = users.scene.cpu(5);
    users.core.setHandler(reader, 0, 0);
  };
  const round: Scenario['round'] = (users, { shoot }) => {
    const { scene, core, mm, pages, va } = users;
    const { agent } = scene.rig;
    const reply = layout.AGENTS + agent * layout.AGENT_BYTES + layout.AGENT_REPLY;
    const child = scene.mm();
    const before = users.completed();
    if (core.forkMm(scene.self, mm, child, shoot) === 0) return 'no room for a child';
    core.loadMm(reader, child, 6);
    const look = () =>
      Array.from({ length: 2 * pages }, (_, n) => {
        const [user, page] = [Math.floor(n / pages), n % pages];
        const status = core.handledLoad(reader, va + BigInt(page) * PAGE + BigInt(8 * user));
        return status === layout.DONE ? Number(scene.u64(reply) & 0xffffffffn) : -1;
      });
    const first = look();
    users.pause();
    const second = look();
    core.loadMm(reader, 0, 0);
    scene.prepare();
    core.putMm(scene.self, child, scene.path, 0);
    const space = scene.space(child);
    core.freeMm(child);
    core.freeRoot(space);
    core.closeSpace(space);
    const missing = before.findIndex((counter, n) => (first[n] as number) < counter);
    if (missing >= 0) return `the child has ${first[missing]} in place of ${before[missing]}`;
    return first.join() === second.join() ? undefined : `the child had ${first}, and has ${second}`;
  };
  const copying = (policy: number, build: UsersOptions['build'] = 'release'): UsersOptions => ({ build, policy });
  holdsAndBarks({ users: {}, prepare, round }, ['recheck', 'nowcheck', 'swdirty'], {
    'the flush of the fork is not waited for': { shoot: layout.SHOOT_POSTED },
    'the entry is not looked at again after the copy': { users: copying(layout.HANDLER_NO_PTE_SAME, 'chaos') },
    'the copy takes its place without a flush (I21)': { users: copying(layout.HANDLER_COPY_NO_FLUSH) },
  });
  describe('with the copy under the page-table lock', () => {
    holdsAndBarks({ users: copying(layout.HANDLER_COPY_IN_PTL), prepare, round }, ['recheck'], {
      'it takes its place without a flush': {
        users: copying(layout.HANDLER_COPY_IN_PTL | layout.HANDLER_COPY_NO_FLUSH),
      },
    });
  });
});

test('a thread that waits for a migration to end goes on when the entry is taken out instead', {
  timeout: 30_000,
}, async () => {
  const users = await Users.start({ pages: 1, mode: 'zapped' });
  const { scene, core, mm, va, last } = users;
  const before = () => users.completed().reduce((sum, counter) => sum + counter, 0);
  while (users.frameAt(0) === undefined || before() < 100) users.pause();
  const slot = core.entryAddress(scene.space(mm), va, 0) >>> 0;
  const table = Math.floor((slot - scene.rig.ram) / 4096) + scene.rig.basePfn;
  // The page-table lock, in the word that a frame in use does not need for its link (Mm.ptl).
  const ptl = (core.frameMeta(table) >>> 0) + layout.META_NEXT;
  core.lockFolio(ptl);
  const pte = core.ptepGetAndClear(slot);
  core.setPte(slot, core.swpEntry(layout.SWP_MIGRATION_WRITE, core.ptePfn(pte)));
  core.unlockFolio(ptl);
  core.flushMm(scene.self, mm, va, last, 12, false, 0);
  // Both threads come to the entry, and fall asleep.
  const asleep = () =>
    Array.from({ length: 16 }, (_, n) => scene.u32(layout.CONTROL_ASLEEP + 4 * n)).some((n) => n > 1);
  while (!asleep()) users.pause();
  const waiting = before();
  scene.prepare();
  core.madviseDontNeed(scene.self, mm, va, last, scene.path, 0);
  while (before() < waiting + 100) users.pause();
  await users.stop();
});
